"""One MSRP session of the SIP user: what was received, and sending with its answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import FlowFailed, ProtocolViolation, equal
from ...mailbox import PATIENCE, Mailbox
from .. import composing, cpim
from .frame import Frame

if TYPE_CHECKING:
    from .node import Connection

COMPOSING = "application/im-iscomposing+xml"
IMDN = "message/imdn+xml"

#: Longer than the gateway may hold an answer back.
ANSWER_PATIENCE = 40.0


@dataclass(frozen=True)
class Received:
    """A complete message: the text as the user reads it, and how it came. An isComposing document reads `is composing`
    or `is idle`, an IMDN stands as its XML."""

    text: str
    content_type: str
    message_id: str
    transaction: str
    cpim: dict[str, str] | None
    frame: Frame


@dataclass
class Sent:
    """A message on its way: the transactions of its chunks and their answers."""

    text: str
    message_id: str
    transactions: list[str]
    answers: list[asyncio.Future[int]]
    lengths: list[int]

    async def status(self, timeout: float = PATIENCE) -> int:
        """The answer to the last chunk, or the first answer that is not 200."""
        try:
            async with asyncio.timeout(timeout):
                for answer in self.answers:
                    status = await asyncio.shield(answer)
                    if status != 200:
                        return status
        except TimeoutError:
            raise FlowFailed(f"no answer in {timeout:g} s to the SEND {self.text!r}") from None
        return 200


class MsrpSession:
    """A session by its path; bound to a connection once one of the two sides has connected."""

    def __init__(
        self, owner: str, path: str, record: Callable[[str, Frame], None], fingerprint: str | None = None
    ) -> None:
        self.owner = owner
        self.path = path
        self.fingerprint = fingerprint
        """Of the certificate we show, for our description."""
        self.peer_path: str | None = None
        self.peer_fingerprint: str | None = None
        """Of the certificate that the gateway has to show."""
        self.inbox: Mailbox[Received] = Mailbox(owner)
        self.reports: Mailbox[Frame] = Mailbox(owner)
        self.statuses: Callable[[Received], int | None] = lambda _: 200
        """The answer to a received message; None: none is sent."""
        self.ended = asyncio.Event()
        self.expects_cpim: bool | None = None
        self._record = record
        self._connection: Connection | None = None
        self._bound = asyncio.Event()
        self._chunks: dict[str, dict[int, bytes]] = {}
        self._answers: dict[str, asyncio.Future[int]] = {}

    @property
    def bound(self) -> bool:
        return self._bound.is_set()

    async def until_bound(self, timeout: float = PATIENCE) -> None:
        try:
            await asyncio.wait_for(self._bound.wait(), timeout)
        except TimeoutError:
            raise FlowFailed(f"{self.owner}: no MSRP connection for {self.path} in {timeout:g} s") from None

    def bind(self, connection: Connection) -> None:
        self._connection = connection
        self._bound.set()

    def connection_ended(self) -> None:
        self.ended.set()

    def drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def cut_connection(self, *, harshly: bool) -> set[str]:
        """Ends the connection, `harshly` without sending what still waits; the paths of all sessions that used it."""
        if self._connection is None:
            return set()
        self._connection.close(harshly=harshly)
        return {session.path for session in self._connection.sessions}

    def say(self, text: str, *, wrapped_from: str | None = None, wrapped_to: str = "") -> Sent:
        """A text as text/plain, or in CPIM when `wrapped_from` names the sender's URI."""
        if wrapped_from is None:
            return self.send(text.encode(), "text/plain", text=text)
        return self.send(cpim.wrap(text, wrapped_from, wrapped_to), "message/cpim", text=text)

    def say_asking(self, text: str) -> Sent:
        """A text whose success REPORT is asked for."""
        return self.send(text.encode(), "text/plain", text=text, headers=[("Success-Report", "yes")])

    def compose(self, active: bool, *, refresh: int | None = None) -> Sent:
        """An isComposing document."""
        return self.send(composing.write(active, refresh), COMPOSING)

    def send(
        self,
        body: bytes,
        content_type: str,
        *,
        text: str = "",
        chunks: list[int] | None = None,
        headers: Sequence[tuple[str, str]] = (),
        message_id: str | None = None,
    ) -> Sent:
        """SENDs a body, cut into chunks of the given sizes (the last takes the rest)."""
        message_id = message_id or secrets.token_hex(8)
        pieces = _cut(body, chunks or [])
        sent = Sent(text or repr(body[:40]), message_id, [], [], [len(piece) for piece in pieces])
        start = 1
        for number, piece in enumerate(pieces):
            end = start + len(piece) - 1
            frame = Frame(
                transaction=secrets.token_hex(8),
                method="SEND",
                headers=[
                    ("To-Path", self._peer()),
                    ("From-Path", self.path),
                    ("Message-ID", message_id),
                    ("Byte-Range", f"{start}-{end}/{len(body)}"),
                    *headers,
                    ("Content-Type", content_type),
                ],
                body=piece,
                flag="$" if number == len(pieces) - 1 else "+",
            )
            sent.transactions.append(frame.transaction)
            sent.answers.append(self._transmit(frame))
            start = end + 1
        return sent

    def send_empty(self) -> asyncio.Future[int]:
        """The bodiless SEND by which the active side binds the connection (RFC 4975 §5.4)."""
        frame = Frame(
            transaction=secrets.token_hex(8),
            method="SEND",
            headers=[
                ("To-Path", self._peer()),
                ("From-Path", self.path),
                ("Message-ID", secrets.token_hex(8)),
                ("Byte-Range", "1-0/0"),
            ],
        )
        return self._transmit(frame)

    async def expect(self, text: str, timeout: float = PATIENCE) -> Received:
        """The next message is this text."""
        got = await self.inbox.take(f"the SEND {text!r}", timeout)
        equal(got.text, text, f"{self.owner} received\n{got.frame}\ntext")
        return got

    async def expect_report(self, status: int, sent: Sent) -> Frame:
        """The next REPORT has this status and is about the whole of that message (RCPT-04)."""
        got = await self.reports.take(f"a REPORT {status}")
        length = sum(sent.lengths)
        equal((got.get("Status") or "").split(" ")[:2], ["000", str(status)], f"{self.owner} received\n{got}\nstatus")
        equal(got.get("Message-ID"), sent.message_id, f"{self.owner} received\n{got}\nMessage-ID")
        equal(got.get("Byte-Range"), f"1-{length}/{length}", f"{self.owner} received\n{got}\nByte-Range")
        return got

    def report(self, received: Received, status: int = 200, byte_range: str | None = None) -> None:
        """REPORTs what became of a message; of all of it unless a range is given."""
        length = len(received.frame.body or b"")
        self._write(
            Frame(
                transaction=secrets.token_hex(8),
                method="REPORT",
                headers=[
                    ("To-Path", received.frame.get("From-Path") or ""),
                    ("From-Path", self.path),
                    ("Message-ID", received.message_id),
                    ("Byte-Range", byte_range or f"1-{length}/{length}"),
                    ("Status", f"000 {status} {'OK' if status == 200 else 'Refused'}"),
                ],
            )
        )

    async def until_answered(self, timeout: float = PATIENCE) -> None:
        """Returns when each of our requests has its answer."""
        waiting = list(self._answers.values())
        if waiting and (await asyncio.wait(waiting, timeout=timeout))[1]:
            raise FlowFailed(f"{self.owner}: {len(self._answers)} SENDs without an answer in {timeout:g} s")

    def handle(self, frame: Frame) -> None:
        """A frame of the connection that names this session."""
        if frame.status is not None:
            return self._handle_answer(frame)
        if frame.method == "SEND":
            return self._handle_send(frame)
        if frame.method != "REPORT":
            raise ProtocolViolation("RFC 4975 §7: only SEND and REPORT belong into a chat", str(frame))
        self.reports.put(frame)

    def _handle_answer(self, frame: Frame) -> None:
        answer = self._answers.pop(frame.transaction, None)
        if answer is None:
            raise ProtocolViolation("RFC 4975 §7.2: a response belongs to a request that waits for one", str(frame))
        assert frame.status is not None
        if not answer.done():
            answer.set_result(frame.status)

    def _handle_send(self, frame: Frame) -> None:
        if self.peer_path and frame.get("From-Path") != self.peer_path:
            raise ProtocolViolation(f"RFC 4975 §7.1: From-Path is the path {self.peer_path}", str(frame))
        if not frame.body:
            return self._answer(frame, 200)
        message_id = frame.get("Message-ID") or ""
        parts = self._chunks.setdefault(message_id, {})
        parts[frame.byte_range[0]] = frame.body
        if frame.flag == "+":
            return self._answer(frame, 200)
        del self._chunks[message_id]
        if frame.flag == "#":
            return self._answer(frame, 200)
        self._arrived(self._read(frame, b"".join(parts[start] for start in sorted(parts))))

    def _arrived(self, received: Received) -> None:
        """A message is complete."""
        self.inbox.put(received)
        status = self.statuses(received)
        if status is not None:
            self.answer(received, status)

    def _read(self, frame: Frame, body: bytes) -> Received:
        content_type = frame.get("Content-Type") or ""
        inner = content_type
        headers = None
        if _kind(content_type) == "message/cpim":
            headers, inner, body = cpim.unwrap(body)
        if _kind(inner) not in ("text/plain", COMPOSING, IMDN):
            raise ProtocolViolation("MSRP-21: a text goes as text/plain or message/cpim", str(frame))
        if self.expects_cpim is not None and (headers is not None) != self.expects_cpim:
            raise ProtocolViolation("CHAT-12: CPIM exactly when the peer lists it first or alone", str(frame))
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            raise ProtocolViolation("text is UTF-8", str(frame)) from None
        if _kind(inner) == COMPOSING:
            text = composing.read(text, frame)
        return Received(text, content_type, frame.get("Message-ID") or "", frame.transaction, headers, frame)

    def answer(self, received: Received, status: int) -> None:
        """Answers a message that `statuses` left open."""
        self._answer(received.frame, status)

    def _answer(self, frame: Frame, status: int) -> None:
        if frame.get("Failure-Report") == "no":
            return
        self._write(
            Frame(
                transaction=frame.transaction,
                status=status,
                comment="OK" if status == 200 else "Refused",
                headers=[("To-Path", (frame.get("From-Path") or "").split(" ")[0]), ("From-Path", self.path)],
            )
        )

    def _transmit(self, frame: Frame) -> asyncio.Future[int]:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answers[frame.transaction] = answer
        self._write(frame)
        return answer

    def _write(self, frame: Frame) -> None:
        if self._connection is None:
            raise FlowFailed(f"{self.owner} has no MSRP connection yet for {self.path}")
        self._record(f"{self.owner} → stox", frame)
        self._connection.write(frame.encode())

    def _peer(self) -> str:
        if self.peer_path is None:
            raise FlowFailed("the path of the other side is not known yet")
        return self.peer_path


def _kind(content_type: str) -> str:
    return content_type.split(";")[0].strip().lower()


def _cut(body: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    return [*pieces, body[at:]]
