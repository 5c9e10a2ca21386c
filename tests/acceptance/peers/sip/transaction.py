"""The transactions of the SIP user (RFC 3261 §17), as far as loopback needs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ...errors import FlowFailed, ProtocolViolation, equal
from .channel import Channel
from .message import SipMessage, parameter

T1 = 0.5


class ClientTransaction:
    """A request of ours and the responses to it."""

    def __init__(self, request: SipMessage, channel: Channel) -> None:
        self.request = request
        self.channel = channel
        self.provisional: list[SipMessage] = []
        self.rang = asyncio.Event()
        self.final: asyncio.Future[SipMessage] = asyncio.get_running_loop().create_future()

    async def retransmit(self) -> None:
        """Timers A and E: until something comes back."""
        pause = T1
        for _ in range(6):
            await asyncio.sleep(pause)
            if self.final.done() or (self.provisional and self.request.method == "INVITE"):
                return
            self.channel.send(self.request.encode())
            pause *= 2

    async def answered(self, timeout: float = 8.0) -> SipMessage:
        try:
            return await asyncio.wait_for(asyncio.shield(self.final), timeout)
        except TimeoutError:
            raise FlowFailed(f"no final response in {timeout:g} s to\n{self.request}") from None

    def handle(self, response: SipMessage) -> bool:
        """Whether the response is the first final one."""
        if response.status < 200:
            self.provisional.append(response)
            if response.status > 100:
                self.rang.set()
            return False
        if self.final.done():
            equal(response.status, self.final.result().status, "status of a repeated final response")
            return False
        self.final.set_result(response)
        return True


class ServerTransaction:
    """A request of the gateway and what we answered."""

    def __init__(self, request: SipMessage, channel: Channel, record: Callable[[SipMessage], None]) -> None:
        self.request = request
        self.channel = channel
        self.response: SipMessage | None = None
        self.acknowledged = asyncio.Event()
        self.repeats = 0
        self._record = record

    def respond(
        self,
        status: int,
        reason: str,
        *,
        tag: str | None,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
    ) -> SipMessage:
        """RFC 3261 §8.2.6: Via, From, To, Call-ID and CSeq are copied."""
        to = self.request.one("To")
        if tag and parameter(to, "tag") is None:
            to += f";tag={tag}"
        self.response = SipMessage(
            f"SIP/2.0 {status} {reason}",
            [
                *(("Via", via) for via in self.request.all("Via")),
                ("From", self.request.one("From")),
                ("To", to),
                ("Call-ID", self.request.call_id),
                ("CSeq", self.request.one("CSeq")),
                *(headers or []),
                ("Content-Length", str(len(body))),
            ],
            body,
        )
        self._record(self.response)
        self.channel.send(self.response.encode())
        return self.response

    def handle_repeat(self) -> None:
        """The gateway has sent the request again: so do we with the response."""
        self.repeats += 1
        if self.response is not None:
            self.channel.send(self.response.encode())

    def handle_ack(self, ack: SipMessage) -> None:
        """The ACK of a refusal (RFC 3261 §17.1.1.3)."""
        assert self.response is not None

        def ask(condition: object, rule: str) -> None:
            if not condition:
                raise ProtocolViolation(f"RFC 3261 §17.1.1.3: {rule}", str(ack))

        ask(ack.uri == self.request.uri, "the ACK has the Request-URI of the INVITE")
        ask(ack.cseq == (self.request.cseq[0], "ACK"), "the ACK has the CSeq number of the INVITE")
        ask(ack.one("To") == self.response.one("To"), "the ACK has the To of the response")
        ask(ack.one("From") == self.request.one("From"), "the ACK has the From of the INVITE")
        ask(ack.all("Via") == self.request.all("Via")[:1], "the ACK has the single Via of the INVITE")
        self.acknowledged.set()

    async def repeat_until_acknowledged(self, patience: float = 8.0) -> None:
        """Timer G, and the repetition of a 2xx: until the ACK is there."""
        pause, waited = T1, 0.0
        while waited < patience:
            try:
                await asyncio.wait_for(self.acknowledged.wait(), pause)
                return
            except TimeoutError:
                waited += pause
                pause = min(pause * 2, 4.0)
                assert self.response is not None
                if self.channel.transport == "udp" or self.response.status < 300:
                    self.channel.send(self.response.encode())
        raise FlowFailed(f"no ACK in {patience:g} s to\n{self.response}")
