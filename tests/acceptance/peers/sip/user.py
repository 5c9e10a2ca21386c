"""The SIP user: calls and messages over UDP, TCP or TLS, chats over MSRP."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from ...certificates import Identity, sip_domains
from ...errors import FlowFailed, ProtocolViolation, equal, require
from ...mailbox import PATIENCE, Mailbox
from ...ports import free_port, signalling_port
from ...transcript import Transcript
from .. import sdp
from ..msrp.node import MsrpNode
from .call import Call
from .channel import Channel, TcpChannel, TlsChannel, UdpSocket
from .checks import Gateway, check_request, check_response
from .dialog import Dialog, new_tag
from .incoming import ALLOW, IncomingInvite, IncomingMessage
from .message import SipMessage, decode, parameter, uri_of
from .outgoing import OutgoingInvite
from .transaction import ClientTransaction, ServerTransaction

Unasked = IncomingInvite | IncomingMessage | SipMessage
Headers = Sequence[tuple[str, str]]


class SipUser:
    """Everybody at example.net: takes any Request-URI, speaks as `name`."""

    def __init__(
        self, name: str, domain: str, gateway: Gateway, transport: str, transcript: Transcript,
        identity: Identity | None = None,
    ) -> None:  # fmt: skip
        """`identity` is needed for the transport tls, and makes chats secure as well."""
        self.name = name
        self.uri = f"sip:{name}@{domain}"
        self.port = free_port() if identity else signalling_port()
        self.transport = transport
        self.identity = identity
        self.inbox: Mailbox[Unasked] = Mailbox(name)
        self.violations: list[Exception] = []
        self.msrp = MsrpNode(name, transcript, self.violations.append, identity)
        self.on_invite: Callable[[IncomingInvite], Awaitable[object]] | None = None
        """Set by flows with many calls: handles each INVITE instead of the inbox."""
        self.on_request: Callable[[ServerTransaction], bool] | None = None
        """Takes requests outside of dialogs other than INVITE and MESSAGE; tells whether it did."""
        self.in_rooms = False
        """Whether sessions with it are chat rooms, on either side, in place of chats between two."""
        self.message_status: int | None = 200
        """The answer to a MESSAGE; None: the flow answers."""
        self.trying = True
        """Whether 100 Trying is sent at once."""
        self.deaf = False
        """Whether requests are ignored altogether."""
        self.allow = ALLOW
        """What its Allow says."""
        self.supported = "replaces"
        """What its Supported says."""
        self.extra: list[tuple[str, str]] = []
        """Header fields of every request outside of dialogs."""
        self.proof: Callable[[str, str], str] | None = None
        """The value of Authorization for a method and a Request-URI."""
        self._gateway = gateway
        self._transcript = transcript
        self._dialogs: dict[tuple[str, str], Dialog] = {}
        self._invites: dict[str, IncomingInvite] = {}
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers: dict[tuple[str, str], ServerTransaction] = {}
        self._acks: dict[str, SipMessage] = {}
        self._connections: set[TcpChannel] = set()
        self._channel_type = TlsChannel if transport == "tls" else TcpChannel
        self._outgoing: TcpChannel | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._server: asyncio.Server | None = None
        self._udp: UdpSocket | None = None

    # The user's own doing.

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        _, self._udp = await loop.create_datagram_endpoint(
            lambda: UdpSocket(self._received), local_addr=("127.0.0.1", self.port)
        )
        self._server = await loop.create_server(
            self._new_connection, "127.0.0.1", self.port, backlog=1024, ssl=self._tls(server=True)
        )
        await self.msrp.start()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.msrp.close()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        if self._udp is not None:
            self._udp.close()

    async def connect(self) -> None:
        """Opens the connection over which requests leave (nothing to do for UDP)."""
        if self.transport != "udp" and (self._outgoing is None or not self._outgoing.open):
            _, self._outgoing = await asyncio.get_running_loop().create_connection(
                self._new_connection, self._gateway.host, self._gateway.port, ssl=self._tls(server=False)
            )

    async def until_disconnected(self, timeout: float = PATIENCE) -> None:
        """The gateway closes the connection over which our requests leave."""
        assert self._outgoing is not None
        try:
            await asyncio.wait_for(self._outgoing.closed.wait(), timeout)
        except TimeoutError:
            raise FlowFailed(f"the gateway did not close the connection in {timeout:g} s") from None

    def _new_connection(self) -> TcpChannel:
        return self._channel_type(self._received, self.violations.append, self._connections)

    def _tls(self, *, server: bool) -> ssl.SSLContext | None:
        if self.transport != "tls":
            return None
        assert self.identity is not None
        return self.identity.context(server=server)

    @property
    def gateway_domains(self) -> list[str]:
        """The SIP domains of the gateway's certificate, as our connection to it showed."""
        assert self._outgoing is not None and self._outgoing.peer is not None
        return sip_domains(self._outgoing.peer)

    async def dial(
        self, target: str, *, call_id: str | None = None, subject: str | None = None, body: bytes | None = None,
        setup: str = "actpass", accept_types: str = sdp.PLAIN_TYPES, headers: Headers = (), offers: bool = True,
    ) -> tuple[SipMessage, Call | None]:  # fmt: skip
        """INVITE; see `OutgoingInvite`."""
        invite = OutgoingInvite(
            self, target, call_id=call_id, subject=subject, body=body, setup=setup, accept_types=accept_types,
            headers=headers, offers=offers,
        )  # fmt: skip
        return await (await invite.send()).finished()

    async def call(self, target: str, *, call_id: str | None = None, **more: str | Headers) -> Call:
        """An INVITE that the gateway must accept."""
        response, call = await self.dial(target, call_id=call_id, **more)  # type: ignore[arg-type]
        require(call is not None, f"INVITE to {target} was refused:\n{response}")
        assert call is not None
        return call

    async def message(
        self, target: str, text: str, *, call_id: str | None = None, subject: str | None = None,
        content_type: str = "text/plain;charset=UTF-8", timeout: float = PATIENCE, proof: bool = True,
    ) -> SipMessage:  # fmt: skip
        """A pager-mode MESSAGE; the final response."""
        await self.connect()
        request = self.request("MESSAGE", target, call_id=call_id, tag=new_tag(), proof=proof)
        if subject:
            request.headers.append(("Subject", subject))
        request.headers.append(("Content-Type", content_type))
        request.body = text.encode()
        return await self.transact(request).answered(timeout)

    async def options(self, target: str) -> SipMessage:
        await self.connect()
        return await self.transact(self.request("OPTIONS", target, call_id=None, tag=new_tag())).answered()

    async def expect_invite(self, timeout: float = PATIENCE) -> IncomingInvite:
        got = await self._take("INVITE", timeout)
        require(isinstance(got, IncomingInvite), f"{self.name} expected an INVITE, received\n{got}")
        assert isinstance(got, IncomingInvite)
        return got

    async def take_message(self, text: str = "", timeout: float = PATIENCE) -> IncomingMessage:
        got = await self._take(f"MESSAGE {text!r}", timeout)
        require(isinstance(got, IncomingMessage), f"{self.name} expected a MESSAGE, received\n{got}")
        assert isinstance(got, IncomingMessage)
        return got

    async def expect_message(self, text: str, timeout: float = PATIENCE) -> IncomingMessage:
        got = await self.take_message(text, timeout)
        equal(got.text, text, f"text of\n{got.request}")
        return got

    def unasked(self) -> list[str]:
        """What came that no flow has looked at."""
        left = [str(item) for item in self.inbox.waiting()]
        return [*left, *(text for dialog in self._dialogs.values() for text in dialog.unasked())]

    # What calls and transactions use.

    @property
    def contact_uri(self) -> str:
        suffix = "" if self.transport == "udp" else f";transport={self.transport}"
        return f"sip:{self.name}@127.0.0.1:{self.port}{suffix}"

    @property
    def contact(self) -> str:
        return f"<{self.contact_uri}>"

    def via(self) -> str:
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        return f"SIP/2.0/{self.transport.upper()} 127.0.0.1:{self.port};branch={branch};rport"

    def acknowledge(self, call: Call, body: bytes = b"") -> None:
        """The ACK of the 2xx to our last INVITE in the call."""
        ack = call.send("ACK")
        if body:
            ack.headers.append(("Content-Type", "application/sdp"))
            ack.body = body
        self._acks[call.call_id] = ack
        self._transmit(ack, self._channel())

    def add(self, dialog: Dialog) -> None:
        self._dialogs[dialog.key] = dialog

    def remove(self, dialog: Dialog) -> None:
        """Nothing may come in it any more."""
        self._dialogs.pop(dialog.key, None)

    def drop(self, call: Call) -> None:
        """The call is over: nothing more may come in it."""
        left = call.byes.waiting() or call.session.inbox.waiting()
        require(not left, f"{self.name} hung up, but there was still\n{left}")
        self.remove(call)
        self.msrp.forget(call.session)

    def transact(self, request: SipMessage) -> ClientTransaction:
        """Sends a request."""
        transaction = ClientTransaction(request, self._channel())
        self._clients[request.branch, request.method] = transaction
        self._transmit(request, transaction.channel)
        if transaction.channel.transport == "udp":
            self.spawn(transaction.retransmit())
        return transaction

    def request(
        self, method: str, target: str, *, call_id: str | None, tag: str, proof: bool = True, caller: str | None = None
    ) -> SipMessage:
        """A request outside of dialogs, not sent yet; `caller` is a From value without tag."""
        authorization = [("Authorization", self.proof(method, target))] if self.proof and proof else []
        return SipMessage(
            f"{method} {target} SIP/2.0",
            [
                ("Via", self.via()),
                ("Max-Forwards", "70"),
                ("From", f"{caller or f'<{self.uri}>'};tag={tag}"),
                ("To", f"<{target}>"),
                ("Call-ID", call_id or secrets.token_hex(8)),
                ("CSeq", f"1 {method}"),
                *authorization,
                *self.extra,
            ],
        )

    def _channel(self) -> Channel:
        if self.transport != "udp":
            require(self._outgoing is not None and self._outgoing.open, "the connection to the gateway is closed")
            assert self._outgoing is not None
            return self._outgoing
        assert self._udp is not None
        return self._udp.channel_to((self._gateway.host, self._gateway.port))

    def _transmit(self, message: SipMessage, channel: Channel) -> None:
        self._transcript.add(f"{self.name} → stox  ({channel.transport})", str(message))
        channel.send(message.encode())

    async def _take(self, what: str, timeout: float) -> Unasked:
        try:
            return await self.inbox.take(what, timeout)
        except FlowFailed as failure:
            raise (self.violations.pop(0) if self.violations else failure) from None

    def spawn(self, work: Coroutine[object, object, object]) -> None:
        """Runs beside the flow; its mishap fails the flow."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.violations.append(error if isinstance(error, Exception) else RuntimeError(str(error)))

    # What the network brings.

    def _received(self, data: bytes, channel: Channel) -> None:
        self._transcript.add(f"stox → {self.name}  ({channel.transport})", data)
        if self.deaf:
            return
        try:
            message = decode(data)
            if message.is_request:
                self._handle_request(message, channel)
            else:
                self._handle_response(message)
        except Exception as violation:  # a broken message of any kind fails the flow
            self.violations.append(violation)

    def _handle_response(self, response: SipMessage) -> None:
        transaction = self._clients.get((response.branch, response.method))
        if transaction is None:
            raise ProtocolViolation("RFC 3261 §17.1.3: a response belongs to a request of ours", str(response))
        check_response(response, transaction.request, self._gateway)
        first = transaction.handle(response)
        if transaction.request.method != "INVITE" or response.status < 200:
            return
        if response.status >= 300:
            self._acknowledge_refusal(transaction, response)
        elif not first and (ack := self._acks.get(response.call_id)):
            self._transmit(ack, transaction.channel)

    def _acknowledge_refusal(self, transaction: ClientTransaction, response: SipMessage) -> None:
        request = transaction.request
        ack = SipMessage(
            f"ACK {request.uri} SIP/2.0",
            [
                ("Via", request.all("Via")[0]),
                ("Max-Forwards", "70"),
                ("From", request.one("From")),
                ("To", response.one("To")),
                ("Call-ID", request.call_id),
                ("CSeq", f"{request.cseq[0]} ACK"),
            ],
        )
        self._transmit(ack, transaction.channel)

    def _handle_request(self, request: SipMessage, channel: Channel) -> None:
        check_request(request, channel.transport, self._gateway)
        if request.method == "ACK":
            return self._handle_ack(request)
        if repeated := self._servers.get((request.branch, request.method)):
            return repeated.handle_repeat()
        transaction = ServerTransaction(
            request, channel, lambda response: self._transcript.add(f"{self.name} → stox", str(response))
        )
        self._servers[request.branch, request.method] = transaction
        if request.method == "CANCEL":
            return self._handle_cancel(request, transaction)
        if tag := parameter(request.one("To"), "tag"):
            dialog = self._dialogs.get((request.call_id, tag))
            if dialog is None:
                transaction.respond(481, "Call/Transaction Does Not Exist", tag=None)
                raise ProtocolViolation("RFC 3261 §12.2: a request inside a dialog that is not open", str(request))
            return dialog.handle(request, transaction)
        if request.method == "INVITE":
            return self._handle_invite(transaction)
        if request.method == "MESSAGE":
            return self._handle_message(transaction)
        if self.on_request is not None and self.on_request(transaction):
            return
        if request.method == "OPTIONS":
            headers = [("Contact", self.contact), ("Allow", self.allow), ("Supported", self.supported)]
            transaction.respond(200, "OK", tag=new_tag(), headers=headers)
            return
        transaction.respond(405, "Method Not Allowed", tag=new_tag(), headers=[("Allow", ALLOW)])
        self.inbox.put(request)

    def _handle_invite(self, transaction: ServerTransaction) -> None:
        if self.trying:
            transaction.respond(100, "Trying", tag=None)
        invite = IncomingInvite(self, transaction)
        self._invites[transaction.request.branch] = invite
        if self.on_invite is not None:
            self.spawn(self._run(self.on_invite(invite)))
        else:
            self.inbox.put(invite)

    async def _run(self, work: Awaitable[object]) -> None:
        await work

    def _handle_message(self, transaction: ServerTransaction) -> None:
        message = IncomingMessage(transaction)
        self.inbox.put(message)
        if self.message_status is not None:
            message.answer(self.message_status)

    def _handle_cancel(self, request: SipMessage, transaction: ServerTransaction) -> None:
        invite = self._invites.get(request.branch)
        if invite is None:
            transaction.respond(481, "Call/Transaction Does Not Exist", tag=new_tag())
            raise ProtocolViolation("RFC 3261 §9.1: CANCEL has the branch of its INVITE", str(request))
        if request.uri != invite.request.uri or request.cseq[0] != invite.request.cseq[0]:
            raise ProtocolViolation("RFC 3261 §9.1: CANCEL copies Request-URI and CSeq number", str(request))
        if invite.transaction.response is None:
            raise ProtocolViolation("RFC 3261 §9.1: no CANCEL before a provisional response", str(request))
        transaction.respond(200, "OK", tag=new_tag())
        invite.cancel()

    def _handle_ack(self, ack: SipMessage) -> None:
        refused = self._servers.get((ack.branch, "INVITE"))
        if refused is not None and refused.response is not None and refused.response.status >= 300:
            return refused.handle_ack(ack)
        dialog = self._dialogs.get((ack.call_id, parameter(ack.one("To"), "tag") or ""))
        if dialog is not None:
            return dialog.handle_ack(ack)
        raise ProtocolViolation("RFC 3261 §13.2.2.4: the ACK belongs to a dialog or a refusal of ours", str(ack))
