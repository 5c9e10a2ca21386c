"""SIP messages as text with headers in order; reading accepts only what the gateway may write."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...errors import ProtocolViolation

_COMPACT = {
    "i": "call-id", "m": "contact", "e": "content-encoding", "l": "content-length", "c": "content-type",
    "f": "from", "s": "subject", "k": "supported", "t": "to", "v": "via", "o": "event",
}  # fmt: skip
_REQUEST_LINE = re.compile(r"^([A-Z]+) (\S+) SIP/2\.0$")
_STATUS_LINE = re.compile(r"^SIP/2\.0 (\d{3}) (.*)$")
_HEADER_LINE = re.compile(r"^([A-Za-z0-9.!%*_+`'~-]+)[ \t]*:[ \t]*(.*?)[ \t]*$")


@dataclass
class SipMessage:
    """A request or a response; `start` is its first line."""

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def is_request(self) -> bool:
        return not self.start.startswith("SIP/2.0 ")

    @property
    def method(self) -> str:
        """Of a request its own, of a response the one in CSeq."""
        return self.start.split(" ")[0] if self.is_request else self.cseq[1]

    @property
    def uri(self) -> str:
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    @property
    def cseq(self) -> tuple[int, str]:
        number, _, method = self.one("CSeq").partition(" ")
        if not re.fullmatch(r"\d{1,10}", number) or int(number) >= 2**31:
            raise ProtocolViolation("RFC 3261 §8.1.1.5: CSeq is a number below 2^31 and a method", str(self))
        return int(number), method.strip()

    @property
    def call_id(self) -> str:
        return self.one("Call-ID")

    @property
    def branch(self) -> str:
        return parameter(self.all("Via")[0], "branch") or ""

    def get(self, name: str) -> str | None:
        """The value of a header that may be absent but not double."""
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolViolation(f"RFC 3261 §7.3.1: {name} appears {len(values)} times", str(self))
        return values[0] if values else None

    def one(self, name: str) -> str:
        """The value of a header that must be there exactly once."""
        value = self.get(name)
        if value is None:
            raise ProtocolViolation(f"RFC 3261 §20: {name} is missing", str(self))
        return value

    def all(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for header, value in self.headers if _COMPACT.get(header.lower(), header.lower()) == wanted]

    def encode(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        if not self.all("Content-Length"):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body

    def __str__(self) -> str:
        return self.encode().decode("utf-8", "replace")


def decode(data: bytes) -> SipMessage:
    """Reads one whole message; everything that is not as RFC 3261 §7 and §25 write it fails the flow."""
    shown = data.decode("utf-8", "replace")
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise ProtocolViolation("RFC 3261 §7: headers end in an empty line", shown)
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise ProtocolViolation("RFC 3261 §7: headers are UTF-8", shown) from None
    if not _REQUEST_LINE.match(lines[0]) and not _STATUS_LINE.match(lines[0]):
        raise ProtocolViolation("RFC 3261 §7.1, §7.2: start line", shown)
    headers = []
    for line in lines[1:]:
        match = _HEADER_LINE.match(line)
        if not match or "\n" in line or "\r" in line:
            raise ProtocolViolation(f"RFC 3261 §7.3: header line {line!r}", shown)
        headers.append((match[1], match[2]))
    message = SipMessage(lines[0], headers, body)
    if int(message.one("Content-Length")) != len(body):
        raise ProtocolViolation(f"RFC 3261 §20.14: Content-Length is not {len(body)}", shown)
    return message


class StreamReader:
    """Cuts a TCP stream into messages by Content-Length (RFC 3261 §18.3)."""

    def __init__(self) -> None:
        self._buffer = b""

    def push(self, data: bytes) -> list[bytes]:
        self._buffer += data
        messages: list[bytes] = []
        while True:
            self._buffer = self._buffer.lstrip(b"\r\n")
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return messages
            length = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)[ \t]*\r?$", head)
            if not length:
                raise ProtocolViolation("RFC 3261 §18.3: Content-Length on a stream", head.decode("utf-8", "replace"))
            size = int(length[1])
            if len(rest) < size:
                return messages
            messages.append(head + separator + rest[:size])
            self._buffer = rest[size:]


def parameter(value: str, name: str) -> str | None:
    """A header parameter; of an address those behind the angle brackets. An empty one is ''."""
    outside = re.sub(r'"(\\.|[^"\\])*"|<[^>]*>', "", value)
    for piece in outside.split(";")[1:]:
        key, _, content = piece.strip().partition("=")
        if key.strip().lower() == name:
            return content.strip()
    return None


def uri_of(address: str) -> str:
    """The URI of a From, To or Contact value."""
    match = re.search(r"<([^>]*)>", address)
    return match[1] if match else address.split(";", maxsplit=1)[0].strip()


@dataclass(frozen=True)
class SipUri:
    """The parts of a SIP URI that the checks look at."""

    user: str
    host: str
    port: int | None
    parameters: dict[str, str]

    @staticmethod
    def parse(text: str) -> SipUri:
        match = re.fullmatch(r"sips?:(?:([^@]*)@)?(\[[^\]]*\]|[^:;?]+)(?::(\d+))?((?:;[^?]*)?)(?:\?.*)?", text)
        if not match:
            raise ProtocolViolation("RFC 3261 §19.1: SIP URI", text)
        pieces = [piece.partition("=") for piece in match[4].split(";") if piece]
        return SipUri(
            user=match[1] or "",
            host=match[2].lower(),
            port=int(match[3]) if match[3] else None,
            parameters={key.lower(): value for key, _, value in pieces},
        )
