"""A call of the SIP user: the dialog, and the MSRP session in it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import ProtocolViolation, equal
from ...mailbox import PATIENCE, Mailbox
from .. import sdp
from ..msrp.session import MsrpSession
from .message import SipMessage, parameter, uri_of

if TYPE_CHECKING:
    from .transaction import ServerTransaction
    from .user import SipUser


class Call:
    """A confirmed dialog, from either side (RFC 3261 §12)."""

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
    ) -> None:
        """`local` and `remote` are From/To values with their tags."""
        self.user = user
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.remote_target = remote_target
        self.local_number = local_number
        self.remote_number = remote_number
        self.session = session
        self.byes: Mailbox[SipMessage] = Mailbox(user.name)
        self.invite: ServerTransaction | None = None
        self.changes: Mailbox[ServerTransaction] = Mailbox(user.name)
        """re-INVITEs and UPDATEs of the gateway that wait for the answer of the flow."""
        self.session_peer: str | None = None
        """The gateway's path, where a re-INVITE of its own has another."""
        self.takes_changes = False
        """Whether they are left to the flow; otherwise they are refused at once."""

    @property
    def key(self) -> tuple[str, str]:
        return self.call_id, parameter(self.local, "tag") or ""

    def send(self, method: str) -> SipMessage:
        """A request inside the dialog, not sent yet."""
        if method != "ACK":
            self.local_number += 1
        return SipMessage(
            f"{method} {self.remote_target} SIP/2.0",
            [
                ("Via", self.user.via()),
                ("Max-Forwards", "70"),
                ("From", self.local),
                ("To", self.remote),
                ("Call-ID", self.call_id),
                ("CSeq", f"{self.local_number} {method}"),
            ],
        )

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
        request.headers += [("Contact", self.user.contact), ("Allow", self.user.allow), *headers]
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
        extra = [("Contact", self.user.contact), ("Allow", self.user.allow), *headers]
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
        self._check(request)
        if request.method == "BYE":
            transaction.respond(200, "OK", tag=None)
            self.byes.put(request)
        elif self.takes_changes and request.method in ("INVITE", "UPDATE"):
            self.changes.put(transaction)
        else:
            transaction.respond(488 if request.method == "INVITE" else 405, "Not Here", tag=None)
            self.user.inbox.put(request)

    def handle_ack(self, ack: SipMessage) -> None:
        """The ACK of our 2xx (RFC 3261 §13.2.2.4)."""
        assert self.invite is not None
        if ack.cseq != (self.invite.request.cseq[0], "ACK"):
            raise ProtocolViolation("RFC 3261 §13.2.2.4, SIP-05: the ACK has the CSeq number of the INVITE", str(ack))
        if ack.branch == self.invite.request.branch:
            raise ProtocolViolation("RFC 3261 §17: the ACK of a 2xx has a branch of its own", str(ack))
        self._check_target(ack)
        self.invite.acknowledged.set()

    def _check(self, request: SipMessage) -> None:
        self._check_target(request)
        if request.cseq[0] <= self.remote_number:
            raise ProtocolViolation(f"RFC 3261 §12.2.1.1: CSeq grows beyond {self.remote_number}", str(request))
        self.remote_number = request.cseq[0]

    def _check_target(self, request: SipMessage) -> None:
        if request.uri != self.user.contact_uri:
            raise ProtocolViolation(
                f"RFC 3261 §12.2.1.1: the Request-URI is our Contact {self.user.contact_uri}", str(request)
            )
        for name, ours in (("From", self.remote), ("To", self.local)):
            same = uri_of(request.one(name)) == uri_of(ours)
            if not same or parameter(request.one(name), "tag") != parameter(ours, "tag"):
                raise ProtocolViolation(f"RFC 3261 §12.2.1.1: {name} is that of the dialog, {ours}", str(request))


def new_tag() -> str:
    return secrets.token_hex(5)
