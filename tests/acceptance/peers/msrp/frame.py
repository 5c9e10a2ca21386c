"""MSRP requests and responses on the wire (RFC 4975 §7, §9), checked as they are read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...errors import ProtocolViolation

_START = re.compile(r"^MSRP ([A-Za-z0-9][A-Za-z0-9.\-+%=]{3,31}) (?:([A-Z]+)|(\d{3})(?: (.*))?)$")
_RANGE = re.compile(r"^(\d+)-(\d+|\*)/(\d+|\*)$")


@dataclass
class Frame:
    """One request (`method`) or response (`status`); `body` None means there was none."""

    transaction: str
    method: str | None = None
    status: int | None = None
    comment: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    flag: str = "$"

    def get(self, name: str) -> str | None:
        return next((value for header, value in self.headers if header == name), None)

    @property
    def byte_range(self) -> tuple[int, int | None, int | None]:
        """Start, end and total of Byte-Range; None stands for `*`."""
        match = _RANGE.match(self.get("Byte-Range") or "")
        if not match:
            raise ProtocolViolation("RFC 4975 §7.1.1: Byte-Range", str(self))
        return (
            int(match[1]),
            None if match[2] == "*" else int(match[2]),
            None if match[3] == "*" else int(match[3]),
        )

    def encode(self) -> bytes:
        what = self.method if self.method else f"{self.status} {self.comment or ''}".rstrip()
        lines = [f"MSRP {self.transaction} {what}", *(f"{name}: {value}" for name, value in self.headers)]
        head = "\r\n".join(lines).encode() + b"\r\n"
        end = f"-------{self.transaction}{self.flag}\r\n".encode()
        return head + end if self.body is None else head + b"\r\n" + self.body + b"\r\n" + end

    def __str__(self) -> str:
        return self.encode().decode("utf-8", "replace")


class FrameReader:
    """Cuts a TCP stream into frames; refuses what the gateway may not write (MSRP-02, MSRP-03)."""

    def __init__(self) -> None:
        self._buffer = b""

    def push(self, data: bytes) -> list[Frame]:
        self._buffer += data
        frames = []
        while frame := self._next():
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        line, separator, _ = self._buffer.partition(b"\r\n")
        if not separator:
            return None
        start = _START.match(line.decode("utf-8", "replace"))
        if not start:
            shown = self._buffer[:600].decode("utf-8", "replace")
            raise ProtocolViolation("RFC 4975 §9: start line with an ident of 4 to 32 characters", shown)
        end = re.compile(rb"\r\n-------" + re.escape(start[1].encode()) + rb"([$+#])\r\n").search(self._buffer)
        if not end:
            return None
        raw, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
        return _parse(start, raw, end[1].decode())


def _parse(start: re.Match[str], raw: bytes, flag: str) -> Frame:
    head, separator, body = raw.partition(b"\r\n\r\n")
    frame = Frame(
        transaction=start[1],
        method=start[2],
        status=int(start[3]) if start[3] else None,
        comment=start[4],
        body=body if separator else None,
        flag=flag,
    )
    for line in head.decode("utf-8").split("\r\n")[1:]:
        name, colon, value = line.partition(": ")
        if not colon or not re.fullmatch(r"[A-Za-z0-9-]+", name):
            raise ProtocolViolation(f"RFC 4975 §9: header line {line!r}", raw.decode("utf-8", "replace"))
        frame.headers.append((name, value))
    _check(frame)
    return frame


def _check(frame: Frame) -> None:
    def ask(condition: object, rule: str) -> None:
        if not condition:
            raise ProtocolViolation(rule, str(frame))

    names = [name for name, _ in frame.headers]
    ask(names[:2] == ["To-Path", "From-Path"], "RFC 4975 §7.1, MSRP-03: To-Path, then From-Path, come first")
    ask(len(names) == len(set(names)), "RFC 4975 §9: no header is double")
    if frame.status is not None:
        ask(frame.flag == "$", "RFC 4975 §7.2, MSRP-19: a response has the flag $")
        ask(frame.body is None, "RFC 4975 §9: a response has no body")
        return
    if frame.body is None:
        ask("Content-Type" not in names, "MSRP-03: a request without body has no Content-Type")
    else:
        ask(names[-1] == "Content-Type", "MSRP-03: Content-Type is the last header")
    if frame.method == "SEND":
        ask("Byte-Range" in names, "MSRP-03: SEND has Byte-Range")
        ask("Message-ID" in names, "RFC 4975 §7.1.1: SEND has Message-ID")
        ident = frame.get("Message-ID") or ""
        ask(
            re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.\-+%=]{3,31}", ident),
            "RFC 4975 §9, CHAT-12: Message-ID is an ident of 4 to 32 characters",
        )
        first, last, total = frame.byte_range
        size = len(frame.body or b"")
        ask(first >= 1, "RFC 4975 §7.1.1: Byte-Range starts at 1")
        ask(last is None or last == first + size - 1, f"MSRP-03: Byte-Range counts the {size} bytes of the body")
        if frame.flag == "$":
            ask(total is None or total == first + size - 1, f"MSRP-03: the total is that of {size} bytes")
