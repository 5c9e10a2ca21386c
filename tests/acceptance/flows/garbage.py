"""Garbage, half messages and silent peers on the SIP and MSRP ports, while a chat goes on."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from ..errors import require
from ..world import ROMEO, World
from . import flow
from .plain_chat import exchange, open_from_xmpp

_SILENT = 20
_HEAD = (
    "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKgarbage\r\nFrom: <sip:x@example.net>;tag=1\r\n"
    "To: <sip:juliet@example.com>\r\nCall-ID: garbage\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
)


@flow("garbage: UDP datagrams", sound=False)
async def datagrams(world: World) -> None:
    """SIP-02, SEC: dropped or answered, the chat goes on, memory stays."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "undisturbed")
    before = _memory(world)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in _datagrams(random.Random(7)):
            sender.sendto(datagram, ("127.0.0.1", world.sip_port))
    await exchange(juliet, call, ROMEO, "undisturbed")
    _require_bounded(world, before)
    juliet.leave(ROMEO, "undisturbed")
    await call.expect_bye()
    await world.nothing_else()


@flow("garbage: SIP over TCP, half messages and silence", sound=False)
async def sip_streams(world: World) -> None:
    """SIP-01, SIP-02: each connection suffers alone."""
    pieces = [
        b"",
        b"\r\n\r\n\r\n",
        b"INVITE sip:juliet@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1",
        b"\x00\xff" * 4_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        f"INVITE sip:juliet@example.com SIP/2.0\r\n{_HEAD}Content-Length: 99999999999999999999\r\n\r\nx".encode(),
        f"INVITE sip:juliet@example.com SIP/2.0\r\n{_HEAD}Content-Length: -1\r\n\r\nx".encode(),
        f"INVITE sip:juliet@example.com SIP/2.0\r\n{_HEAD}Content-Length: 400\r\n\r\nhalf".encode(),
        f"INVITE sip:juliet@example.com SIP/2.0\r\n{_HEAD}\r\nno length".encode(),
        b"A" * 300_000,
        b"OPTIONS sip:x SIP/2.0\r\n" + b"X-Long: " + b"y" * 300_000,
        b"OPTIONS sip:x SIP/2.0\r\n" + b"X: y\r\n" * 60_000,
    ]
    await _streams(world, world.sip_port, pieces)


@flow("garbage: MSRP, half messages and silence", sound=False)
async def msrp_streams(world: World) -> None:
    """MSRP-02, MSRP-05, MSRP-14, MSRP-26: each connection suffers alone."""
    paths = "To-Path: msrp://127.0.0.1:1/none;tcp\r\nFrom-Path: msrp://127.0.0.1:2/me;tcp\r\n"
    send = f"MSRP abcd1234 SEND\r\n{paths}Message-ID: 12345\r\n"
    pieces = [
        b"",
        b"\r\n\r\n",
        b"\x00\xff" * 4_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"MSRP ",
        send.encode(),
        f"{send}Byte-Range: 1-99999999999999999999/99999999999999999999\r\nContent-Type: text/plain\r\n\r\nx".encode(),
        f"{send}Byte-Range: 0-0/0\r\nContent-Type: text/plain\r\n\r\nx\r\n-------abcd1234$\r\n".encode(),
        f"{send}Byte-Range: 5-2/1\r\nContent-Type: text/plain\r\n\r\nx\r\n-------abcd1234$\r\n".encode(),
        b"A" * 300_000,
        b"MSRP abcd1234 SEND\r\nTo-Path: " + b"y" * 300_000,
        b"MSRP abcd1234 SEND\r\n" + b"X: y\r\n" * 60_000,
    ]
    await _streams(world, world.msrp_port, pieces)


@flow("garbage: MSRP requests for nobody are answered", sound=False)
async def msrp_strangers(world: World) -> None:
    """MSRP-05, MSRP-19: 481 for an unknown session; 481 or 501 for an unknown method."""
    await world.start()
    for method, allowed in (("SEND", "481"), ("DANCE", "481|501"), ("AUTH", "481|501")):
        reader, writer = await asyncio.open_connection("127.0.0.1", world.msrp_port)
        extra = (
            "Message-ID: 12345\r\nByte-Range: 1-1/1\r\nContent-Type: text/plain\r\n\r\nx\r\n"
            if method == "SEND"
            else ""
        )
        writer.write(
            f"MSRP abcd1234 {method}\r\nTo-Path: msrp://127.0.0.1:{world.msrp_port}/none;tcp\r\n"
            f"From-Path: msrp://127.0.0.1:2/me;tcp\r\n{extra}-------abcd1234$\r\n".encode()
        )
        answer = await asyncio.wait_for(reader.readuntil(b"$\r\n"), 5.0)
        require(re.match(rf"MSRP abcd1234 ({allowed})".encode(), answer), f"answer to {method}: {answer!r}")
        writer.close()
    await world.nothing_else()


async def _streams(world: World, port: int, pieces: list[bytes]) -> None:
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "undisturbed")
    before = _memory(world)
    with ExitStack() as open_sockets:
        for piece in pieces + [b""] * _SILENT:
            connection = open_sockets.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.setblocking(False)
            await _write(connection, piece)
        await exchange(juliet, call, ROMEO, "undisturbed")
        random_bytes = random.Random(11)
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.setblocking(False)
                await _write(connection, random_bytes.randbytes(random_bytes.randrange(1, 2_000)))
        await exchange(juliet, call, ROMEO, "undisturbed")
        _require_bounded(world, before)
    await exchange(juliet, call, ROMEO, "undisturbed")
    juliet.leave(ROMEO, "undisturbed")
    await call.expect_bye()
    await world.nothing_else()


async def _write(connection: socket.socket, data: bytes) -> None:
    """As much as the gateway takes; it may hang up at any byte."""
    with suppress(OSError, TimeoutError):
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(connection, data), 2.0)


def _datagrams(chance: random.Random) -> Iterator[bytes]:
    yield b""
    yield b"\r\n\r\n"
    yield b"\x00" * 60_000
    yield b"INVITE sip:juliet@example.com SIP/2.0\r\n\r\n"
    yield f"INVITE sip:juliet@example.com SIP/2.0\r\n{_HEAD}Content-Length: 500\r\n\r\nhalf".encode()
    yield f"INVITE sip:juliet@example.com SIP/2.0\r\n{_HEAD}Content-Length: x\r\n\r\n".encode()
    yield f"INVITE  sip:juliet@example.com SIP/7.0\r\n{_HEAD}\r\n".encode()
    yield f"SIP/2.0 200 OK\r\n{_HEAD}Content-Length: 0\r\n\r\n".encode()
    yield f"SIP/2.0 99999 Huge\r\n{_HEAD}Content-Length: 0\r\n\r\n".encode()
    yield f"BYE sip:juliet@example.com SIP/2.0\r\n{_HEAD.replace('INVITE', 'BYE')}Content-Length: 0\r\n\r\n".encode()
    yield f"ACK sip:juliet@example.com SIP/2.0\r\n{_HEAD.replace('INVITE', 'ACK')}Content-Length: 0\r\n\r\n".encode()
    yield f"MESSAGE sip:\xff@example.com SIP/2.0\r\n{_HEAD}\r\n".encode("latin-1")
    for _ in range(300):
        yield chance.randbytes(chance.randrange(1, 1_400))


def _memory(world: World) -> int:
    """Resident memory of the gateway in KiB."""
    status = Path(f"/proc/{world.gateway.program.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]


def _require_bounded(world: World, before: int) -> None:
    grown = _memory(world) - before
    require(grown < 60_000, f"the gateway grew by {grown} KiB")
