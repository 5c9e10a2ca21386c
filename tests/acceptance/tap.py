"""A TCP proxy between the gateway and the XMPP server: counts, remembers and cuts connections."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field

from .servers.base import COMPONENT


@dataclass
class Carried:
    """Every byte of one connection."""

    to_gateway: bytearray = field(default_factory=bytearray)
    to_server: bytearray = field(default_factory=bytearray)

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
        received = b"".join(carried.to_gateway for carried in self.carried)
        stanzas = re.findall(rb"<message\b[^>]*>(?:(?!</message>).)*<body>.*?</message>", received, re.S)
        ids = [re.search(rb"""\bid=['"]([^'"]+)['"]""", stanza.split(b">", 1)[0]) for stanza in stanzas]
        return [match[1].decode() for match in ids if match]

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
            task = asyncio.create_task(_pump(source, sink, seen))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, seen: bytearray) -> None:
    try:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
            seen += data
    except OSError:
        pass
    finally:
        sink.close()
