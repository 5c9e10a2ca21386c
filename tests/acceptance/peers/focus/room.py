"""A chat room: who is in it, what is told of them, and the switch that hands on what they say."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...errors import ProtocolViolation
from ...mailbox import PATIENCE, Mailbox
from .. import cpim, sdp
from ..msrp.frame import Frame
from ..msrp.room import RoomSession
from ..msrp.session import Received
from ..sip.message import SipMessage, uri_of
from ..sip.transaction import ServerTransaction
from . import document
from .document import Description, Endpoint, Person
from .guest import Guest, Heard
from .member import Member
from .quirks import Quirks
from .subscribers import Subscribers

if TYPE_CHECKING:
    from .focus import Focus

_NICKNAME = re.compile(r'"((?:[^"\\]|\\.)*)"')
_STATUS = ("NS: agp <urn:ag-projects:xml:ns:cpim>", "agp.Message-Type: status")


class Room:
    """Everything a flow may want of it is an attribute."""

    def __init__(self, focus: Focus, uri: str, quirks: Quirks) -> None:
        self.focus = focus
        self.uri = uri
        self.name = uri.removeprefix("sip:")
        self.quirks = quirks
        self.about = Description(uri)
        self.persons: dict[str, Person] = {}
        self.members: list[Member] = []
        self.guests: list[Guest] = []
        self.subscribers = Subscribers(self)
        self.joined: Mailbox[Member] = Mailbox(self.name)
        """Who has come through the gateway."""
        self.referred: Mailbox[SipMessage] = Mailbox(self.name)
        """The REFERs that were accepted."""
        self.tokens = f"nickname private-messages{quirks.more_tokens}"
        """What a=chatroom says; empty: there is none."""
        self.is_focus = True
        """Whether Contact says so."""
        self.shows_names = True
        """Whether who has no nickname is shown by the display name of From."""
        self.accept_types = "message/cpim"
        self.setup = "passive"
        """Who connects by MSRP: the room waits for it, or (`active`) does it."""
        self.password: str | None = None
        """What a digest challenge of the INVITE asks for."""
        self.invite_status = 200
        """What INVITE is answered; None: nothing."""
        self.nickname_status: Callable[[Member, str], int | None] | None = None
        """What NICKNAME is answered, in place of the room's own judgement; None from it: nothing."""
        self.send_status: Callable[[Received], int | None] = lambda _: 200
        """What SEND is answered; only on 200 the message is handed on. None: nothing."""
        self.refer_status = 202
        self.refer_result: str | None = "SIP/2.0 200 OK"
        """The final sipfrag of a REFER; None: the target is really called."""
        self.private_status = 200
        """What a private message is answered if its addressee is there."""
        self._history: deque[tuple[str, str, datetime]] = deque(maxlen=20)

    @property
    def allows_private(self) -> bool:
        return "private-messages" in self.tokens

    @property
    def contact_uri(self) -> str:
        user = self.quirks.contact_user or self.name.partition("@")[0]
        return self.focus.user.contact_uri.replace(f"{self.focus.user.name}@", f"{user}@")

    @property
    def contact(self) -> str:
        return f"<{self.contact_uri}>{';isfocus' if self.is_focus else ''}"

    def description(self, session: RoomSession, setup: str) -> bytes:
        """The session description of the room, an offer or an answer."""
        more = [f"a=chatroom:{self.tokens}"] if self.tokens else []
        more += [] if self.quirks.server else ["a=max-size:10000"]
        return sdp.write(
            session.path, setup=setup, accept_types=self.accept_types, fingerprint=session.fingerprint, more=more,
            name=self.quirks.server or "-", wrapped=self.quirks.wrapped_types,
        )  # fmt: skip

    # What flows do.

    def enter(
        self, uri: str, nickname: str | None = None, *, name: str | None = None, roles: Sequence[str] = ("participant",),
        aors: Sequence[str] = (),
    ) -> Guest:  # fmt: skip
        """Somebody is there who needs no gateway."""
        device = Endpoint(f"{uri};gr=orchard" if ";" not in uri else uri)
        person = Person(uri, name, nickname, list(roles), [device], list(aors))
        guest = Guest(self, person)
        self.persons[uri] = person
        self.guests.append(guest)
        self.changed([person])
        return guest

    def leave(self, guest: Guest) -> None:
        self.guests.remove(guest)
        del self.persons[guest.person.entity]
        self.gone([guest.person.entity])

    def entitle(self, subject: str) -> None:
        """A new subject."""
        self.about.subject = subject
        self.subscribers.tell(lambda version: document.retitled(self.about, version, self.quirks))

    def close(self) -> None:
        """The room is no more: that is told to subscribers; dialogs stand."""
        self.subscribers.end("noresource")

    def announce(self, text: str, headers: Sequence[str] = ()) -> None:
        """A text of the room's own."""
        for member in self.members:
            self._copy(text, f"<{self.uri}>", self.uri, member, headers=headers)

    async def next_member(self, timeout: float = PATIENCE) -> Member:
        """Whoever joins next through the gateway, with dialog and session."""
        member = await self.joined.take(f"somebody to join {self.uri}", timeout)
        return await member.entered.take("its session", timeout)

    def unasked(self) -> list[str]:
        """What came and no flow has looked at."""
        left = [str(refer) for refer in self.referred.waiting()]
        left += [f"{member.uri} joined" for member in self.joined.waiting()]
        left += [text for member in self._ever for text in member.unasked()]
        return [*left, *(f"{guest.name} heard {heard}" for guest in self.guests for heard in guest.inbox.waiting())]

    # What the roster is.

    def changed(self, persons: Iterable[Person]) -> None:
        changed = list(persons)
        self.subscribers.tell(
            lambda version: document.partial(self.about, changed, [], len(self.persons), version, self.quirks)
        )

    def gone(self, entities: Sequence[str]) -> None:
        self.subscribers.tell(
            lambda version: document.partial(self.about, [], entities, len(self.persons), version, self.quirks)
        )

    def address_of(self, person: Person, name: str | None) -> str:
        """What CPIM From says of somebody whose own message called him `name`."""
        shown = person.nickname or name
        if shown is None:
            return f"<{person.entity}>"
        return f"{shown} <{person.entity}>" if self.quirks.unquoted_names else f"{_quoted(shown)} <{person.entity}>"

    def admit(self, uri: str, display_name: str | None, contact: str, session: RoomSession) -> Member:
        """Somebody comes through the gateway: he is in the roster as soon as he can be told of."""
        endpoint = Endpoint(contact)
        person = self.persons.get(uri) or Person(uri, display_name if self.shows_names else None)
        person.endpoints.append(endpoint)
        self.persons[uri] = person
        member = Member(self, uri, person, endpoint, session)
        session.takes_chunks = not self.quirks.no_chunks
        self.members.append(member)
        self._ever.append(member)
        self.changed([person])
        self.joined.put(member)
        return member

    def welcome(self, member: Member) -> None:
        """The session of a member is there."""
        member.entered.put(member)
        if self.quirks.welcomes:
            self._copy("Welcome!", f"<{self.uri}>", self.uri, member)
        if self.quirks.keeps_history:
            for text, sender, when in self._history:
                self._copy(text, sender, self.uri, member, when=when)
        if self.quirks.tells_comings:
            self.announce(f"{member.uri} has joined the room with chat", _STATUS)

    def forget(self, member: Member) -> None:
        """A member has gone."""
        if member not in self.members:
            return
        self.members.remove(member)
        member.person.endpoints.remove(member.endpoint)
        if member.person.endpoints:
            self.changed([member.person])
        else:
            del self.persons[member.person.entity]
            self.gone([member.person.entity])
        if self.quirks.tells_comings:
            self.announce(f"{member.uri} has left the room after 00:00:10", _STATUS)

    # What the switch does.

    def said(self, member: Member, received: Received) -> int | None:
        """A message of a member; its answer."""
        if received.cpim is None:
            return 415
        name, sender = cpim.address(received.cpim["From"])
        _, to = cpim.address(received.cpim["To"])
        if uri_of(f"<{sender}>").partition(";")[0] != member.uri:
            if self.quirks.minds_from:
                return 200
            raise ProtocolViolation(f"RFC 7701 §6.1, RX-20: CPIM From is {member.uri}", str(received.frame))
        status = self.send_status(received)
        if status != 200:
            return status
        address = self.address_of(member.person, name or None)
        if to == self.uri:
            self.spread(received.text, member.person, address, member.session, received.cpim)
            return 200
        if not self.allows_private:
            return 428
        if self.quirks.loses_private:
            return 200
        if to not in self.persons:
            return 404
        if self.private_status == 200:
            self.hand(received.text, member.person, address, to, member.session, received.cpim)
        return self.private_status

    def spread(
        self,
        text: str,
        sender: Person,
        address: str,
        session: RoomSession | None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """A message to everybody but the session it came by."""
        self._history.append((text, address, datetime.now(UTC)))
        for member in self.members:
            if member.session is not session or self.quirks.echoes:
                self._copy(text, address, self.uri, member)
        for guest in self.guests:
            if guest.person is not sender:
                guest.inbox.put(_heard(text, address, self.uri, headers))

    def hand(
        self, text: str, sender: Person, address: str, to: str, session: RoomSession | None,
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """A message to one person."""
        for member in self.members:
            if member.uri == to and member.session is not session:
                self._copy(text, address, to, member)
        for guest in self.guests:
            if guest.person.entity == to:
                guest.inbox.put(_heard(text, address, to, headers))

    def wishes(self, member: Member, value: str, frame: Frame) -> int | None:
        """A NICKNAME of a member; its answer."""
        status = self._judge(member, value) if self.nickname_status is None else self.nickname_status(member, value)
        if status == 200:
            self.name_member(member, value)
        return status

    def name_member(self, member: Member, value: str) -> None:
        """The nickname is granted."""
        member.nickname = member.person.nickname = _nickname(value, self.quirks) or None
        self.changed([member.person])

    def take_inside(self, member: Member) -> Callable[[SipMessage, ServerTransaction], bool]:
        """Requests inside a member's dialog."""
        return lambda request, transaction: self.focus.take_inside(self, member, request, transaction)

    @property
    def _ever(self) -> list[Member]:
        return self.focus.members

    def _judge(self, member: Member, value: str) -> int:
        if "nickname" not in self.tokens:
            return 403
        wish = _nickname(value, self.quirks)
        if wish is None:
            return 424
        for other in self.members:
            own = other.person is member.person and not self.quirks.nickname_per_session
            if other is not member and not own and other.nickname == wish and wish:
                return 425
        return 425 if wish and any(guest.person.nickname == wish for guest in self.guests) else 200

    def _copy(
        self,
        text: str,
        sender: str,
        to: str,
        member: Member,
        *,
        when: datetime | None = None,
        headers: Sequence[str] = (),
    ) -> None:
        if not member.session.bound:
            return
        quirks = self.quirks
        addressee = f"Conference Room <{to}>" if quirks.unquoted_names and to == self.uri else f"<{to}>"
        if quirks.bare_line_feeds:
            body = _with_bare_line_feeds(text, sender, addressee, when, headers)
        else:
            body = cpim.build(text, sender, [addressee], when=when, headers=headers)
        total = len(body.decode()) if quirks.counts_characters else len(body)
        reports = [("Success-Report", "yes"), ("Failure-Report", "yes")] if quirks.asks_reports else []
        member.session.send_counted(body, total, reports)


def _with_bare_line_feeds(text: str, sender: str, to: str, when: datetime | None, headers: Sequence[str]) -> bytes:
    moment = (when or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    head = "\r\n".join([f"From: {sender}", f"To: {to}", f"DateTime: {moment}", *headers, "", ""])
    encoding = "" if text.isascii() else "Content-Transfer-Encoding: \n"
    return (
        head + f'MIME-Version: 1.0\nContent-Type: text/plain; charset="utf8"\n{encoding}\n' + text.replace("\r\n", "\n")
    ).encode()


def _nickname(value: str, quirks: Quirks) -> str | None:
    """The nickname that Use-Nickname wishes, '' for none; None if it is malformed."""
    if quirks.nicknames_as_written or not value:
        return value
    match = _NICKNAME.fullmatch(value)
    return re.sub(r"\\(.)", r"\1", match[1]) if match else None


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _heard(text: str, address: str, to: str, headers: dict[str, str] | None) -> Heard:
    name, sender = cpim.address(address)
    return Heard(text, sender, name, to, headers or {})
