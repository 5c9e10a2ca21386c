"""A SIP user in a room that the gateway is the focus of (RFC 7701)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import quote

from ..errors import FlowFailed, equal, require
from ..mailbox import PATIENCE, Mailbox
from . import cpim, sdp
from .conference import Occupant, Roster
from .msrp.room import RoomSession
from .msrp.session import Received, Sent
from .sip.call import Call
from .sip.dialog import new_tag
from .sip.message import SipMessage, parameter
from .sip.outgoing import OutgoingInvite
from .sip.subscription import Notified, RequestDialog, Subscription, read_notify, subscribe
from .sip.transaction import ServerTransaction
from .sip.user import SipUser

ROSTER = "application/conference-info+xml"

#: Longer than the gateway may hold back a nickname.
NICKNAME_PATIENCE = 28.0


class Participant:
    """One device in one room."""

    def __init__(self, user: SipUser, uri: str, *, name: str | None = None) -> None:
        """`name` is the display name in From."""
        self.user = user
        self.uri = uri
        self.name = name
        self.answer: SipMessage | None = None
        self.tokens: list[str] = []
        """What the room can do."""
        self.roster = Roster(uri)
        self.notices: Mailbox[Notified] = Mailbox(f"{user.name}'s subscription")
        """What a subscription inside the INVITE's dialog brings."""
        self._watches_inside = False
        self._call: Call | None = None
        self._subscription: Subscription | None = None
        user.in_rooms = True

    @property
    def call(self) -> Call:
        if self._call is None:
            raise FlowFailed(f"{self.user.name} is not in {self.uri}")
        return self._call

    @property
    def session(self) -> RoomSession:
        assert isinstance(self.call.session, RoomSession)
        return self.call.session

    @property
    def subscription(self) -> Subscription:
        assert self._subscription is not None
        return self._subscription

    @property
    def _notices(self) -> Mailbox[Notified]:
        return self._subscription.inbox if self._subscription is not None else self.notices

    @property
    def watches(self) -> bool:
        return self._subscription is not None

    def occupant(self, nickname: str) -> str:
        """The URI of somebody in the room (T16)."""
        return f"{self.uri};gr={quote(nickname, safe='')}"

    # Coming and going.

    async def invite(
        self, *, setup: str = "actpass", accept_types: str = sdp.ROOM_TYPES, chatroom: str | None = sdp.CHATROOM,
        wrapped: str = sdp.WRAPPED_TYPES, headers: Sequence[tuple[str, str]] = (),
    ) -> SipMessage:  # fmt: skip
        """INVITE to the room; the final response, which is checked by RS-03 if it accepts."""
        session = self.user.msrp.open_as(RoomSession)
        caller = f'"{self.name}" <{self.user.uri}>' if self.name else None
        body = sdp.write(
            session.path, setup=setup, accept_types=accept_types, more=[chatroom] if chatroom else [], wrapped=wrapped
        )
        invite = OutgoingInvite(
            self.user, self.uri, setup=setup, accept_types="message/cpim", headers=headers, caller=caller,
            session=session, body=body,
        )  # fmt: skip
        response, call = await (await invite.send()).finished()
        if call is not None:
            self.joined(call, response)
        return response

    async def join(self, **more: str) -> None:
        """An INVITE that must be accepted."""
        response = await self.invite(**more)  # type: ignore[arg-type]
        equal(response.status, 200, f"INVITE to {self.uri}:\n{response}\nstatus")

    def joined(self, call: Call, answer: SipMessage) -> None:
        """The dialog stands."""
        contact = answer.one("Contact")
        require(
            parameter(contact, "isfocus") is not None, f"RS-03: Contact has isfocus outside the brackets: {contact}"
        )
        require("conference" in (answer.get("Allow-Events") or ""), f"RS-03: Allow-Events has conference:\n{answer}")
        self.tokens = sdp.read(answer.body, "answer", room=True).chatroom or []
        self.answer, self._call = answer, call

    def called(self, call: Call) -> None:
        """The room has called him, and he has accepted."""
        self._call = call

    async def expect_reconnect(self) -> None:
        """The gateway's re-INVITE after the connection was lost is taken, with a fresh path of ours."""
        call, old = self.call, self.session
        change = await call.expect_change("INVITE")
        session = self.user.msrp.open_as(RoomSession)
        session.inbox, session.statuses, session.expects_cpim = old.inbox, old.statuses, old.expects_cpim
        session.peer_path = sdp.read(change.request.body, "offer", room=True).path
        call.session = session
        self.user.msrp.forget(old)
        body = sdp.write(session.path, setup="passive", accept_types=sdp.ROOM_TYPES, version=2, more=[sdp.CHATROOM])
        await call.answer(change, 200, body)
        await session.until_bound()

    async def nickname(self, nickname: str, timeout: float = NICKNAME_PATIENCE) -> int:
        """NICKNAME; its answer."""
        return await asyncio.wait_for(asyncio.shield(self.ask_nickname(nickname)), timeout)

    def ask_nickname(self, nickname: str) -> asyncio.Future[int]:
        """NICKNAME; its answer will come."""
        escaped = nickname.replace("\\", "\\\\").replace('"', '\\"')
        return self.session.nickname(f'"{escaped}"')

    async def enter(self, nickname: str, **more: str) -> None:
        """The usual way: INVITE, then the nickname, which must be granted."""
        await self.join(**more)
        equal(await self.nickname(nickname), 200, f"answer to the NICKNAME {nickname!r}")

    async def leave(self, reason: str | None = None) -> None:
        """BYE, which must be answered 200."""
        bye = self.call.send("BYE")
        if reason:
            bye.headers.append(("Reason", reason))
        await self.session.until_answered()
        response = await self.user.transact(bye).answered()
        equal(response.status, 200, "answer to BYE")
        if self._watches_inside:
            self.call.user.msrp.forget(self.session)  # the subscription keeps the dialog (RFC 6665 §4.5.2)
        else:
            self.user.drop(self.call)

    async def expect_bye(self, cause: int | None = None, timeout: float = PATIENCE) -> SipMessage:
        """The room hangs up; `cause` stands in its Reason (RFC 3326)."""
        bye = await self.call.byes.take("BYE", timeout)
        self.user.remove(self.call)  # what the room had to say before that may be unread
        if cause is not None:
            reason = bye.get("Reason") or ""
            equal(parameter(reason, "cause"), str(cause), f"T17, T18: Reason of\n{bye}")
        return bye

    # The roster.

    async def subscribe(self, accept: str = ROSTER, expires: int | None = 3600) -> SipMessage:
        """SUBSCRIBE in a dialog of its own; the final response."""
        response, self._subscription = await subscribe(self.user, self.uri, "conference", accept, expires)
        return response

    async def watch_inside(self) -> SipMessage:
        """SUBSCRIBE in the dialog of the INVITE; the final response."""
        request = self.call.send("SUBSCRIBE")
        request.headers += [
            ("Contact", self.call.contact), ("Event", "conference"), ("Accept", ROSTER), ("Expires", "3600")
        ]  # fmt: skip
        self.call.on_request = _taker(self.notices, "conference")
        self._watches_inside = True
        return await self.user.transact(request).answered()

    async def watch(self) -> None:
        """A subscription that must be accepted."""
        equal((await self.subscribe()).status, 200, "answer to SUBSCRIBE")

    async def next_document(self, timeout: float = PATIENCE) -> Roster:
        """The next NOTIFY that has one, applied."""
        while True:
            notified = await self._notices.take("a NOTIFY", timeout)
            if self._apply(notified):
                return self.roster

    async def until_there(self, *nicknames: str, timeout: float = 12.0) -> Roster:
        """Returns when these are in the room, and nobody else, by the documents that came."""
        wanted = set(nicknames)
        try:
            async with asyncio.timeout(timeout):
                while not self.roster.complete or self.roster.nicknames != wanted:
                    self._apply(await self._notices.take("a NOTIFY", timeout))
        except (TimeoutError, FlowFailed):
            raise FlowFailed(f"{self.user.name} knows of {self.roster.nicknames}, not of {wanted}") from None
        return self.roster

    def occupant_named(self, nickname: str) -> Occupant:
        found = self.roster.named(nickname)
        require(found, f"{nickname} is not in {self.roster}")
        assert found is not None
        return found

    async def until_unwatched(self, reason: str | None = None, timeout: float = PATIENCE) -> None:
        """The subscription ends from the gateway's side."""
        while True:
            notified = await self._notices.take("the last NOTIFY", timeout)
            if notified.state == "terminated":
                break
            self._apply(notified)
        if reason is not None:
            equal(notified.reason, reason, f"reason of\n{notified.request}")

    def _apply(self, notified: Notified) -> bool:
        equal(notified.state, "active", f"Subscription-State of\n{notified.request}")
        if not notified.request.body:
            return False
        equal(notified.request.one("Content-Type"), ROSTER, "Content-Type of NOTIFY")
        self.roster.apply(notified.request.body)
        return True

    # Messages.

    def say(self, text: str, *, to: Sequence[str] | None = None, sender: str | None = None) -> Sent:
        """To everybody, unless `to` has CPIM To values."""
        return self.send(text, to=to or [f"<{self.uri}>"], sender=sender)

    def whisper(self, nickname: str, text: str) -> Sent:
        """To one."""
        return self.send(text, to=[f"<{self.occupant(nickname)}>"])

    def send(
        self, text: str, *, to: Sequence[str], sender: str | None = None, when: datetime | None = None,
        content_type: str = "text/plain; charset=utf-8", headers: Sequence[tuple[str, str]] = (),
    ) -> Sent:  # fmt: skip
        body = cpim.build(text, sender or f"<{self.user.uri}>", to, when=when, content_type=content_type)
        return self.session.send(body, "message/cpim", text=text, headers=headers)

    async def expect(
        self, text: str, nickname: str | None, *, private: bool = False, timeout: float = PATIENCE
    ) -> Received:
        """The next message is this one of that occupant; without a nickname it is the room's own (T13)."""
        got = await self.session.expect(text, timeout)
        headers = got.cpim or {}
        name, sender = cpim.address(headers.get("From", ""))
        _, to = cpim.address(headers.get("To", ""))
        equal(sender, self.occupant(nickname) if nickname else self.uri, f"CPIM From of\n{got.frame}")
        equal(name or None, nickname, f"name in CPIM From of\n{got.frame}")
        equal(to, self.user.uri if private else self.uri, f"CPIM To of\n{got.frame}")
        return got

    # Invitations.

    async def refer(
        self, refer_to: Sequence[str], *, inside: bool, accept_status: Sequence[int] = (200, 202)
    ) -> tuple[SipMessage, Mailbox[Notified]]:
        """REFER with these Refer-To values; its answer, and where NOTIFYs will be."""
        notices: Mailbox[Notified] = Mailbox(f"{self.user.name}'s REFER")
        if inside:
            request = self.call.send("REFER")
            self.call.on_request = _taker(notices, "refer")
        else:
            tag, call_id = new_tag(), new_tag()
            dialog = _ReferDialog(self.user, self.uri, tag, call_id)
            dialog.on_request = _taker(notices, "refer")
            self.user.add(dialog)
            request = dialog.send("REFER")
        request.headers += [
            ("Contact", self.user.contact),
            *(("Refer-To", value) for value in refer_to),
            ("Referred-By", f"<{self.user.uri}>"),
            ("Accept", "message/sipfrag"),
        ]
        response = await self.user.transact(request).answered()
        if accept_status:
            require(response.status in accept_status, f"RS-30: answer to REFER:\n{response}")
        return response, notices


class _ReferDialog(RequestDialog):
    """A dialog that a REFER of ours will make; its first NOTIFY says who the other side is."""

    def __init__(self, user: SipUser, target: str, tag: str, call_id: str) -> None:
        super().__init__(
            user, call_id=call_id, local=f"<{user.uri}>;tag={tag}", remote=f"<{target}>", remote_target=target,
            local_number=0, remote_number=0,
        )  # fmt: skip
        self._known = False

    def check(self, request: SipMessage) -> None:
        if not self._known:
            self.remote, self._known = request.one("From"), True
        super().check(request)


def _taker(notices: Mailbox[Notified], event: str) -> Callable[[SipMessage, ServerTransaction], bool]:
    def take(request: SipMessage, transaction: ServerTransaction) -> bool:
        if request.method != "NOTIFY":
            return False
        transaction.respond(200, "OK", tag=None)
        notices.put(read_notify(request, event))
        return True

    return take
