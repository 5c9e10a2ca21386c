//! Dialogs: what two user agents agree on for the requests between them. RFC 3261 §12.

use std::net::IpAddr;

use crate::{CSeq, HeaderError, Method, Name, NameAddr, Request, Response, Text, Uri};

/// Hops a request may still take. RFC 3261 §8.1.1.6.
pub(crate) const MAX_FORWARDS: &str = "70";

/// Names a dialog on our side: Call-ID, our tag, the peer's tag. RFC 3261 §12.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DialogId {
    pub(crate) call_id: Text,
    pub(crate) local_tag: Text,
    /// Empty for peers of RFC 2543 that have none.
    pub(crate) remote_tag: Text,
}

impl DialogId {
    /// Of a request that came inside a dialog: its To is we.
    pub(crate) fn of_incoming(request: &Request) -> Option<Self> {
        Some(Self {
            call_id: Text::from(request.call_id().ok()?),
            local_tag: tag(&request.to().ok()?)?,
            remote_tag: tag(&request.from().ok()?).unwrap_or_default(),
        })
    }
}

/// Our half of a dialog. RFC 3261 §12.1.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    call_id: Text,
    /// With our tag.
    local: NameAddr,
    /// With the peer's tag.
    remote: NameAddr,
    /// CSeq of our last request.
    local_cseq: u32,
    /// CSeq of the peer's last request.
    remote_cseq: Option<u32>,
    remote_target: Uri,
    /// Next hop first.
    route_set: Vec<NameAddr>,
    /// Where what the peer says of itself came from.
    source: IpAddr,
}

/// Where a request goes first.
#[derive(Clone, Debug)]
pub(crate) struct NextHop {
    pub(crate) uri: Uri,
    /// Who says so; `None`: nobody but ourselves.
    pub(crate) named_by: Option<IpAddr>,
}

impl From<Uri> for NextHop {
    fn from(uri: Uri) -> NextHop {
        NextHop {
            uri,
            named_by: None,
        }
    }
}

/// The CSeq of a request inside a dialog is not above that of the one before. RFC 3261 §12.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfOrder;

impl Dialog {
    /// The dialog that a response to our INVITE makes. RFC 3261 §12.1.2.
    pub(crate) fn of_client(
        request: &Request,
        response: &Response,
        source: IpAddr,
    ) -> Result<Self, HeaderError> {
        let mut route_set = routes(response.headers.all(&Name::RecordRoute))?;
        route_set.reverse();
        Ok(Self {
            call_id: Text::from(request.call_id()?),
            local: request.from()?,
            remote: response.to()?,
            local_cseq: request.cseq()?.number,
            remote_cseq: None,
            remote_target: match contact(response.headers.all(&Name::Contact)) {
                // Against the rules, but better than a peer that repeats its 2xx unheard.
                Err(HeaderError::Missing(_)) => request.uri.clone(),
                target => target?,
            },
            route_set,
            source,
        })
    }

    /// The dialog that our response to the peer's INVITE makes. RFC 3261 §12.1.1.
    pub(crate) fn of_server(
        request: &Request,
        local_tag: &str,
        source: IpAddr,
    ) -> Result<Self, HeaderError> {
        let remote = request.from()?;
        Ok(Self {
            call_id: Text::from(request.call_id()?),
            local: request.to()?.with_tag(local_tag),
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.number),
            remote_target: match contact(request.headers.all(&Name::Contact)) {
                // A peer of RFC 2543 need not say more than who it is. RFC 4475 §3.4.1.
                Err(HeaderError::Missing(_)) if remote.tag().is_none() => remote.uri.clone(),
                target => target?,
            },
            remote,
            route_set: routes(request.headers.all(&Name::RecordRoute))?,
            source,
        })
    }

    /// The dialog that the first NOTIFY to a SUBSCRIBE of ours makes. RFC 6665 §4.4.1.
    pub(crate) fn of_notify(
        request: &Request,
        local_cseq: u32,
        source: IpAddr,
    ) -> Result<Self, HeaderError> {
        let local_tag = tag(&request.to()?).unwrap_or_default();
        Ok(Self {
            local_cseq,
            ..Self::of_server(request, &local_tag, source)?
        })
    }

    pub(crate) fn id(&self) -> DialogId {
        DialogId {
            call_id: self.call_id.clone(),
            local_tag: tag(&self.local).unwrap_or_default(),
            remote_tag: tag(&self.remote).unwrap_or_default(),
        }
    }

    /// A request of ours inside the dialog, with the next CSeq. RFC 3261 §12.2.1.1.
    pub(crate) fn request(&mut self, method: Method) -> Request {
        let number = self.next_cseq();
        self.request_numbered(method, number)
    }

    /// The CSeq of our next request, also of one that is sent once more. RFC 3261 §12.2.1.1.
    pub(crate) fn next_cseq(&mut self) -> u32 {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.local_cseq
    }

    /// A request of ours bore this number, which the next one has to exceed.
    pub(crate) fn note_local(&mut self, number: u32) {
        self.local_cseq = self.local_cseq.max(number);
    }

    /// Leaves the next number to a request that another half of the dialog sends.
    pub(crate) fn skip_number(&mut self) {
        self.local_cseq = self.local_cseq.saturating_add(1);
    }

    /// The ACK of an INVITE of ours: the number is the INVITE's (CHAT-06). RFC 3261 §13.2.2.4.
    pub(crate) fn ack(&self, invite_cseq: u32) -> Request {
        self.request_numbered(Method::Ack, invite_cseq)
    }

    fn request_numbered(&self, method: Method, number: u32) -> Request {
        // A first hop that is no loose router takes the place of the target. RFC 3261 §12.2.1.1.
        let strict = self.route_set.first().filter(|first| !first.uri.is_loose());
        let uri = strict.map_or(&self.remote_target, |first| &first.uri);
        let mut request = Request::new(method.clone(), uri.clone().without_headers());
        request
            .headers
            .push(Name::MaxForwards, Text::from_static(MAX_FORWARDS));
        for route in self.route_set.iter().skip(usize::from(strict.is_some())) {
            request.headers.push(Name::Route, Text::written(route));
        }
        if strict.is_some() {
            request
                .headers
                .push(Name::Route, format!("<{}>", self.remote_target));
        }
        request.headers.push(Name::From, Text::written(&self.local));
        request.headers.push(Name::To, Text::written(&self.remote));
        request.headers.push(Name::CallId, self.call_id.clone());
        request
            .headers
            .push(Name::CSeq, Text::written(&CSeq::new(number, method)));
        request
    }

    /// Where requests inside the dialog go first.
    pub(crate) fn next_hop(&self) -> NextHop {
        let first = self.route_set.first();
        NextHop {
            uri: first
                .map_or(&self.remote_target, |first| &first.uri)
                .clone(),
            named_by: Some(self.source),
        }
    }

    pub(crate) fn remote_tag(&self) -> Option<&str> {
        self.remote.tag()
    }

    /// Notes the CSeq of a request of the peer, which has to rise.
    pub(crate) fn accept(&mut self, number: u32) -> Result<(), OutOfOrder> {
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return Err(OutOfOrder);
        }
        self.remote_cseq = Some(number);
        Ok(())
    }

    /// Takes the Contact of a target refresh as the peer's address. RFC 3261 §12.2.1.2, §12.2.2.
    pub(crate) fn refresh(&mut self, target: Uri) {
        self.remote_target = target;
    }
}

/// The URI of the only Contact.
pub(crate) fn contact<'a>(mut values: impl Iterator<Item = &'a str>) -> Result<Uri, HeaderError> {
    let value = values.next().ok_or(HeaderError::Missing(Name::Contact))?;
    let contact = NameAddr::parse(value).ok_or(HeaderError::Malformed(Name::Contact))?;
    Ok(contact.uri)
}

fn routes<'a>(values: impl Iterator<Item = &'a str>) -> Result<Vec<NameAddr>, HeaderError> {
    values
        .map(|value| NameAddr::parse(value).ok_or(HeaderError::Malformed(Name::RecordRoute)))
        .collect()
}

fn tag(address: &NameAddr) -> Option<Text> {
    address.tag().map(Text::from)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::Status;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn invite(record_routes: &[&str]) -> Request {
        let mut request = Request::new(Method::Invite, "sip:romeo@example.net".parse().unwrap())
            .with_header(Name::From, "<sip:juliet@example.com>;tag=j")
            .with_header(Name::To, "<sip:romeo@example.net>")
            .with_header(Name::CallId, "c1")
            .with_header(Name::CSeq, "7 INVITE")
            .with_header(Name::Contact, "<sip:juliet@192.0.2.1:5060>");
        for route in record_routes {
            request.headers.push(Name::RecordRoute, *route);
        }
        request
    }

    fn answer(record_routes: &[&str]) -> Response {
        let mut response = Response::to_request(&invite(&[]), Status::OK);
        response
            .headers
            .set(Name::To, "<sip:romeo@example.net>;tag=r");
        response.headers.push(
            Name::Contact,
            "<sip:romeo@192.0.2.9:5070;transport=tcp>;+sip.message",
        );
        for route in record_routes {
            response.headers.push(Name::RecordRoute, *route);
        }
        response
    }

    /// SIP-05. The client's route set is reversed, its requests count up, the ACK keeps the INVITE's number.
    #[test]
    fn client_requests_follow_the_route_set() {
        let answer = answer(&["<sip:p2.example.org;lr>, <sip:p1.example.org;lr>"]);
        let mut dialog = Dialog::of_client(&invite(&[]), &answer, PEER).unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(
            bye.uri.to_string(),
            "sip:romeo@192.0.2.9:5070;transport=tcp"
        );
        let routes: Vec<_> = bye.headers.all(&Name::Route).collect();
        assert_eq!(
            routes,
            ["<sip:p1.example.org;lr>", "<sip:p2.example.org;lr>"]
        );
        assert_eq!(bye.headers.first(&Name::CSeq), Some("8 BYE"));
        assert_eq!(
            bye.headers.first(&Name::To),
            Some("<sip:romeo@example.net>;tag=r")
        );
        assert_eq!(dialog.ack(7).headers.first(&Name::CSeq), Some("7 ACK"));
        assert_eq!(dialog.next_hop().uri.to_string(), "sip:p1.example.org;lr");
    }

    /// SIP-05. A strict router becomes the Request-URI, the target the last Route.
    #[test]
    fn strict_routers_are_obeyed() {
        let request = invite(&["<sip:p1.example.org>, <sip:p2.example.org;lr>"]);
        let mut dialog = Dialog::of_server(&request, "r", PEER).unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:p1.example.org");
        let routes: Vec<_> = bye.headers.all(&Name::Route).collect();
        assert_eq!(
            routes,
            ["<sip:p2.example.org;lr>", "<sip:juliet@192.0.2.1:5060>"]
        );
        assert_eq!(bye.headers.first(&Name::CSeq), Some("1 BYE"));
        assert_eq!(
            bye.headers.first(&Name::From),
            Some("<sip:romeo@example.net>;tag=r")
        );
    }

    /// SIP-05. The peer's CSeq rises strictly; a target refresh moves it.
    #[test]
    fn order_and_target() {
        let mut dialog = Dialog::of_server(&invite(&[]), "r", PEER).unwrap();
        assert_eq!(dialog.accept(7), Err(OutOfOrder));
        assert_eq!(dialog.accept(9), Ok(()));
        assert_eq!(dialog.accept(8), Err(OutOfOrder));
        dialog.refresh("sip:juliet@192.0.2.2".parse().unwrap());
        assert_eq!(dialog.next_hop().uri.to_string(), "sip:juliet@192.0.2.2");
    }

    #[test]
    fn both_sides_name_the_same_dialog() {
        let client = Dialog::of_client(&invite(&[]), &answer(&[]), PEER)
            .unwrap()
            .id();
        let server = Dialog::of_server(&invite(&[]), "r", PEER).unwrap().id();
        assert_eq!(
            (client.local_tag, client.remote_tag),
            (server.remote_tag, server.local_tag)
        );
        let no_contact = Response::to_request(&invite(&[]), Status::OK);
        let dialog = Dialog::of_client(&invite(&[]), &no_contact, PEER).unwrap();
        assert_eq!(dialog.next_hop().uri.to_string(), "sip:romeo@example.net");
    }
}
