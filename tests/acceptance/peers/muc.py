"""An XMPP user in a room (XEP-0045), whoever runs it: a server, or the gateway for a room of the SIP world."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from ..errors import FlowFailed, equal, require
from ..mailbox import PATIENCE, Mailbox
from ..servers.base import ROOMS
from . import stanza as write
from .stanza import CLIENT, Stanza
from .xmpp_user import XmppUser

MUC = "http://jabber.org/protocol/muc"
USER = f"{{{MUC}#user}}"
_ADMIN = f"{MUC}#admin"
_OWNER = f"{MUC}#owner"


@dataclass(frozen=True)
class Item:
    """What a presence or message of a room says of an occupant."""

    affiliation: str | None
    role: str | None
    jid: str | None
    nick: str | None
    reason: str | None


def statuses(stanza: Stanza) -> set[int]:
    """The status codes of a stanza."""
    return {int(status.get("code", "0")) for status in stanza.xml.iterfind(f"{USER}x/{USER}status")}


def item(stanza: Stanza) -> Item:
    """What a stanza says of an occupant; a presence of a room must."""
    found = stanza.xml.find(f"{USER}x/{USER}item")
    require(found is not None, f"XEP-0045: an item in {stanza}")
    assert found is not None
    return Item(
        found.get("affiliation"),
        found.get("role"),
        found.get("jid"),
        found.get("nick"),
        found.findtext(f"{USER}reason"),
    )


def user_element(stanza: Stanza, name: str) -> ET.Element | None:
    """`invite`, `decline`, `destroy` or another child of muc#user's x."""
    return stanza.xml.find(f"{USER}x/{USER}{name}")


@dataclass
class Arrival:
    """What a join brought, in order."""

    others: dict[str, Stanza] = field(default_factory=dict)
    """The presences of those who were there, by nickname."""
    own: Stanza | None = None
    history: list[Stanza] = field(default_factory=list)
    subject: str | None = None

    @property
    def statuses(self) -> set[int]:
        return statuses(self.own) if self.own is not None else set()


class Occupancy:
    """One device of a user in one room; what comes from the room goes to a mailbox of its own."""

    def __init__(self, user: XmppUser, room: str) -> None:
        self.user = user
        self.room = room
        self.nick = ""
        self.inbox: Mailbox[Stanza] = Mailbox(f"{user.name} in {room}")
        self.roster: dict[str, Stanza] = {}
        """The last presence of each who is there."""
        self._by_server = room.endswith(f"@{ROOMS}")
        user.mailboxes[room] = self.inbox

    def occupant(self, nick: str) -> str:
        return f"{self.room}/{nick}"

    # Coming and going.

    def ask_to_join(
        self, nick: str | None, *, password: str | None = None, history: str = "", id: str | None = None
    ) -> str:
        """The join, whatever comes of it; its id."""
        self.nick = nick or ""
        id = id or write.new_id()
        inner = f"<password>{escape(password)}</password>" if password is not None else ""
        to = self.occupant(nick) if nick is not None else self.room
        self.user.send(f"<presence to={quoteattr(to)} id='{id}'><x xmlns='{MUC}'>{history}{inner}</x></presence>")
        return id

    async def join(
        self,
        nick: str,
        *,
        password: str | None = None,
        history: str = "<history maxstanzas='20'/>",
        timeout: float = 15.0,
    ) -> Arrival:
        """A join that must succeed: others, oneself, history, subject, in this order (XEP-0045 §7.1)."""
        self.ask_to_join(nick, password=password, history=history)
        return await self.arrive(timeout)

    async def arrive(self, timeout: float = 15.0) -> Arrival:
        """What a join brings, as far as the subject."""
        arrival = Arrival()
        while arrival.subject is None:
            got = await self.take("what a join brings", timeout)
            require(got.type != "error", f"{self.user.name} could not join: {got}")
            if got.kind == "presence":
                require(arrival.own is None, f"RX-03: presence after the own one: {got}")
                if 110 in statuses(got):
                    arrival.own = got
                    self.nick = got.sender.partition("/")[2]
                else:
                    arrival.others[got.sender.partition("/")[2]] = got
            else:
                require(arrival.own is not None, f"RX-03: a message before the own presence: {got}")
                equal(got.type, "groupchat", f"type of {got}")
                if is_subject(got):
                    arrival.subject = got.subject
                else:
                    arrival.history.append(got)
        return arrival

    async def create(self, nick: str, **options: str) -> Arrival:
        """A join of a server's room that nobody is in, and its unlocking; `options` are of muc#roomconfig."""
        arrival = await self.join(nick)
        require(201 in arrival.statuses, f"{self.room} is new")
        await self.configure(**options)
        return arrival

    async def configure(self, **options: str) -> None:
        fields = "".join(
            f"<field var='muc#roomconfig_{name}'><value>{escape(value)}</value></field>"
            for name, value in options.items()
        )
        form = (
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            f"<value>{MUC}#roomconfig</value></field>{fields}</x>"
        )
        answer = await self.user.ask(self.room, f"<query xmlns='{_OWNER}'>{form}</query>", "set")
        equal(answer.type, "result", f"configuration of {self.room}: {answer}")

    def leave(self, status: str | None = None) -> None:
        """Unavailable presence; the room's answer comes later."""
        inner = f"<status>{escape(status)}</status>" if status else ""
        self.user.send(f"<presence to={quoteattr(self.occupant(self.nick))} type='unavailable'>{inner}</presence>")

    async def left(self) -> Stanza:
        """Leaves and reads the room's answer; whatever comes before it is dropped."""
        self.leave()
        while True:
            got = await self.take("the own unavailable presence")
            if got.kind == "presence" and got.type == "unavailable" and 110 in statuses(got):
                return got

    async def destroy(self, reason: str = "", venue: str | None = None) -> None:
        jid = f" jid='{venue}'" if venue else ""
        inner = f"<reason>{escape(reason)}</reason>" if reason else ""
        answer = await self.user.ask(
            self.room, f"<query xmlns='{_OWNER}'><destroy{jid}>{inner}</destroy></query>", "set"
        )
        equal(answer.type, "result", f"end of {self.room}: {answer}")

    # In the room.

    def say(self, text: str, *, id: str | None = None, payload: str = "") -> str:
        return self.user.say(self.room, text, id=id, type="groupchat", payload=payload)

    def whisper(self, nick: str, text: str, *, type: str | None = "chat") -> str:
        return self.user.say(self.occupant(nick), text, type=type, payload=f"<x xmlns='{USER[1:-1]}'/>")

    def entitle(self, subject: str) -> str:
        id = write.new_id()
        self.user.send(
            f"<message to={quoteattr(self.room)} type='groupchat' id='{id}'><subject>{escape(subject)}</subject></message>"
        )
        return id

    def rename(self, nick: str) -> str:
        """Asks for another nickname; `renamed` or `expect_error` tells."""
        id = write.new_id()
        self.user.send(f"<presence to={quoteattr(self.occupant(nick))} id='{id}'/>")
        return id

    async def renamed(self, old: str, new: str, *, own: bool) -> None:
        """The pair of presences that tells of a changed nickname (XEP-0045 §7.6)."""
        gone = await self.expect_gone(old, statuses={303, 110} if own else {303})
        equal(item(gone).nick, new, f"new nickname in {gone}")
        await self.expect_presence(new, own=own)
        if own:
            self.nick = new

    async def admin(self, **attributes: str) -> Stanza:
        """Changes a role or an affiliation; the answer. `reason` is told."""
        reason = attributes.pop("reason", None)
        inner = f"<reason>{escape(reason)}</reason>" if reason else ""
        named = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
        query = f"<query xmlns='{_ADMIN}'><item{named}>{inner}</item></query>"
        return await self.user.ask(self.room, query, "set")

    async def kick(self, nick: str, reason: str | None = None) -> None:
        answer = await self.admin(nick=nick, role="none", **({"reason": reason} if reason else {}))
        equal(answer.type, "result", f"kick: {answer}")

    async def ban(self, jid: str, reason: str | None = None) -> None:
        answer = await self.admin(jid=jid, affiliation="outcast", **({"reason": reason} if reason else {}))
        equal(answer.type, "result", f"ban: {answer}")

    def invite(self, jid: str, reason: str | None = None) -> str:
        """A mediated invitation (XEP-0045 §7.8.2); its id."""
        id = write.new_id()
        inner = f"<reason>{escape(reason)}</reason>" if reason else ""
        self.user.send(
            f"<message to={quoteattr(self.room)} id='{id}'><x xmlns='{USER[1:-1]}'>"
            f"<invite to={quoteattr(jid)}>{inner}</invite></x></message>"
        )
        return id

    def invite_directly(self, jid: str, reason: str = "") -> str:
        """XEP-0249."""
        id = write.new_id()
        self.user.send(
            f"<message to={quoteattr(jid)} id='{id}'>"
            f"<x xmlns='jabber:x:conference' jid={quoteattr(self.room)} reason={quoteattr(reason)}/></message>"
        )
        return id

    def decline(self, inviter: str, reason: str = "") -> None:
        inner = f"<reason>{escape(reason)}</reason>" if reason else ""
        self.user.send(
            f"<message to={quoteattr(self.room)}><x xmlns='{USER[1:-1]}'>"
            f"<decline to={quoteattr(inviter)}>{inner}</decline></x></message>"
        )

    async def ping(self) -> Stanza:
        """Asks whether the own occupant is still there (XEP-0410); the answer."""
        return await self.user.ask(self.occupant(self.nick), "<ping xmlns='urn:xmpp:ping'/>")

    # What comes.

    async def take(self, what: str, timeout: float = PATIENCE) -> Stanza:
        """The next stanza from the room or somebody in it."""
        got = await self.inbox.take(what, timeout)
        while self._by_server and self._is_of_no_concern(got):
            got = await self.inbox.take(what, timeout)
        nick = got.sender.partition("/")[2]
        if got.kind == "presence" and got.type is None:
            self.roster[nick] = got
        elif got.kind == "presence" and got.type == "unavailable":
            self.roster.pop(nick, None)
        equal(got.to, self.user.full, f"RX-14: a room speaks to the real address: {got}")
        return got

    def _is_of_no_concern(self, got: Stanza) -> bool:
        """Servers' rooms tell that their configuration has changed, and ejabberd's what they themselves can do."""
        if got.sender != self.room or got.type == "error":
            return False
        return got.kind == "presence" or bool(statuses(got) & {104, 170, 171, 172, 173, 174})

    async def expect_message(
        self, text: str, nick: str | None, *, id: str | None = None, type: str = "groupchat", timeout: float = PATIENCE
    ) -> Stanza:
        """The next stanza is this message of that occupant's, or of the room's own without `nick`."""
        got = await self.take(f"the message {text!r}", timeout)
        sender = self.occupant(nick) if nick else self.room
        equal(
            (got.kind, got.body, got.type, got.sender),
            ("message", text, type, sender),
            f"{self.user.name} received {got}",
        )
        if id is not None:
            equal(got.id, id, f"RX-21: id of {got}")
        return got

    async def expect_presence(
        self, nick: str, *, own: bool = False, role: str | None = None, timeout: float = PATIENCE
    ) -> Stanza:
        """The next stanza says that this occupant is there."""
        got = await self.take(f"presence of {nick}", timeout)
        equal(
            (got.kind, got.type, got.sender),
            ("presence", None, self.occupant(nick)),
            f"{self.user.name} received {got}",
        )
        equal(110 in statuses(got), own, f"XEP-0045: status 110 in {got}")
        if role is not None:
            equal(item(got).role, role, f"role in {got}")
        return got

    async def expect_gone(self, nick: str, *, statuses: set[int] | None = None, timeout: float = PATIENCE) -> Stanza:
        """The next stanza says that this occupant has left, with these status codes."""
        got = await self.take(f"{nick} to leave", timeout)
        expected = ("presence", "unavailable", self.occupant(nick))
        equal((got.kind, got.type, got.sender), expected, f"{self.user.name} received {got}")
        if 303 not in (statuses or ()):
            equal(item(got).role, "none", f"role in {got}")
        if statuses is not None:
            equal(_statuses(got), statuses, f"status codes of {got}")
        return got

    async def expect_subject(self, subject: str, timeout: float = PATIENCE) -> Stanza:
        got = await self.take(f"the subject {subject!r}", timeout)
        require(is_subject(got), f"{self.user.name} expected a subject, received {got}")
        equal(got.subject, subject, f"subject in {got}")
        return got

    async def expect_error(
        self, condition: str, *, id: str | None = None, kind: str | None = None, nick: str | None = None,
        timeout: float = PATIENCE,
    ) -> Stanza:  # fmt: skip
        """The next stanza is an error of that condition."""
        got = await self.take(f"the error {condition}", timeout)
        require(got.type == "error" and got.error is not None, f"{self.user.name} expected an error, received {got}")
        assert got.error is not None
        equal(got.error.condition, condition, f"condition of {got}")
        if id is not None:
            equal(got.id, id, f"id of {got}")
        if kind is not None:
            equal(got.kind, kind, f"kind of {got}")
        if nick is not None:
            equal(got.sender, self.occupant(nick), f"sender of {got}")
        return got

    async def until_there(self, *nicks: str, timeout: float = 12.0) -> None:
        """Returns when these are in the room, and nobody else, by the presences that came."""
        while set(self.roster) != set(nicks):
            try:
                got = await self.take(f"the roster {set(nicks)}", timeout)
            except FlowFailed as failure:
                raise FlowFailed(f"{failure}; there are {set(self.roster)}") from None
            require(got.kind == "presence", f"{self.user.name} expected presences, received {got}")


def is_subject(stanza: Stanza) -> bool:
    """A subject and nothing else (XEP-0045 §8.1)."""
    return stanza.kind == "message" and stanza.body is None and stanza.xml.find(f"{CLIENT}subject") is not None


_statuses = statuses
