"""An INVITE of the SIP user, from the offer to the open session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...errors import equal
from ...mailbox import PATIENCE
from .. import sdp
from ..msrp.session import MsrpSession
from .call import Call
from .dialog import new_tag
from .message import SipMessage, uri_of

if TYPE_CHECKING:
    from .transaction import ClientTransaction
    from .user import SipUser


class OutgoingInvite:
    """Sent by `send`, then awaited by `finished`."""

    def __init__(
        self, user: SipUser, target: str, *, call_id: str | None = None, subject: str | None = None,
        body: bytes | None = None, setup: str = "actpass", accept_types: str = sdp.PLAIN_TYPES,
        headers: Sequence[tuple[str, str]] = (), offers: bool = True, caller: str | None = None,
        contact: str | None = None, session: MsrpSession | None = None, more: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Without `offers` the offer is the gateway's, and the answer is in the ACK. `caller` and `contact`: From and
        Contact values in place of the user's own; `more`: further lines of the offer."""
        self.user = user
        self.session = session or user.msrp.open()
        self.setup = setup
        self.accept_types = accept_types
        self.offers = offers
        self.request = user.request("INVITE", target, call_id=call_id, tag=new_tag(), caller=caller)
        self.contact = contact or user.contact
        self.request.headers += [
            ("Contact", self.contact), ("Allow", user.allow), ("Supported", user.supported), *headers
        ]  # fmt: skip
        if subject:
            self.request.headers.append(("Subject", subject))
        if offers:
            self.request.headers.append(("Content-Type", "application/sdp"))
            self.request.body = body or sdp.write(
                self.session.path,
                setup=setup,
                accept_types=accept_types,
                fingerprint=self.session.fingerprint,
                more=more,
            )
        self._transaction: ClientTransaction | None = None

    @property
    def transaction(self) -> ClientTransaction:
        assert self._transaction is not None
        return self._transaction

    async def send(self) -> OutgoingInvite:
        await self.user.connect()
        self._transaction = self.user.transact(self.request)
        return self

    async def finished(
        self, timeout: float = PATIENCE, prepare: Callable[[Call], None] = lambda _: None
    ) -> tuple[SipMessage, Call | None]:
        """The final response, and the call if it was accepted (ACK sent, MSRP bound); `prepare` is given it before the ACK
        is sent."""
        response = await self.transaction.answered(timeout)
        if response.status >= 300:
            self.user.msrp.forget(self.session)
            return response, None
        answer = sdp.read(response.body, "answer" if self.offers else "offer", room=self.user.in_rooms)
        expected = ("active" if self.setup == "passive" else "passive") if self.offers else "actpass"
        equal(answer.setup, expected, "MSRP-06: a=setup of the answer")
        session = self.session
        session.peer_path = answer.path
        session.peer_fingerprint = answer.fingerprint
        session.expects_cpim = self.accept_types.split(maxsplit=1)[0] == "message/cpim"
        call = Call(
            self.user,
            call_id=self.request.call_id,
            local=self.request.one("From"),
            remote=response.one("To"),
            remote_target=uri_of(response.one("Contact")),
            local_number=1,
            remote_number=0,
            session=session,
            contact_uri=uri_of(self.contact),
        )
        self.user.add(call)
        prepare(call)
        self.user.acknowledge(call, b"" if self.offers else call.description(setup="passive"))
        if answer.setup == "passive":
            await self.user.msrp.connect(session)
        else:
            await session.until_bound()
        return response, call
