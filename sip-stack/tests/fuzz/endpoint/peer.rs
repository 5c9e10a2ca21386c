//! What the peer sends: responses to what was sent to it, requests outside and inside of dialogs, and what is none of both.

use bytes::Bytes;
use stox_sip::{Message, Method, Request, Response, Source, Transport};

use super::trust::challenge;
use super::{Choices, OURS, Play, pick, remember};

impl Play {
    pub(super) fn hear(&mut self, bytes: Bytes, source: Source) {
        remember(&mut self.heard, (bytes.clone(), source));
        let message = Message::parse_datagram(bytes);
        self.watch.heard(&message);
        self.endpoint.handle_received(message, source, self.now);
    }

    pub(super) fn source(&self, choices: &mut Choices<'_>) -> Source {
        let connection = self.accepted.filter(|_| choices.below(2) == 1);
        Source {
            transport: match connection {
                Some(_) => Transport::Tcp,
                None => Transport::Udp,
            },
            local: OURS.parse().unwrap(),
            remote: self.trust.remote(choices),
            connection,
        }
    }

    pub(super) fn peer_responds(&mut self, choices: &mut Choices<'_>) {
        let requests: Vec<Request> = self
            .sent
            .iter()
            .filter_map(|message| match message {
                Message::Request(request) => Some(request.clone()),
                Message::Response(_) => None,
            })
            .collect();
        let code = choices.of(&[
            200, 180, 100, 404, 503, 481, 408, 491, 302, 699, 401, 407, 422,
        ]);
        let tag = choices.of(&[";tag=t1", ";tag=t2", ""]);
        let fields = contact_fields(choices);
        let Some(request) = pick(&requests, choices) else {
            return;
        };
        let mut text = format!("SIP/2.0 {code} X\r\n");
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            push_field(&mut text, &request, name, "");
        }
        let has_tag = request.to().is_ok_and(|to| to.tag().is_some());
        push_field(&mut text, &request, "To", if has_tag { "" } else { tag });
        text.push_str(&fields);
        if request.method == Method::Subscribe {
            text.push_str(choices.of(&["Expires: 600\r\n", "", "Expires: 0\r\n"]));
        }
        match code {
            401 | 407 => text.push_str(&challenge(code, self.numbers, choices)),
            422 => text.push_str(choices.of(&["Min-SE: 3600\r\n", "", "Min-SE: 1\r\n"])),
            _ => text.push_str(&self.trust.fields(choices)),
        }
        if code == 503 {
            let seconds = choices.of(&["", "Retry-After: 5\r\n", "Retry-After: 99999999999\r\n"]);
            text.push_str(seconds);
        }
        let source = self.source(choices);
        self.hear(finished(text), source);
    }

    pub(super) fn peer_asks(&mut self, choices: &mut Choices<'_>) {
        self.numbers += 1;
        let method = choices.of(&[
            "INVITE",
            "MESSAGE",
            "OPTIONS",
            "SUBSCRIBE",
            "BYE",
            "NOTIFY",
            "UPDATE",
            "PRACK",
            "REGISTER",
            "CANCEL",
            "ACK",
        ]);
        let number = choices.of(&[self.numbers, self.numbers.saturating_sub(1), 0]);
        let branch = match choices.below(3) {
            0 => format!(";branch=z9hG4bKp{number}"),
            1 => format!(";branch=p{number};rport"),
            _ => String::new(),
        };
        let sent_by = choices.of(&["192.0.2.2", "192.0.2.2:5066", "[2001:db8::2]", "host"]);
        let uri = choices.of(&["sip:juliet@192.0.2.1", "im:juliet@192.0.2.1", "tel:+1"]);
        let tag = choices.of(&[";tag=p", "", ";tag=q"]);
        let to_tag = choices.of(&["", ";tag=unknown"]);
        let hops = choices.of(&["70", "0", "x"]);
        let require = choices.of(&["", "Require: 100rel\r\n", "Require: nothing\r\n"]);
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by}{branch}\r\nMax-Forwards: {hops}\r\n\
             From: <sip:romeo@example.net>{tag}\r\nTo: <sip:juliet@example.net>{to_tag}\r\n\
             Call-ID: c{number}\r\nCSeq: {number} {method}\r\n{require}{}{}{}",
            contact_fields(choices),
            usage_fields(method, choices),
            self.trust.fields(choices)
        );
        let source = self.source(choices);
        self.hear(finished(text), source);
    }

    /// A request inside the dialog that a message we sent belongs to.
    pub(super) fn peer_asks_in_dialog(&mut self, choices: &mut Choices<'_>) {
        self.numbers += 1;
        let method = choices.of(&[
            "BYE",
            "INVITE",
            "UPDATE",
            "MESSAGE",
            "ACK",
            "NOTIFY",
            "PRACK",
            "REFER",
            "CANCEL",
            "SUBSCRIBE",
        ]);
        let number = choices.of(&[self.numbers, 1, 0, u64::from(u32::MAX >> 1)]);
        let Some(message) = pick(&self.sent, choices) else {
            return;
        };
        // Who sent a request is whom the peer asks now.
        let (from, to) = match &message {
            Message::Request(request) => (request.to(), request.from()),
            Message::Response(response) => (response.from(), response.to()),
        };
        let (Ok(mut from), Ok(to), Ok(call_id)) = (from, to, message.call_id()) else {
            return;
        };
        if from.tag().is_none() {
            from = from.with_tag(choices.of(&["t1", "t2", "p"]));
        }
        let branch = choices.of(&[self.numbers, self.numbers - 1]);
        let text = format!(
            "{method} sip:juliet@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKd{branch}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n{}{}{}{}",
            contact_fields(choices),
            usage_fields(method, choices),
            self.trust.fields(choices),
            self.rack(method)
        );
        let source = self.source(choices);
        self.hear(finished(text), source);
    }

    /// What a PRACK needs: the number of our last provisional response that has one.
    fn rack(&self, method: &str) -> String {
        let numbers = |message: &Message| match message {
            Message::Response(response) => Some((response.rseq().ok()?, response.cseq().ok()?)),
            Message::Request(_) => None,
        };
        match self.sent.iter().rev().find_map(numbers) {
            Some((rseq, cseq)) if method == "PRACK" => format!("RAck: {rseq} {cseq}\r\n"),
            _ => String::new(),
        }
    }

    /// The ACK for a response to an INVITE: of the same transaction or of its own.
    pub(super) fn peer_acknowledges(&mut self, choices: &mut Choices<'_>) {
        self.numbers += 1;
        let responses: Vec<Response> = self
            .sent
            .iter()
            .filter_map(|message| match message {
                Message::Response(response) => Some(response.clone()),
                Message::Request(_) => None,
            })
            .filter(|response| {
                response
                    .cseq()
                    .is_ok_and(|cseq| cseq.method == Method::Invite)
            })
            .collect();
        let is_same = choices.below(2) == 0;
        let Some(response) = pick(&responses, choices) else {
            return;
        };
        let (Ok(mut via), Ok(cseq)) = (response.top_via(), response.cseq()) else {
            return;
        };
        if !is_same {
            via = via.with_branch(&format!("z9hG4bKa{}", self.numbers));
        }
        let mut text = format!(
            "ACK sip:juliet@192.0.2.1 SIP/2.0\r\nVia: {via}\r\nCSeq: {} ACK\r\n",
            cseq.number
        );
        for name in ["From", "To", "Call-ID"] {
            let value = response
                .headers
                .first(&stox_sip::Name::parse(name).unwrap());
            text.push_str(&format!("{name}: {}\r\n", value.unwrap_or_default()));
        }
        let source = self.source(choices);
        self.hear(finished(text), source);
    }

    pub(super) fn peer_cancels(&mut self, choices: &mut Choices<'_>) {
        let Some((bytes, source)) = pick(&self.heard, choices) else {
            return;
        };
        let Ok(Message::Request(mut request)) = Message::parse_datagram(bytes) else {
            return;
        };
        let Ok(cseq) = request.cseq() else { return };
        request.method = Method::Cancel;
        let cseq = format!("{} CANCEL", cseq.number);
        request.headers.set(stox_sip::Name::CSeq, cseq);
        self.hear(request.to_bytes(), source);
    }

    /// A message that is cut off, or has a byte too many or too few.
    pub(super) fn peer_sends_garbage(&mut self, choices: &mut Choices<'_>) {
        let Some((bytes, source)) = pick(&self.heard, choices) else {
            return;
        };
        let mut bytes = bytes.to_vec();
        let at = choices.below(60) * bytes.len() / 60;
        match choices.below(3) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, choices.of(b"\n,;<\" ")),
            _ => drop(bytes.drain(at..(at + 1).min(bytes.len()))),
        }
        self.hear(bytes.into(), source);
    }
}

fn contact_fields(choices: &mut Choices<'_>) -> String {
    let contact = choices.of(&[
        "Contact: <sip:romeo@192.0.2.2>\r\n",
        "Contact: <sip:romeo@192.0.2.2;transport=tcp>\r\n",
        "Contact: <sip:romeo@example.net>\r\n",
        "",
        "Contact: *\r\n",
        "Contact: <tel:+1>\r\n",
    ]);
    let record_route = choices.of(&[
        "",
        "Record-Route: <sip:192.0.2.2;lr>\r\n",
        "Record-Route: <sip:192.0.2.2>, <sip:p2.example.net;lr>\r\n",
        "Record-Route: <\r\n",
    ]);
    format!("{contact}{record_route}")
}

/// What NOTIFY, SUBSCRIBE and REFER need; of no meaning elsewhere.
fn usage_fields(method: &str, choices: &mut Choices<'_>) -> String {
    if !matches!(method, "NOTIFY" | "SUBSCRIBE" | "REFER") {
        return String::new();
    }
    let event = choices.of(&["presence", "refer", "refer;id=1", "presence;id=x", "x", ""]);
    let more = match method {
        "NOTIFY" => choices.of(&[
            "Subscription-State: active;expires=60\r\n",
            "Subscription-State: terminated;reason=timeout\r\n",
            "Subscription-State: pending\r\n",
            "Subscription-State: terminated;reason=rejected\r\n",
            "Subscription-State: active;expires=0\r\n",
            "",
        ]),
        "SUBSCRIBE" => choices.of(&[
            "Expires: 600\r\n",
            "Expires: 0\r\n",
            "",
            "Expires: 1\r\n",
            "Expires: 99999999999\r\nAccept: x/y\r\n",
        ]),
        _ => choices.of(&[
            "Refer-To: <sip:mercutio@example.org>\r\n",
            "Refer-To: <sip:m@example.org;method=BYE>\r\nRefer-Sub: false\r\n",
            "",
        ]),
    };
    format!("Event: {event}\r\n{more}")
}

fn push_field(text: &mut String, request: &Request, name: &str, more: &str) {
    let value = request.headers.first(&stox_sip::Name::parse(name).unwrap());
    text.push_str(&format!("{name}: {}{more}\r\n", value.unwrap_or_default()));
}

fn finished(mut text: String) -> Bytes {
    text.push_str("Content-Length: 0\r\n\r\n");
    text.into()
}
