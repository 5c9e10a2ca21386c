"""A TCP proxy between the gateway and the XMPP server: counts, remembers and cuts connections."""

from __future__ import annotations

import asyncio
import re
import time
from bisect import bisect_left
from dataclasses import dataclass, field

from .servers.base import COMPONENT


_MESSAGE = re.compile(rb"<message\b[^>]*>(?:(?!</message>).)*<body>.*?</message>", re.S)
_ERROR = re.compile(rb"<message\b(?=[^>]*\btype=['\"]error['\"])[^>]*\bid=['\"]([^'\"]+)['\"]")


@dataclass(frozen=True)
class HandedOver:
    """A message with a body that reached the gateway completely."""

    id: str
    at: float
    """In monotonic seconds."""
    ended: float | None
    """When the connection that it came by ended."""


@dataclass
class Carried:
    """Every byte of one connection."""

    to_gateway: bytearray = field(default_factory=bytearray)
    to_server: bytearray = field(default_factory=bytearray)
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    """How many bytes had been given to the gateway by when, in monotonic seconds."""
    ended: float | None = None
    """When one of the two sides had closed it."""

    def handed_over(self) -> list[HandedOver]:
        found = []
        ends = [end for end, _ in self.arrivals]
        for match in _MESSAGE.finditer(bytes(self.to_gateway)):
            id = re.search(rb"""\bid=['"]([^'"]+)['"]""", match[0].split(b">", 1)[0])
            if id:
                at = self.arrivals[bisect_left(ends, match.end())][1]
                found.append(HandedOver(id[1].decode(), at, self.ended))
        return found

    def server_took(self, body: str) -> bool:
        """Whether a stanza that the gateway wrote to itself after this message came back: servers keep the order."""
        at = self.to_server.find(f"<body>{body}</body>".encode())
        if at < 0:
            return False
        for start in re.findall(rb"<(?:iq|message|presence)\b[^>]*>", bytes(self.to_server[at:])):
            attributes = dict(re.findall(rb"""\b(\w+)=['"]([^'"]*)['"]""", start))
            if attributes.get(b"to") == attributes.get(b"from") == COMPONENT.encode():
                id = re.escape(attributes.get(b"id", b"?"))
                return re.search(rb"""\bid=['"]%s['"]""" % id, bytes(self.to_gateway)) is not None
        return False


class Tap:
    """What it saw: when each connection was opened, and every byte in both directions."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.attempts: list[float] = []
        """When the gateway connected, in monotonic seconds."""
        self.carried: list[Carried] = []
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        for task in list(self._tasks):
            task.cancel()

    def message_ids_handed_over(self) -> list[str]:
        """The ids of the complete messages with a body that reached the gateway."""
        return [message.id for message in self.handed_over()]

    def handed_over(self) -> list[HandedOver]:
        """The same with their times."""
        return [message for carried in self.carried for message in carried.handed_over()]

    def ids_given_back(self) -> set[str]:
        """The ids of the error messages that the gateway wrote."""
        written = (match[1].decode() for carried in self.carried for match in _ERROR.finditer(bytes(carried.to_server)))
        return set(written)

    def cut(self, *, harshly: bool) -> None:
        """Ends every connection; `harshly`: what is on its way in the proxy is lost."""
        for writer in list(self._writers):
            if harshly:
                writer.transport.abort()
            else:
                writer.close()
        self._writers.clear()

    def server_took(self, body: str) -> bool:
        """Whether the server has provably been given the message with this body, whatever became of it then."""
        return any(carried.server_took(body) for carried in self.carried)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.attempts.append(time.monotonic())
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers.add(far_writer)
        carried = Carried()
        self.carried.append(carried)
        for source, sink, seen in ((reader, far_writer, carried.to_server), (far_reader, writer, carried.to_gateway)):
            task = asyncio.create_task(_pump(source, sink, seen, carried))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, seen: bytearray, carried: Carried
) -> None:
    try:
        while data := await source.read(65_536):
            if sink.is_closing():
                break
            sink.write(data)
            await sink.drain()
            seen += data
            if seen is carried.to_gateway:
                carried.arrivals.append((len(seen), time.monotonic()))
    except OSError:
        pass
    finally:
        carried.ended = carried.ended or time.monotonic()
        sink.close()
