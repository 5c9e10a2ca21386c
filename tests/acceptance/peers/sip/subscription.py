"""Subscriptions (RFC 6665), on either side, in a dialog of their own or in another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ProtocolViolation, equal, require
from ...mailbox import PATIENCE, Mailbox
from .dialog import Dialog, new_tag
from .message import SipMessage, parameter, uri_of

if TYPE_CHECKING:
    from .transaction import ServerTransaction
    from .user import SipUser


class RequestDialog(Dialog):
    """A dialog without a session: that of a SUBSCRIBE or REFER."""

    on_request: Callable[[SipMessage, ServerTransaction], bool]

    def handle(self, request: SipMessage, transaction: ServerTransaction) -> None:
        self.check(request)
        if not self.on_request(request, transaction):
            transaction.respond(405, "Method Not Allowed", tag=None, headers=[("Allow", "SUBSCRIBE, REFER, NOTIFY")])
            self.user.inbox.put(request)

    @staticmethod
    def accepted(user: SipUser, request: SipMessage, tag: str, contact_uri: str | None = None) -> RequestDialog:
        """That of a request of the gateway which is about to be accepted with that tag."""
        dialog = RequestDialog(
            user,
            call_id=request.call_id,
            local=f"{request.one('To')};tag={tag}",
            remote=request.one("From"),
            remote_target=uri_of(request.one("Contact")),
            local_number=0,
            remote_number=request.cseq[0],
            contact_uri=contact_uri,
        )
        user.add(dialog)
        return dialog


@dataclass(frozen=True)
class Notice:
    """A NOTIFY to be sent."""

    body: bytes
    content_type: str
    state: str


class Notifier:
    """Sends NOTIFYs one after the other: each waits for the answer to the one before."""

    def __init__(self, dialog: Dialog, event: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.dialog = dialog
        self.event = event
        self.answers: Mailbox[int] = Mailbox(f"{dialog.user.name}'s NOTIFY")
        """The answers to them, which flows may look at."""
        self.ended = False
        self._headers = headers
        self._queue: asyncio.Queue[Notice] = asyncio.Queue()
        dialog.user.spawn(self._run())

    def notify(self, body: bytes, content_type: str, state: str = "active;expires=3600") -> None:
        if not self.ended:
            self.ended = state.startswith("terminated")
            self._queue.put_nowait(Notice(body, content_type, state))

    async def _run(self) -> None:
        while True:
            notice = await self._queue.get()
            request = self.dialog.send("NOTIFY")
            request.headers += [
                ("Contact", self.dialog.contact),
                ("Event", self.event),
                ("Subscription-State", notice.state),
                *self._headers,
            ]
            if notice.body:
                request.headers.append(("Content-Type", notice.content_type))
                request.body = notice.body
            try:
                await self.dialog.user.connect()
            except OSError:
                return  # the gateway is gone: there is nobody to tell
            response = await self.dialog.user.transact(request).answered()
            self.answers.put(response.status)
            if notice.state.startswith("terminated"):
                return


@dataclass(frozen=True)
class Notified:
    """A NOTIFY that came."""

    request: SipMessage
    state: str
    """The word that Subscription-State begins with."""
    reason: str | None
    expires: int | None


class Subscription(RequestDialog):
    """Ours at the gateway."""

    def __init__(self, user: SipUser, target: str, event: str, accept: str, *, tag: str, call_id: str) -> None:
        """Use `subscribe`."""
        super().__init__(
            user, call_id=call_id, local=f"<{user.uri}>;tag={tag}", remote=f"<{target}>", remote_target=target,
            local_number=0, remote_number=0,
        )  # fmt: skip
        self.event = event
        self.accept = accept
        self.inbox: Mailbox[Notified] = Mailbox(f"{user.name}'s subscription")
        self.on_request = self._handle
        self.established = False

    async def subscribe(self, expires: int | None = 3600, headers: Sequence[tuple[str, str]] = ()) -> SipMessage:
        """SUBSCRIBE, the first or a later one; the final response."""
        await self.user.connect()
        request = self.send("SUBSCRIBE")
        request.headers += [("Contact", self.contact), ("Event", self.event), ("Accept", self.accept), *headers]
        if expires is not None:
            request.headers.append(("Expires", str(expires)))
        response = await self.user.transact(request).answered()
        if response.status < 300:
            require((response.get("Expires") or "").isdigit(), f"RFC 6665 §4.2.1.1: 2xx has Expires:\n{response}")
            if not self.established:
                self._establish(response.one("To"), uri_of(response.one("Contact")))
        elif not self.established:
            self.user.remove(self)
        return response

    async def expect(self, state: str, timeout: float = PATIENCE) -> Notified:
        """The next NOTIFY says this state."""
        got = await self.inbox.take(f"a NOTIFY, {state}", timeout)
        equal(got.state, state, f"Subscription-State of\n{got.request}")
        return got

    def unasked(self) -> list[str]:
        return [str(notified.request) for notified in self.inbox.waiting()]

    def check(self, request: SipMessage) -> None:
        if not self.established:
            self._establish(request.one("From"), uri_of(request.one("Contact")))
        super().check(request)

    def _establish(self, remote: str, target: str) -> None:
        """A dialog is made by the answer or by the first NOTIFY, whichever comes first (RFC 6665 §4.4.1)."""
        self.remote, self.remote_target, self.established = remote, target, True

    def _handle(self, request: SipMessage, transaction: ServerTransaction) -> bool:
        if request.method != "NOTIFY":
            return False
        transaction.respond(200, "OK", tag=None)
        self.inbox.put(read_notify(request, self.event))
        return True


async def subscribe(
    user: SipUser,
    target: str,
    event: str,
    accept: str,
    expires: int | None = 3600,
    headers: Sequence[tuple[str, str]] = (),
) -> tuple[SipMessage, Subscription]:
    """A new subscription at the gateway; the final response to SUBSCRIBE, whatever it is."""
    tag = new_tag()
    subscription = Subscription(user, target, event, accept, tag=tag, call_id=new_tag())
    user.add(subscription)
    return await subscription.subscribe(expires, headers), subscription


def read_notify(request: SipMessage, event: str) -> Notified:
    """A NOTIFY of the gateway, checked by RFC 6665 §8.2."""
    if request.one("Event").partition(";")[0].strip() != event:
        raise ProtocolViolation(f"RFC 6665 §8.2.1: Event is {event}", str(request))
    value = request.one("Subscription-State")
    state = value.partition(";")[0].strip()
    expires = parameter(value, "expires")
    if state not in ("active", "pending", "terminated"):
        raise ProtocolViolation("RFC 6665 §8.2.3: Subscription-State", str(request))
    if state != "terminated" and expires is None:
        raise ProtocolViolation("RFC 6665 §4.2.2: Subscription-State has expires", str(request))
    request.one("Contact")
    return Notified(request, state, parameter(value, "reason"), int(expires) if expires else None)
