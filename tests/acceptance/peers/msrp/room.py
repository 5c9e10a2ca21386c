"""An MSRP session of a chat room, on the room's side or a participant's (RFC 7701)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence

from ...errors import ProtocolViolation
from .frame import Frame
from .session import MsrpSession, Received


class RoomSession(MsrpSession):
    """A session with nicknames."""

    on_nickname: Callable[[Frame], int | None] | None = None
    """The answer to NICKNAME; None: none is sent. Without it NICKNAME is not known here."""
    on_message: Callable[[Received], int | None] | None = None
    """Takes messages in place of the mailbox; its answer."""
    takes_chunks = True
    """Whether a message may come in pieces."""

    def handle(self, frame: Frame) -> None:
        if frame.method == "NICKNAME":
            return self._handle_nickname(frame)
        if frame.method == "SEND" and frame.flag == "+" and not self.takes_chunks:
            return self.drop_connection()
        super().handle(frame)

    def nickname(self, value: str | None, headers: Sequence[tuple[str, str]] = ()) -> asyncio.Future[int]:
        """NICKNAME with `Use-Nickname` as it stands, quotes and all; its answer comes later."""
        wish = [("Use-Nickname", value)] if value is not None else []
        paths = [("To-Path", self._peer()), ("From-Path", self.path)]
        return self._transmit(
            Frame(transaction=secrets.token_hex(8), method="NICKNAME", headers=[*paths, *wish, *headers])
        )

    def send_counted(self, body: bytes, total: int, headers: Sequence[tuple[str, str]] = ()) -> asyncio.Future[int]:
        """A SEND of CPIM in one piece that says to have so many bytes."""
        frame = Frame(
            transaction=secrets.token_hex(8),
            method="SEND",
            headers=[
                ("To-Path", self._peer()),
                ("From-Path", self.path),
                ("Byte-Range", f"1-{total}/{total}"),
                ("Message-ID", secrets.token_hex(8)),
                *headers,
                ("Content-Type", "message/cpim"),
            ],
            body=body,
        )
        return self._transmit(frame)

    def keep_alive(self) -> asyncio.Future[int]:
        """An empty SEND that only wants to be answered."""
        frame = Frame(
            transaction=secrets.token_hex(8),
            method="SEND",
            headers=[
                ("To-Path", self._peer()),
                ("From-Path", self.path),
                ("Message-ID", secrets.token_hex(8)),
                ("Keep-Alive", "yes"),
                ("Byte-Range", "1-0/0"),
            ],
        )
        return self._transmit(frame)

    def answer_frame(self, frame: Frame, status: int) -> None:
        """Answers a NICKNAME that `on_nickname` left open."""
        self._answer(frame, status)

    def _arrived(self, received: Received) -> None:
        if self.on_message is None:
            return super()._arrived(received)
        status = self.on_message(received)
        if status is not None:
            self.answer(received, status)

    def _handle_nickname(self, frame: Frame) -> None:
        if self.on_nickname is None:
            raise ProtocolViolation("RFC 7701 §7.1: NICKNAME goes to the room", str(frame))
        names = [name for name, _ in frame.headers]

        def ask(condition: object, rule: str) -> None:
            if not condition:
                raise ProtocolViolation(f"RFC 7701 §7.1, RX-05: {rule}", str(frame))

        ask(names.count("Use-Nickname") == 1, "one Use-Nickname")
        ask("Success-Report" not in names and "Failure-Report" not in names, "no reports are asked for")
        ask(frame.body is None and frame.flag == "$", "no body, and the flag $")
        status = self.on_nickname(frame)
        if status is not None:
            self._answer(frame, status)
