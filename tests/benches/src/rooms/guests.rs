//! SIP users in rooms of the XMPP server, which an XMPP user has made and stays in. RFC 7701, RFC 7702 §6.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Instant;

use super::focus::{is_own, refuse_iq};
use super::sip;
use super::stage::{Heard, Speaks, Stage};
use super::tally::Tally;
use super::{Rooms, Writer};
use crate::component::attribute;
use crate::servers::ROOMS;
use crate::wire::{self, PEERS, USERS, put};

/// All SIP users.
pub struct Guests {
    gateway: SocketAddr,
    /// By which they speak SIP to the gateway.
    connection: Option<usize>,
    guests: HashMap<usize, Guest>,
    user_by_connection: HashMap<usize, usize>,
    transaction: u64,
    /// Rooms that the XMPP user has wished to make.
    wished: usize,
    /// Rooms that the XMPP user is in.
    opened: HashSet<usize>,
}

struct Guest {
    room: usize,
    local: String,
    remote: String,
    connection: Option<usize>,
    /// Transaction of the wish for a nickname.
    naming: Vec<u8>,
}

impl Guests {
    /// Users who speak SIP with the gateway there.
    pub fn new(gateway: SocketAddr) -> Guests {
        Guests {
            gateway,
            connection: None,
            guests: HashMap::new(),
            user_by_connection: HashMap::new(),
            transaction: 0,
            wished: 0,
            opened: HashSet::new(),
        }
    }
}

impl Rooms for Guests {
    fn name(&self) -> &'static str {
        "MUC of SIP users"
    }

    /// The SIP user who writes gets no copy.
    fn receivers(&self, writer: Writer, occupants: usize) -> usize {
        match writer {
            Writer::Xmpp => occupants,
            Writer::Sip => occupants.saturating_sub(1),
        }
    }

    fn open(&mut self, rooms: usize, stage: &mut Stage) -> usize {
        // A few at a time, as a server likes it.
        let next = self.wished..rooms.min(self.wished + 100);
        self.wished = next.end;
        for room in next {
            put(
                stage.xmpp(),
                format_args!(
                    "<presence from='u99999@{USERS}/balcony' to='room{room:05}@{ROOMS}/owner'>\
                     <x xmlns='http://jabber.org/protocol/muc'><history maxchars='0'/></x></presence>"
                ),
            );
        }
        rooms.saturating_sub(self.opened.len())
    }

    fn join(&mut self, user: usize, room: usize, stage: &mut Stage) {
        let at = match self.connection {
            Some(at) => at,
            None => match stage.connect(self.gateway, Speaks::Sip) {
                Ok(at) => *self.connection.insert(at),
                // Nobody gets in, then, and is missed.
                Err(_) => return,
            },
        };
        let local = format!("msrp://127.0.0.1:9/g{user:05};tcp");
        let head = format!(
            "{}Call-ID: i{user:05}@bench\r\nCSeq: 1 INVITE\r\n{}Content-Type: application/sdp\r\n",
            addresses(user, room, ""),
            contact(user, stage.port)
        );
        self.transaction += 1;
        let first = format!("INVITE sip:room{room:05}@{ROOMS}");
        let (port, sdp) = (stage.port, sip::description(&local));
        sip::request(stage.out(at), &first, port, self.transaction, &head, &sdp);
        self.guests.insert(
            user,
            Guest {
                room,
                local,
                remote: String::new(),
                connection: None,
                naming: Vec::new(),
            },
        );
    }

    fn say(&mut self, writer: Writer, seq: u32, stage: &mut Stage) {
        match writer {
            Writer::Xmpp => {
                let out = stage.xmpp();
                put(
                    out,
                    format_args!(
                        "<message from='u99999@{USERS}/balcony' to='room00000@{ROOMS}' type='groupchat' id='m{seq:08}'><body>"
                    ),
                );
                wire::body(out, seq);
                out.extend_from_slice(b"</body></message>");
            }
            Writer::Sip => {
                let Some(guest) = self.guests.get(&0) else {
                    return;
                };
                let Some(at) = guest.connection else { return };
                let room = format!("sip:room00000@{ROOMS}");
                let said = sip::cpim(&format!("sip:romeo00000@{PEERS}"), &room, seq);
                self.transaction += 1;
                let out = stage.out(at);
                sip::send(out, &guest.remote, &guest.local, self.transaction, &said);
            }
        }
    }

    fn take(&mut self, heard: Heard, stage: &mut Stage, tally: &mut Tally) {
        match heard {
            Heard::Stanza(stanza) => self.take_stanza(&stanza, stage, tally),
            Heard::Sip(at, message) => match sip::status(&message) {
                Some(status) => self.answered(status, &message, stage, tally),
                None => self.take_request(at, &message, stage, tally),
            },
            Heard::Msrp(at, bytes) => self.take_msrp(at, &bytes, stage, tally),
            Heard::Closed(at) => {
                if let Some(user) = self.user_by_connection.remove(&at) {
                    tally.refused(user, "the MSRP connection was closed");
                }
            }
        }
    }

    fn tick(&mut self, _: Instant, _: &mut Stage) {}
}

impl Guests {
    fn take_stanza(&mut self, stanza: &str, stage: &mut Stage, tally: &mut Tally) {
        let (opening, rest) = stanza.split_once('>').unwrap_or((stanza, ""));
        let kind = attribute(opening, " type=");
        match opening.get(1..2) {
            Some("p") if kind.is_none() && is_own(rest) => {
                self.opened.extend(sip::number_after(opening, "room"));
            }
            Some("m") if kind == Some("error") => tally.returned(rest),
            Some("i") if matches!(kind, Some("get" | "set")) => refuse_iq(opening, stage),
            _ => {}
        }
    }

    fn answered(&mut self, status: u16, response: &[u8], stage: &mut Stage, tally: &mut Tally) {
        let call_id = sip::header(response, "Call-ID:");
        let user = call_id.get(1..6).and_then(|user| user.parse().ok());
        let (Some(user), 200..) = (user, status) else {
            return;
        };
        let is_invite = sip::header(response, "CSeq:").ends_with("INVITE");
        if status >= 300 {
            let first = response.split(|byte| *byte == b'\r').next();
            let first = String::from_utf8_lossy(first.unwrap_or_default()).into_owned();
            tally.refused(user, &first);
        }
        if is_invite {
            self.acknowledge(user, response, stage);
            if status < 300 {
                self.enter(user, response, stage);
            }
        }
    }

    fn acknowledge(&mut self, user: usize, response: &[u8], stage: &mut Stage) {
        let (Some(guest), Some(at)) = (self.guests.get(&user), self.connection) else {
            return;
        };
        let room = guest.room;
        let to = sip::header(response, "To:");
        let contact = sip::header(response, "Contact:");
        let target = match sip::uri_in(&contact) {
            "" => format!("sip:room{room:05}@{ROOMS}"),
            target => target.to_owned(),
        };
        let head = format!(
            "From: <sip:romeo{user:05}@{PEERS}>;tag=g{user:05}\r\nTo: {to}\r\nCall-ID: i{user:05}@bench\r\nCSeq: 1 ACK\r\n"
        );
        self.transaction += 1;
        let port = stage.port;
        let first = format!("ACK {target}");
        sip::request(stage.out(at), &first, port, self.transaction, &head, "");
    }

    /// Connects, binds, wishes for a nickname, and subscribes.
    fn enter(&mut self, user: usize, response: &[u8], stage: &mut Stage) {
        let Some(guest) = self.guests.get_mut(&user) else {
            return;
        };
        if guest.connection.is_some() {
            return;
        }
        guest.remote = sip::header(response, "a=path:");
        let Some(address) = sip::authority(&guest.remote) else {
            return;
        };
        if let Ok(at) = stage.connect(address, Speaks::Msrp) {
            guest.connection = Some(at);
            self.user_by_connection.insert(at, user);
            self.transaction += 2;
            let (to, from, naming) = (&guest.remote, &guest.local, self.transaction);
            sip::bind(stage.out(at), to, from, naming - 1);
            sip::nickname(stage.out(at), to, from, naming, &format!("guest{user:05}"));
            guest.naming = format!("t{naming:08}").into_bytes();
        }
        let room = guest.room;
        let head = format!(
            "{}Call-ID: s{user:05}@bench\r\nCSeq: 1 SUBSCRIBE\r\n{}Event: conference\r\n\
             Accept: application/conference-info+xml\r\nExpires: 3600\r\n",
            addresses(user, room, "s"),
            contact(user, stage.port)
        );
        self.transaction += 1;
        let first = format!("SUBSCRIBE sip:room{room:05}@{ROOMS}");
        if let Some(at) = self.connection {
            let port = stage.port;
            sip::request(stage.out(at), &first, port, self.transaction, &head, "");
        }
    }

    fn take_request(&mut self, at: usize, request: &[u8], stage: &mut Stage, tally: &mut Tally) {
        let nothing = format_args!("{}", wire::NOTHING);
        match sip::method(request) {
            b"ACK" => return,
            b"BYE" => {
                let user = wire::pair_of(sip::header(request, "To:").as_bytes());
                let reason = sip::header(request, "Reason:");
                tally.refused(user.unwrap_or(usize::MAX), &format!("BYE: {reason}"));
            }
            _ => {}
        }
        sip::respond(stage.out(at), request, "200 OK", nothing);
    }

    fn take_msrp(&mut self, at: usize, bytes: &[u8], stage: &mut Stage, tally: &mut Tally) {
        let user = self.user_by_connection.get(&at).copied();
        let (Some(frame), Some(user)) = (wire::frame(bytes), user) else {
            return;
        };
        let Some(guest) = self.guests.get(&user) else {
            return;
        };
        let status = String::from_utf8_lossy(frame.what);
        match frame.what {
            b"SEND" => {
                let (to, from) = (&guest.remote, &guest.local);
                wire::ok(stage.out(at), to, from, frame.transaction);
                if let Some(seq) = wire::seq_of(bytes) {
                    tally.delivered(user, seq, Instant::now());
                }
            }
            b"REPORT" => {}
            _ if frame.transaction == guest.naming => match status.starts_with("200") {
                true => tally.joined(user),
                false => tally.refused(user, &format!("NICKNAME: {status}")),
            },
            _ if status.starts_with("200") => {}
            _ => tally.returned(&format!("MSRP {status}")),
        }
    }
}

/// From and To, in a dialog of that mark.
fn addresses(user: usize, room: usize, mark: &str) -> String {
    format!(
        "From: <sip:romeo{user:05}@{PEERS}>;tag=g{mark}{user:05}\r\nTo: <sip:room{room:05}@{ROOMS}>\r\n"
    )
}

fn contact(user: usize, port: u16) -> String {
    format!("Contact: <sip:romeo{user:05}@127.0.0.1:{port};transport=tcp>\r\n")
}
