//! MSRP chat rooms: the focus that XMPP users are brought to, and the switch that hands on what they write. RFC 7701,
//! RFC 4575.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::sip;
use super::stage::{Heard, Speaks, Stage};
use super::tally::Tally;
use super::{Rooms, Writer};
use crate::component::attribute;
use crate::wire::{self, GATEWAY, PEERS, USERS, put};

/// Changes of a room are told together, so often.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// All rooms, with everybody in them.
#[derive(Default)]
pub struct Focus {
    rooms: Vec<Room>,
    members: HashMap<usize, Member>,
    user_by_call: HashMap<String, usize>,
    user_by_connection: HashMap<usize, usize>,
    transaction: u64,
    told_at: Option<Instant>,
}

#[derive(Default)]
struct Room {
    present: Vec<usize>,
    /// Who came, or changed the nickname, in this order.
    changes: Vec<usize>,
}

/// A session of the gateway, for the XMPP user of the same number.
struct Member {
    room: usize,
    local: String,
    remote: String,
    connection: Option<usize>,
    answer: Vec<u8>,
    nickname: Option<String>,
    subscription: Option<Subscription>,
}

/// Who is told of a room's changes.
struct Subscription {
    connection: usize,
    target: String,
    /// From, To, Call-ID and Event of each NOTIFY.
    head: String,
    cseq: u32,
    version: u32,
    /// How many of the room's changes it knows.
    known: usize,
}

impl Rooms for Focus {
    fn name(&self) -> &'static str {
        "MSRP room of XMPP users"
    }

    /// The XMPP user who writes gets a copy too; the other writer is none of them.
    fn receivers(&self, _: Writer, occupants: usize) -> usize {
        occupants
    }

    fn open(&mut self, rooms: usize, _: &mut Stage) -> usize {
        self.rooms.resize_with(rooms, Room::default);
        0
    }

    fn join(&mut self, user: usize, room: usize, stage: &mut Stage) {
        put(
            stage.xmpp(),
            format_args!(
                "<presence from='u{user:05}@{USERS}/balcony' to='room{room:05}@{GATEWAY}/guest{user:05}' id='j{user:05}'>\
                 <x xmlns='http://jabber.org/protocol/muc'/></presence>"
            ),
        );
    }

    fn say(&mut self, writer: Writer, seq: u32, stage: &mut Stage) {
        match writer {
            Writer::Xmpp => {
                let out = stage.xmpp();
                put(
                    out,
                    format_args!(
                        "<message from='u00000@{USERS}/balcony' to='room00000@{GATEWAY}' type='groupchat' id='m{seq:08}'><body>"
                    ),
                );
                wire::body(out, seq);
                out.extend_from_slice(b"</body></message>");
            }
            Writer::Sip => {
                let room = format!("sip:room00000@{PEERS}");
                let said = sip::cpim(&format!("sip:ben@{PEERS}"), &room, seq);
                self.hand_on(0, None, &said, stage);
            }
        }
    }

    fn take(&mut self, heard: Heard, stage: &mut Stage, tally: &mut Tally) {
        match heard {
            Heard::Stanza(stanza) => take_stanza(&stanza, stage, tally),
            Heard::Sip(at, message) => self.take_sip(at, &message, stage, tally),
            Heard::Msrp(at, bytes) => self.take_msrp(at, &bytes, stage, tally),
            Heard::Closed(at) => {
                if let Some(user) = self.user_by_connection.remove(&at) {
                    tally.refused(user, "the MSRP connection was closed");
                }
            }
        }
    }

    fn tick(&mut self, now: Instant, stage: &mut Stage) {
        if self.told_at.is_some_and(|told| now < told + TOLD_EVERY) {
            return;
        }
        self.told_at = Some(now);
        let users: Vec<usize> = self.members.keys().copied().collect();
        for user in users {
            self.tell(user, stage);
        }
    }
}

impl Focus {
    fn take_sip(&mut self, at: usize, message: &[u8], stage: &mut Stage, tally: &mut Tally) {
        let user = wire::user_of(sip::header(message, "From:").as_bytes());
        if let Some(status) = sip::status(message) {
            let user = wire::user_of(sip::header(message, "To:").as_bytes());
            if let (300.., Some(user)) = (status, user) {
                tally.refused(user, &format!("{status} to a NOTIFY"));
            }
            return;
        }
        let nothing = format_args!("{}", wire::NOTHING);
        match (sip::method(message), user) {
            (b"INVITE", Some(user)) => match self.invited(user, message, stage.port) {
                Some(answer) => stage.out(at).extend_from_slice(&answer),
                None => sip::respond(stage.out(at), message, "488 Not Acceptable Here", nothing),
            },
            (b"ACK", Some(user)) => self.connect(user, stage),
            (b"SUBSCRIBE", Some(user)) => self.subscribed(at, user, message, stage),
            (b"BYE", Some(user)) => {
                sip::respond(stage.out(at), message, "200 OK", nothing);
                self.left(user, stage);
            }
            (b"ACK", None) => {}
            _ => sip::respond(stage.out(at), message, "200 OK", nothing),
        }
    }

    fn invited(&mut self, user: usize, invite: &[u8], port: u16) -> Option<Vec<u8>> {
        let room = sip::number_after(&sip::target(invite), "room")?;
        let remote = sip::header(invite, "a=path:");
        let call_id = sip::header(invite, "Call-ID:");
        if let Some(known) = self.user_by_call.get(&call_id) {
            return Some(self.members.get(known)?.answer.clone());
        }
        let local = format!("msrp://127.0.0.1:9/f{user:05};tcp");
        let sdp = sip::description(&local);
        let mut answer = Vec::new();
        sip::respond(
            &mut answer,
            invite,
            "200 OK",
            format_args!(
                "Contact: <sip:room{room:05}@127.0.0.1:{port};transport=tcp>;isfocus\r\nAllow-Events: conference\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            ),
        );
        let here = self.rooms.get_mut(room)?;
        here.present.push(user);
        here.changes.push(user);
        self.user_by_call.insert(call_id, user);
        self.members.insert(
            user,
            Member {
                room,
                local,
                remote,
                connection: None,
                answer: answer.clone(),
                nickname: None,
                subscription: None,
            },
        );
        Some(answer)
    }

    /// Connects to the gateway and binds.
    fn connect(&mut self, user: usize, stage: &mut Stage) {
        let Some(member) = self.members.get_mut(&user) else {
            return;
        };
        if member.connection.is_some() {
            return;
        }
        // A member that cannot be connected never gets in, and is missed.
        let Some(address) = sip::authority(&member.remote) else {
            return;
        };
        if let Ok(at) = stage.connect(address, Speaks::Msrp) {
            self.transaction += 1;
            sip::bind(
                stage.out(at),
                &member.remote,
                &member.local,
                self.transaction,
            );
            member.connection = Some(at);
            self.user_by_connection.insert(at, user);
        }
    }

    fn subscribed(&mut self, at: usize, user: usize, request: &[u8], stage: &mut Stage) {
        let Some(member) = self.members.get_mut(&user) else {
            let nothing = format_args!("{}", wire::NOTHING);
            return sip::respond(stage.out(at), request, "403 Forbidden", nothing);
        };
        let (room, port) = (member.room, stage.port);
        let expires = sip::header(request, "Expires:");
        sip::respond(
            stage.out(at),
            request,
            "200 OK",
            format_args!(
                "Contact: <sip:room{room:05}@127.0.0.1:{port};transport=tcp>;isfocus\r\nExpires: {expires}\r\n{}",
                wire::NOTHING
            ),
        );
        let mut to = sip::header(request, "To:");
        if !to.contains(";tag=") {
            to.push_str(";tag=peer");
        }
        let known = member.subscription.take();
        let subscription = Subscription {
            connection: at,
            target: sip::uri_in(&sip::header(request, "Contact:")).to_owned(),
            head: format!(
                "From: {to}\r\nTo: {}\r\nCall-ID: {}\r\nEvent: {}\r\n\
                 Contact: <sip:room{room:05}@127.0.0.1:{port};transport=tcp>;isfocus\r\n",
                sip::header(request, "From:"),
                sip::header(request, "Call-ID:"),
                sip::header(request, "Event:"),
            ),
            cseq: known.as_ref().map_or(0, |known| known.cseq),
            version: known.map_or(0, |known| known.version),
            known: 0,
        };
        member.subscription = Some(subscription);
        if expires == "0" {
            self.last_notice(user, stage);
        } else {
            self.tell(user, stage);
        }
    }

    fn last_notice(&mut self, user: usize, stage: &mut Stage) {
        let subscription = self.members.get_mut(&user);
        let subscription = subscription.and_then(|member| member.subscription.take());
        if let Some(subscription) = subscription {
            self.transaction += 1;
            let head = format!(
                "{}CSeq: {} NOTIFY\r\nSubscription-State: terminated;reason=timeout\r\n",
                subscription.head,
                subscription.cseq + 1
            );
            let first = format!("NOTIFY {}", subscription.target);
            let port = stage.port;
            let out = stage.out(subscription.connection);
            sip::request(out, &first, port, self.transaction, &head, "");
        }
    }

    /// What the subscriber does not know yet: at first everything, then who came since.
    fn tell(&mut self, user: usize, stage: &mut Stage) {
        let Some(member) = self.members.get(&user) else {
            return;
        };
        let Some(room) = self.rooms.get(member.room) else {
            return;
        };
        let Some(subscription) = &member.subscription else {
            return;
        };
        if subscription.known == room.changes.len() {
            return;
        }
        let (state, told) = match subscription.known {
            0 => ("full", room.present.clone()),
            known => {
                let mut told = room.changes.get(known..).unwrap_or_default().to_vec();
                told.sort_unstable();
                told.dedup();
                ("partial", told)
            }
        };
        let (number, known) = (member.room, room.changes.len());
        let version = subscription.version + 1;
        let body = self.document(number, state, version, &told);
        let member = self.members.get_mut(&user);
        let Some(subscription) = member.and_then(|member| member.subscription.as_mut()) else {
            return;
        };
        (subscription.version, subscription.known) = (version, known);
        subscription.cseq += 1;
        self.transaction += 1;
        let head = format!(
            "{}CSeq: {} NOTIFY\r\nSubscription-State: active;expires=3600\r\n\
             Content-Type: application/conference-info+xml\r\n",
            subscription.head, subscription.cseq
        );
        let first = format!("NOTIFY {}", subscription.target);
        let port = stage.port;
        let out = stage.out(subscription.connection);
        sip::request(out, &first, port, self.transaction, &head, &body);
    }

    fn document(&self, room: usize, state: &str, version: u32, told: &[usize]) -> String {
        let present = self.rooms.get(room).map_or(0, |room| room.present.len());
        let mut users = match (room, state) {
            (0, "full") => Self::user(&format!("sip:ben@{PEERS}"), "Ben"),
            _ => String::new(),
        };
        for user in told {
            let Some(member) = self.members.get(user) else {
                continue;
            };
            let name = match &member.nickname {
                Some(nickname) => nickname.clone(),
                None => format!("u{user:05}"),
            };
            users.push_str(&Self::user(&format!("sip:u{user:05}@{USERS}"), &name));
        }
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" \
             xmlns:xcon=\"urn:ietf:params:xml:ns:xcon-conference-info\" \
             entity=\"sip:room{room:05}@{PEERS}\" state=\"{state}\" version=\"{version}\">\
             <conference-description><subject>Today in Verona</subject></conference-description>\
             <conference-state><user-count>{present}</user-count></conference-state>\
             <users state=\"{state}\">{users}</users></conference-info>"
        )
    }

    fn user(entity: &str, name: &str) -> String {
        format!(
            "<user entity=\"{entity}\" state=\"full\" xcon:nickname=\"{name}\">\
             <display-text>{name}</display-text><roles><entry>participant</entry></roles>\
             <endpoint entity=\"{entity};gr=1\"><status>connected</status>\
             <media id=\"1\"><type>message</type></media></endpoint></user>"
        )
    }

    fn left(&mut self, user: usize, stage: &mut Stage) {
        if let Some(member) = self.members.remove(&user) {
            if let Some(room) = self.rooms.get_mut(member.room) {
                room.present.retain(|present| *present != user);
            }
            if let Some(at) = member.connection {
                self.user_by_connection.remove(&at);
                stage.close(at);
            }
        }
        self.user_by_call.retain(|_, known| *known != user);
    }

    fn take_msrp(&mut self, at: usize, bytes: &[u8], stage: &mut Stage, tally: &mut Tally) {
        let user = self.user_by_connection.get(&at).copied();
        let (Some(frame), Some(user)) = (wire::frame(bytes), user) else {
            return;
        };
        let Some(member) = self.members.get_mut(&user) else {
            return;
        };
        let (to, from, room) = (&member.remote, &member.local, member.room);
        match frame.what {
            b"SEND" => {
                wire::ok(stage.out(at), to, from, frame.transaction);
                if let Some(said) = sip::said(&frame) {
                    self.hand_on(room, Some(user), said, stage);
                }
            }
            b"NICKNAME" => {
                wire::ok(stage.out(at), to, from, frame.transaction);
                let nickname = sip::header(bytes, "Use-Nickname:");
                member.nickname = Some(nickname.trim_matches('"').to_owned());
                if let Some(room) = self.rooms.get_mut(room) {
                    room.changes.push(user);
                }
                self.tell(user, stage);
            }
            what if what.starts_with(b"200") || what == b"REPORT" => {}
            what => {
                tally.returned_copy(&format!("MSRP {}", String::from_utf8_lossy(what)));
            }
        }
    }

    /// A copy for everybody in the room but who wrote it.
    fn hand_on(&mut self, room: usize, writer: Option<usize>, said: &[u8], stage: &mut Stage) {
        let Some(room) = self.rooms.get(room) else {
            return;
        };
        for user in room.present.iter().filter(|user| Some(**user) != writer) {
            let Some(member) = self.members.get(user) else {
                continue;
            };
            if let Some(at) = member.connection {
                self.transaction += 1;
                let out = stage.out(at);
                sip::send(out, &member.remote, &member.local, self.transaction, said);
            }
        }
    }
}

/// A stanza to one of the XMPP users.
fn take_stanza(stanza: &str, stage: &mut Stage, tally: &mut Tally) {
    let (opening, rest) = stanza.split_once('>').unwrap_or((stanza, ""));
    let to = attribute(opening, " to=").unwrap_or_default();
    let Some(user) = wire::user_of(to.as_bytes()) else {
        return;
    };
    let kind = attribute(opening, " type=");
    let is_own = is_own(rest);
    if opening.starts_with("<presence") {
        match kind {
            None if is_own => tally.joined(user),
            Some("error") => tally.refused(user, rest),
            Some("unavailable") if is_own => tally.refused(user, rest),
            _ => {}
        }
    } else if opening.starts_with("<message") {
        match (kind, wire::seq_of(stanza.as_bytes())) {
            (Some("error"), _) => tally.returned(rest),
            (Some("groupchat"), Some(seq)) => tally.delivered(user, seq, Instant::now()),
            _ => {}
        }
    } else if opening.starts_with("<iq") && matches!(kind, Some("get" | "set")) {
        refuse_iq(opening, stage);
    }
}

/// Whether a presence is that of its receiver.
pub fn is_own(presence: &str) -> bool {
    presence.contains("code='110'") || presence.contains("code=\"110\"")
}

/// Nobody here answers questions.
pub fn refuse_iq(opening: &str, stage: &mut Stage) {
    let value = |name| attribute(opening, name).unwrap_or_default();
    let (to, from, id) = (value(" from="), value(" to="), value(" id="));
    put(
        stage.xmpp(),
        format_args!(
            "<iq type='error' to='{to}' from='{from}' id='{id}'><error type='cancel'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ),
    );
}
