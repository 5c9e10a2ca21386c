//! What the peer sends, what it has from us, and the connection between.

use std::io::IoSlice;

use bytes::Bytes;
use stox_msrp::{
    FailureReport,
    codec::{Flag, Head, Method, Part, Start},
};

use super::{Asked, Choices, OURS, Play, THEIRS, byte_of, wish};

impl Play {
    pub(super) fn peer_sends(&mut self, choices: &mut Choices<'_>) {
        let message = choices.below(4);
        let next = &mut self.sides[self.turn].position_by_message[message];
        let position = choices.of(&[*next, 0, 1, 40, 2900]);
        let length = choices.of(&[5, 0, 1, 50, 1000, 3000]);
        let end = position + length;
        *next = end;
        let total = match choices.below(4) {
            0 => "*".to_owned(),
            1 => end.to_string(),
            2 => (end + 10).to_string(),
            _ => "1".to_owned(),
        };
        let range_end = choices.of(&[Some(end), None]);
        let range_end = range_end.map_or("*".to_owned(), |end| end.to_string());
        let wish = wish(choices);
        let flag = choices.of(&['$', '+', '#']);
        if flag == '$' {
            *next = 0;
        }
        let body: Vec<u8> = (position..end)
            .map(|at| byte_of(1000 + message as u64, at))
            .collect();
        let headers = format!(
            "Message-ID: m{message}\r\nByte-Range: {}-{range_end}/{total}\r\n{}Content-Type: a/b\r\n",
            position + 1,
            header_of(wish)
        );
        self.peer_asks("SEND", Some(wish), &headers, Some((&body, flag)));
    }

    pub(super) fn peer_reports(&mut self, choices: &mut Choices<'_>) {
        let index = choices.below(self.message_ids.len() + 1);
        let message_id = self
            .message_ids
            .get(index)
            .map_or("unknown", String::as_str);
        let status = choices.of(&["000 200", "000 413", "001 200", ""]);
        let headers =
            format!("Message-ID: {message_id}\r\nByte-Range: 1-5/5\r\nStatus: {status}\r\n");
        self.peer_asks("REPORT", None, &headers, None);
    }

    pub(super) fn peer_asks(
        &mut self,
        method: &str,
        wish: Option<FailureReport>,
        headers: &str,
        body: Option<(&[u8], char)>,
    ) {
        self.requests += 1;
        let id = format!("peer{}", self.requests);
        let to = OURS[self.turn];
        let head =
            format!("MSRP {id} {method}\r\nTo-Path: {to}\r\nFrom-Path: {THEIRS}\r\n{headers}");
        self.under_way.extend_from_slice(head.as_bytes());
        let mut end = '$';
        if let Some((body, flag)) = body {
            self.under_way.extend_from_slice(b"\r\n");
            self.under_way.extend_from_slice(body);
            self.under_way.extend_from_slice(b"\r\n");
            end = flag;
        }
        self.under_way
            .extend_from_slice(format!("-------{id}{end}\r\n").as_bytes());
        let asked = Asked {
            side: self.turn,
            wish,
            answers: 0,
        };
        self.request_by_id.insert(id, asked);
        if !self.is_slow {
            self.deliver(usize::MAX);
        }
    }

    pub(super) fn peer_answers(&mut self, choices: &mut Choices<'_>) {
        let index = choices.below(self.unanswered.len());
        let status = choices.of(&[200, 413, 481, 999, 100, 408, 415]);
        let Some((side, id)) = self.unanswered.get(index).cloned() else {
            return;
        };
        // Sometimes again, which must not matter.
        if choices.below(2) == 0 {
            self.unanswered.remove(index);
        }
        let to = OURS[side];
        let response = format!(
            "MSRP {id} {status}\r\nTo-Path: {to}\r\nFrom-Path: {THEIRS}\r\n-------{id}$\r\n"
        );
        self.under_way.extend_from_slice(response.as_bytes());
        if !self.is_slow {
            self.deliver(usize::MAX);
        }
    }

    /// Brings that many bytes from the peer, as the connection does.
    pub(super) fn deliver(&mut self, bytes: usize) {
        let bytes = bytes.min(self.under_way.len());
        self.buffer.extend(self.under_way.drain(..bytes));
        while let Some(part) = self.decoder.decode(&mut self.buffer).unwrap() {
            let (now, outbound) = (self.now, &mut self.outbound);
            match part {
                Part::First { head, body, end } => {
                    let index = self
                        .sides
                        .iter()
                        .position(|side| side.core.is_addressed_by(&head));
                    let side = &mut self.sides[index.unwrap()];
                    self.current = index;
                    match head.start() {
                        Start::Request(_) => {
                            side.core.handle_request(
                                &head,
                                body,
                                end,
                                now,
                                outbound,
                                &mut side.out,
                            );
                        }
                        Start::Response(_) => {
                            side.core
                                .handle_response(&head, now, outbound, &mut side.out);
                        }
                    }
                }
                Part::Next { body, end } => {
                    let side = &mut self.sides[self.current.unwrap()];
                    side.core
                        .handle_more(body, end, now, outbound, &mut side.out);
                }
            }
        }
    }

    /// Writes that many bytes to the peer, which reads them.
    pub(super) fn write(&mut self, bytes: usize) {
        let mut left = bytes.min(self.outbound.queued());
        while left > 0 {
            let mut slices = [IoSlice::new(&[]); 4];
            let used = self.outbound.slices(&mut slices);
            let mut count = 0;
            for slice in &slices[..used] {
                let taken = slice.len().min(left - count);
                self.written.extend_from_slice(&slice[..taken]);
                count += taken;
            }
            assert!(count > 0, "bytes wait but cannot be seen");
            self.outbound.handle_written(count, self.now);
            left -= count;
        }
        while let Some(part) = self.reader.decode(&mut self.written).unwrap() {
            match part {
                Part::First { head, body, end } => self.peer_reads(&head, body, end),
                Part::Next { body, end } => {
                    let (message_id, mut bytes) = self.reading.take().unwrap();
                    bytes.extend_from_slice(&body);
                    match end {
                        Some(flag) => self.peer_has_chunk(&message_id, &bytes, flag, None),
                        None => self.reading = Some((message_id, bytes)),
                    }
                }
            }
        }
    }

    fn peer_reads(&mut self, head: &Head, body: Bytes, end: Option<Flag>) {
        assert_eq!(head.fault(), None);
        let id = String::from_utf8(head.transaction_id().to_vec()).unwrap();
        match head.start() {
            Start::Response(status) => {
                let asked = self.request_by_id.get_mut(&id).expect("a request");
                asked.answers += 1;
                assert_eq!(asked.answers, 1, "{id} is answered twice");
                match asked.wish {
                    Some(FailureReport::Yes) => {}
                    Some(FailureReport::Partial) => assert!(status >= 300, "{id} {status}"),
                    Some(FailureReport::No) | None => panic!("{id} wants no answer: {status}"),
                }
            }
            Start::Request(Method::Send) => {
                let from = head.from_path().next().unwrap();
                let side = OURS.iter().position(|uri| uri.as_bytes() == from).unwrap();
                let message_id = String::from_utf8(head.message_id().unwrap().to_vec()).unwrap();
                if head.failure_report() != FailureReport::No {
                    self.unanswered.push((side, id));
                }
                if !self.message_ids.contains(&message_id) {
                    self.message_ids.push(message_id.clone());
                }
                if !head.has_body() {
                    return;
                }
                let key = format!("{side}{message_id}");
                if head.byte_range().is_some_and(|range| range.start == 1) {
                    // Perhaps once more, after the first session was lost.
                    self.sides[side].bytes_by_message.remove(&key);
                }
                let range = head.byte_range().unwrap();
                let sent = self.sides[side].bytes_by_message.entry(key.clone());
                assert_eq!(sent.or_default().len() as u64, range.start - 1);
                match end {
                    Some(flag) => self.peer_has_chunk(&key, &body, flag, range.total),
                    None => self.reading = Some((key, body.to_vec())),
                }
            }
            Start::Request(Method::Report) => assert_eq!(head.message_id(), Some(&b"m0"[..])),
            Start::Request(Method::Nickname) => {
                assert_eq!(head.header("Use-Nickname"), Some(&b"\"R\""[..]));
                let from = head.from_path().next().unwrap();
                let side = OURS.iter().position(|uri| uri.as_bytes() == from).unwrap();
                self.unanswered.push((side, id));
            }
            Start::Request(Method::Other) => panic!("we never ask for that"),
        }
    }

    /// Our chunks follow each other, and together they are one of our messages.
    fn peer_has_chunk(&mut self, key: &str, bytes: &[u8], flag: Flag, total: Option<u64>) {
        let side = usize::from(key.starts_with('1'));
        let side = &mut self.sides[side];
        let all = side.bytes_by_message.entry(key.to_owned()).or_default();
        all.extend_from_slice(bytes);
        if flag == Flag::Complete {
            let length = all.len() as u64;
            assert!(total.is_none_or(|total| total == length));
            let is_ours = side.sent_by_token.iter().any(|(token, sent)| {
                sent.length == length
                    && (0..length).all(|at| byte_of(*token, at) == all[at as usize])
            });
            assert!(is_ours, "a message nobody sent");
        }
    }
}

pub(super) fn header_of(wish: FailureReport) -> &'static str {
    match wish {
        FailureReport::Yes => "",
        FailureReport::Partial => "Failure-Report: partial\r\n",
        FailureReport::No => "Failure-Report: no\r\n",
    }
}
