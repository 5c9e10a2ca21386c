"""A call of the SIP user: the dialog, and the MSRP session in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...errors import ProtocolViolation, equal
from ...mailbox import PATIENCE, Mailbox
from .. import sdp
from ..msrp.session import MsrpSession
from .dialog import Dialog
from .message import SipMessage

if TYPE_CHECKING:
    from .transaction import ServerTransaction
    from .user import SipUser


class Call(Dialog):
    """A confirmed INVITE dialog, from either side (RFC 3261 §12)."""

    def __init__(
        self,
        user: SipUser,
        *,
        call_id: str,
        local: str,
        remote: str,
        remote_target: str,
        local_number: int,
        remote_number: int,
        session: MsrpSession,
        contact_uri: str | None = None,
    ) -> None:
        """See `Dialog`."""
        super().__init__(
            user, call_id=call_id, local=local, remote=remote, remote_target=remote_target, local_number=local_number,
            remote_number=remote_number, contact_uri=contact_uri,
        )  # fmt: skip
        self.session = session
        self.byes: Mailbox[SipMessage] = Mailbox(user.name)
        self.invite: ServerTransaction | None = None
        self.changes: Mailbox[ServerTransaction] = Mailbox(user.name)
        """re-INVITEs and UPDATEs of the gateway that wait for the answer of the flow."""
        self.session_peer: str | None = None
        """The gateway's path, where a re-INVITE of its own has another."""
        self.takes_changes = False
        """Whether they are left to the flow; otherwise they are refused at once."""
        self.on_bye: Callable[[SipMessage], None] | None = None
        """Takes the BYE of the gateway in place of the mailbox."""
        self.on_request: Callable[[SipMessage, ServerTransaction], bool] = lambda *_: False
        """Takes requests that a call does not know; tells whether it did."""

    async def bye(self) -> None:
        """Hangs up, once every SEND has its answer; the gateway must answer 200."""
        await self.user.connect()
        await self.session.until_answered()
        response = await self.user.transact(self.send("BYE")).answered()
        equal(response.status, 200, "answer to BYE")
        self.user.drop(self)

    async def change(self, method: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> SipMessage:
        """re-INVITE or UPDATE; the final response, acknowledged if it accepts."""
        await self.user.connect()
        request = self.send(method)
        request.headers += [("Contact", self.contact), ("Allow", self.user.allow), *headers]
        if body:
            request.headers.append(("Content-Type", "application/sdp"))
            request.body = body
        response = await self.user.transact(request).answered()
        if method == "INVITE" and response.status < 300:
            self.user.acknowledge(self)
        return response

    def description(self, *, setup: str, version: int = 1, more: Sequence[str] = ()) -> bytes:
        """The session as it stands, as an offer or answer of ours."""
        session = self.session
        return sdp.write(session.path, setup=setup, version=version, fingerprint=session.fingerprint, more=more)

    def move(self, user: SipUser) -> Call:
        """From now on the session has a fresh path of ours; what waits to be read stays."""
        old, self.session = self.session, user.msrp.open()
        self.session.inbox = old.inbox
        self.session.peer_path = self.session_peer or old.peer_path
        self.session.statuses = old.statuses
        self.session.expects_cpim = old.expects_cpim
        user.msrp.forget(old)
        return self

    async def expect_change(self, method: str, timeout: float = PATIENCE) -> ServerTransaction:
        """re-INVITE or UPDATE of the gateway, to be answered by `answer`."""
        transaction = await self.changes.take(method, timeout)
        equal(transaction.request.method, method, f"method of\n{transaction.request}")
        return transaction

    async def answer(
        self, change: ServerTransaction, status: int, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """The final response to a re-INVITE or UPDATE of the gateway; of the former the ACK as well."""
        extra = [("Contact", self.contact), ("Allow", self.user.allow), *headers]
        if body:
            extra.append(("Content-Type", "application/sdp"))
        is_invite = change.request.method == "INVITE"
        if is_invite and status < 300:
            self.invite = change
        change.respond(status, "OK" if status < 300 else "Refused", tag=None, headers=extra, body=body)
        if is_invite:
            await change.repeat_until_acknowledged()

    async def expect_bye(self, timeout: float = PATIENCE) -> SipMessage:
        """The gateway hangs up."""
        bye = await self.byes.take("BYE", timeout)
        self.user.drop(self)
        return bye

    async def expect(self, text: str, timeout: float = PATIENCE) -> None:
        await self.session.expect(text, timeout)

    def handle(self, request: SipMessage, transaction: ServerTransaction) -> None:
        """A request of the gateway inside the dialog."""
        self.check(request)
        if request.method == "BYE":
            transaction.respond(200, "OK", tag=None)
            (self.on_bye or self.byes.put)(request)
        elif self.takes_changes and request.method in ("INVITE", "UPDATE"):
            self.changes.put(transaction)
        elif not self.on_request(request, transaction):
            transaction.respond(488 if request.method == "INVITE" else 405, "Not Here", tag=None)
            self.user.inbox.put(request)

    def unasked(self) -> list[str]:
        left = [str(bye) for bye in self.byes.waiting()]
        left += [str(change) for change in self.changes.waiting()]
        left += [str(received.frame) for received in self.session.inbox.waiting()]
        return [*left, *(str(report) for report in self.session.reports.waiting())]

    def handle_ack(self, ack: SipMessage) -> None:
        """The ACK of our 2xx (RFC 3261 §13.2.2.4)."""
        assert self.invite is not None
        if ack.cseq != (self.invite.request.cseq[0], "ACK"):
            raise ProtocolViolation("RFC 3261 §13.2.2.4, SIP-05: the ACK has the CSeq number of the INVITE", str(ack))
        if ack.branch == self.invite.request.branch:
            raise ProtocolViolation("RFC 3261 §17: the ACK of a 2xx has a branch of its own", str(ack))
        self.check_target(ack)
        self.invite.acknowledged.set()
