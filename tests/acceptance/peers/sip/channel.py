"""The sockets of the SIP user: one UDP port, the same TCP port, and connections it opens."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from ...errors import ProtocolViolation
from .message import StreamReader


class Channel:
    """A way back to whoever sent a message."""

    transport: str

    def send(self, data: bytes) -> None:
        raise NotImplementedError


Receive = Callable[[bytes, Channel], None]
Violation = Callable[[ProtocolViolation], None]


class UdpChannel(Channel):
    transport = "udp"

    def __init__(self, socket: asyncio.DatagramTransport, address: tuple[str, int]) -> None:
        self._socket = socket
        self._address = address

    def send(self, data: bytes) -> None:
        if not self._socket.is_closing():
            self._socket.sendto(data, self._address)


class UdpSocket(asyncio.DatagramProtocol):
    """The UDP port."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.strip(b"\r\n\0"):
            self._receive(data, self.channel_to(addr))

    def channel_to(self, address: tuple[str, int]) -> UdpChannel:
        assert self._transport is not None
        return UdpChannel(self._transport, address)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class TcpChannel(asyncio.Protocol, Channel):
    """One TCP connection, whoever opened it."""

    transport = "tcp"

    def __init__(self, receive: Receive, on_violation: Violation, opened: set[TcpChannel]) -> None:
        self._receive = receive
        self._on_violation = on_violation
        self._opened = opened
        self._reader = StreamReader()
        self._socket: asyncio.Transport | None = None
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._opened.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._reader.push(data):
                self._receive(message, self)
        except ProtocolViolation as violation:
            self._on_violation(violation)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._opened.discard(self)
        self.closed.set()

    @property
    def peer(self) -> ssl.SSLObject | None:
        """What TLS knows of the other side."""
        return self._socket.get_extra_info("ssl_object") if self._socket is not None else None

    @property
    def open(self) -> bool:
        return self._socket is not None and not self._socket.is_closing()

    def send(self, data: bytes) -> None:
        if self.open:
            assert self._socket is not None
            self._socket.write(data)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class TlsChannel(TcpChannel):
    """One TLS connection, whoever opened it."""

    transport = "tls"
