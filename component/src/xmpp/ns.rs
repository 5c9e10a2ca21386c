//! The namespaces the link itself reads or writes.

/// Stanzas between a component and its server. XEP-0114.
pub(super) const COMPONENT: &str = "jabber:component:accept";
/// The stream itself, and its errors. RFC 6120 §4.8.1.
pub(super) const STREAM: &str = "http://etherx.jabber.org/streams";
/// Stream error conditions. RFC 6120 §4.9.2.
pub(super) const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Stanza error conditions. RFC 6120 §8.3.2.
pub(super) const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// Chat states. XEP-0085.
pub(super) const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
/// Delivery receipts. XEP-0184.
pub(super) const RECEIPTS: &str = "urn:xmpp:receipts";
/// Chat markers. XEP-0333.
pub(super) const MARKERS: &str = "urn:xmpp:chat-markers:0";
/// Delayed delivery. XEP-0203.
pub(super) const DELAY: &str = "urn:xmpp:delay";
/// User nicknames. XEP-0172.
pub(super) const NICK: &str = "http://jabber.org/protocol/nick";
/// Processing hints. XEP-0334.
pub(super) const HINTS: &str = "urn:xmpp:hints";
/// Message carbons. XEP-0280.
pub(super) const CARBONS: &str = "urn:xmpp:carbons:2";
/// Entering a room. XEP-0045.
pub(super) const MUC: &str = "http://jabber.org/protocol/muc";
/// What a room tells about its occupants, and invitations by way of it. XEP-0045.
pub(super) const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// The settings of a room. XEP-0045 §10.
pub(super) const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// Invitations to rooms from user to user. XEP-0249.
pub(super) const CONFERENCE: &str = "jabber:x:conference";
/// Ids of stanzas that are the archive's or the writing client's. XEP-0359.
pub(super) const STANZA_IDS: &str = "urn:xmpp:sid:0";
/// Ids of occupants that outlive a change of nickname. XEP-0421.
pub(super) const OCCUPANT_IDS: &str = "urn:xmpp:occupant-id:0";
/// Forms. XEP-0004.
pub(super) const DATA_FORMS: &str = "jabber:x:data";
/// What an address is and can do. XEP-0030 §3.
pub(super) const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Whether somebody is there. XEP-0199.
pub(super) const PING: &str = "urn:xmpp:ping";
/// A room gives the ids of messages back as they were. XEP-0045 §7.4.
pub(super) const MUC_STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";
/// A room answers pings to one's own occupant address itself. XEP-0410.
pub(super) const MUC_SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
/// What is told about a room. XEP-0045 §15.5.2.
pub(super) const MUC_ROOM_INFO: &str = "http://jabber.org/protocol/muc#roominfo";
/// Who may do what in a room. XEP-0045 §9.
pub(super) const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// Registration. XEP-0077.
pub(super) const REGISTER: &str = "jabber:iq:register";
