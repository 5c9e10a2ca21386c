"""A dialog of the SIP user, whatever made it (RFC 3261 §12)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ...errors import ProtocolViolation
from .message import SipMessage, parameter, uri_of

if TYPE_CHECKING:
    from .transaction import ServerTransaction
    from .user import SipUser


class Dialog:
    """Requests inside it, in both directions."""

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
        contact_uri: str | None = None,
    ) -> None:
        """`local` and `remote` are From/To values with their tags; `contact_uri` is where requests for us go, the user's
        own unless given."""
        self.user = user
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.remote_target = remote_target
        self.local_number = local_number
        self.remote_number = remote_number
        self.contact_uri = contact_uri or user.contact_uri

    @property
    def key(self) -> tuple[str, str]:
        return self.call_id, parameter(self.local, "tag") or ""

    @property
    def contact(self) -> str:
        return f"<{self.contact_uri}>"

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

    def handle(self, request: SipMessage, transaction: ServerTransaction) -> None:
        """A request of the gateway inside the dialog."""
        raise NotImplementedError

    def handle_ack(self, ack: SipMessage) -> None:
        """An ACK with a transaction of its own."""
        raise ProtocolViolation("RFC 3261 §13.2.2.4: an ACK belongs to an INVITE", str(ack))

    def unasked(self) -> list[str]:
        """What came in it that no flow has looked at."""
        return []

    def check(self, request: SipMessage) -> None:
        self.check_target(request)
        if request.cseq[0] <= self.remote_number:
            raise ProtocolViolation(f"RFC 3261 §12.2.1.1: CSeq grows beyond {self.remote_number}", str(request))
        self.remote_number = request.cseq[0]

    def check_target(self, request: SipMessage) -> None:
        if request.uri != self.contact_uri:
            raise ProtocolViolation(
                f"RFC 3261 §12.2.1.1: the Request-URI is our Contact {self.contact_uri}", str(request)
            )
        for name, ours in (("From", self.remote), ("To", self.local)):
            same = uri_of(request.one(name)) == uri_of(ours)
            if not same or parameter(request.one(name), "tag") != parameter(ours, "tag"):
                raise ProtocolViolation(f"RFC 3261 §12.2.1.1: {name} is that of the dialog, {ours}", str(request))


def new_tag() -> str:
    return secrets.token_hex(5)
