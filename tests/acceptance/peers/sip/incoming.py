"""What the gateway asks of the SIP user outside a dialog: to join a chat, to read a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...errors import FlowFailed
from .. import sdp
from ..msrp.session import MsrpSession
from ..sdp import ChatMedia
from .call import Call
from .dialog import new_tag
from .message import SipMessage, uri_of
from .transaction import ServerTransaction

if TYPE_CHECKING:
    from .user import SipUser

REASONS = {
    100: "Trying", 180: "Ringing", 200: "OK", 202: "Accepted", 404: "Not Found", 405: "Method Not Allowed",
    480: "Temporarily Unavailable", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
    603: "Decline",
}  # fmt: skip
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE"

#: Where rooms of the SIP world are: an INVITE to one offers what rooms take.
_ROOMS = "@chat.example.org"


class IncomingInvite:
    """An INVITE that waits for the answer of the flow."""

    def __init__(self, user: SipUser, transaction: ServerTransaction) -> None:
        self.user = user
        self.transaction = transaction
        self.request = transaction.request
        room = user.in_rooms or _ROOMS in self.request.uri
        self.offer: ChatMedia = sdp.read(self.request.body, "offer", room=room)
        self.cancelled = asyncio.Event()
        self.answers_cancel = True
        """Whether a CANCEL brings 487 at once; otherwise the flow refuses."""
        self._tag = new_tag()

    @property
    def call_id(self) -> str:
        return self.request.call_id

    @property
    def subject(self) -> str | None:
        return self.request.get("Subject")

    @property
    def caller(self) -> str:
        return uri_of(self.request.one("From"))

    def ring(self) -> None:
        self._respond(180, headers=[("Contact", self.user.contact)])

    async def accept(
        self, *, setup: str = "passive", accept_types: str = sdp.PLAIN_TYPES, refuse_msrp: bool = False,
        headers: Sequence[tuple[str, str]] = (), session: MsrpSession | None = None, contact: str | None = None,
        body: bytes | None = None, prepare: Callable[[Call], None] = lambda _: None,
    ) -> Call:  # fmt: skip
        """200, waits for the ACK; as `active` side also connects the MSRP session. `contact`: a Contact value in place of
        the user's own; `prepare` is given the call before the 200 is sent."""
        session = session or self.user.msrp.open(refusing=refuse_msrp)
        session.peer_path = self.offer.path
        session.peer_fingerprint = self.offer.fingerprint
        session.expects_cpim = accept_types.split(maxsplit=1)[0] == "message/cpim"
        call = Call(
            self.user,
            call_id=self.call_id,
            local=f"{self.request.one('To')};tag={self._tag}",
            remote=self.request.one("From"),
            remote_target=uri_of(self.request.one("Contact")),
            local_number=0,
            remote_number=self.request.cseq[0],
            session=session,
            contact_uri=uri_of(contact) if contact else None,
        )
        call.invite = self.transaction
        self.user.add(call)
        prepare(call)
        self._respond(
            200,
            headers=[
                ("Contact", contact or self.user.contact),
                ("Allow", self.user.allow),
                ("Supported", self.user.supported),
                ("Content-Type", "application/sdp"),
                *headers,
            ],
            body=body
            or sdp.write(session.path, setup=setup, accept_types=accept_types, fingerprint=session.fingerprint),
        )
        await self.transaction.repeat_until_acknowledged()
        if setup == "active":
            await self.user.msrp.connect(session)
        return call

    async def refuse(self, status: int, headers: list[tuple[str, str]] | None = None) -> None:
        """A final refusal, and its ACK."""
        self._respond(status, headers=headers or [])
        await self.transaction.repeat_until_acknowledged()

    async def expect_cancel(self, timeout: float = 8.0) -> None:
        """CANCEL comes; it has then been answered, and unless the flow does that itself so has the INVITE."""
        try:
            await asyncio.wait_for(self.cancelled.wait(), timeout)
        except TimeoutError:
            raise FlowFailed(f"{self.user.name} waited {timeout:g} s for CANCEL") from None
        if self.answers_cancel:
            await self.transaction.repeat_until_acknowledged()

    def cancel(self) -> None:
        """The gateway has sent CANCEL."""
        final = self.transaction.response is not None and self.transaction.response.status >= 200
        if self.answers_cancel and not final:
            self._respond(487)
        self.cancelled.set()

    def _respond(self, status: int, headers: list[tuple[str, str]] | None = None, body: bytes = b"") -> None:
        self.transaction.respond(status, REASONS.get(status, "Refused"), tag=self._tag, headers=headers, body=body)

    def __str__(self) -> str:
        return f"INVITE {self.request.uri}"


class IncomingMessage:
    """A pager-mode MESSAGE."""

    def __init__(self, transaction: ServerTransaction) -> None:
        self.transaction = transaction
        self.request: SipMessage = transaction.request

    @property
    def text(self) -> str:
        return self.request.body.decode("utf-8")

    @property
    def call_id(self) -> str:
        return self.request.call_id

    @property
    def subject(self) -> str | None:
        return self.request.get("Subject")

    @property
    def sender(self) -> str:
        return uri_of(self.request.one("From"))

    def answer(self, status: int, headers: list[tuple[str, str]] | None = None) -> None:
        extra = headers or ([("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS")] if status == 405 else [])
        self.transaction.respond(status, REASONS.get(status, "Refused"), tag=new_tag(), headers=extra)

    def __str__(self) -> str:
        return f"MESSAGE {self.request.uri}: {self.text!r}"
