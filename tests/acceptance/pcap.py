"""Capture files: the packets in them, the TCP streams those make, and files of packets made up here."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

UDP, TCP = 17, 6

_MAGIC, _MAGIC_NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
_ETHERNET, _RAW_IP = 1, 101
_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_LOOPBACK = bytes([127, 0, 0, 1])
_SYN, _PSH_ACK = 0x02, 0x18
_SEQUENCE = 1 << 32


@dataclass(frozen=True)
class Packet:
    """An IPv4 packet with UDP or TCP; `ip` is all of it, without the link's header."""

    at: float
    """When it was captured, in seconds since 1970."""
    ip: bytes
    protocol: int
    source: int
    destination: int
    sequence: int
    """TCP only: of the first byte of `payload`, or of the SYN."""
    opens: bool
    """TCP only: carries SYN."""
    payload: bytes

    @property
    def flow(self) -> tuple[int, int, int]:
        """One direction of a connection, until the ports are used again."""
        return self.protocol, self.source, self.destination


def read(file: Path) -> Iterator[Packet]:
    """The whole packets of a capture in the classic format, of Ethernet or of IP alone; others are passed over."""
    with file.open("rb") as capture:
        header = capture.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return
        magic, *_, link = _HEADER.unpack(header)
        if magic not in (_MAGIC, _MAGIC_NANOSECONDS) or link not in (_ETHERNET, _RAW_IP):
            return
        start = 14 if link == _ETHERNET else 0
        fraction = 1e-6 if magic == _MAGIC else 1e-9
        while len(record := capture.read(_RECORD.size)) == _RECORD.size:
            seconds, fractions, length, original = _RECORD.unpack(record)
            data = capture.read(length)
            if len(data) == original and (packet := _packet(seconds + fractions * fraction, data[start:])) is not None:
                yield packet


def _packet(at: float, ip: bytes) -> Packet | None:
    if len(ip) < 28 or ip[0] >> 4 != 4:
        return None
    start = (ip[0] & 15) * 4
    ip = ip[: int.from_bytes(ip[2:4], "big")]
    source, destination = struct.unpack_from(">HH", ip, start)
    if ip[9] == UDP:
        return Packet(at, ip, UDP, source, destination, 0, False, ip[start + 8 :])
    if ip[9] == TCP:
        (sequence,) = struct.unpack_from(">I", ip, start + 4)
        payload = ip[start + (ip[start + 12] >> 4) * 4 :]
        return Packet(at, ip, TCP, source, destination, sequence, bool(ip[start + 13] & _SYN), payload)
    return None


class Stream:
    """The bytes of one direction of a TCP connection, put together from its SYN on (RFC 9293 §3.4)."""

    def __init__(self, opening: Packet) -> None:
        self.opening = opening
        self.data = bytearray()
        self._first = (opening.sequence + 1) % _SEQUENCE
        self._ahead: dict[int, bytes] = {}

    def add(self, packet: Packet) -> None:
        """A segment; repeated bytes are dropped, later ones wait for those before them."""
        at = (packet.sequence - self._first) % _SEQUENCE
        if not packet.payload or at >= _SEQUENCE // 2:
            return
        self._ahead[at] = max(packet.payload, self._ahead.get(at, b""), key=len)
        while ready := [at for at in self._ahead if at <= len(self.data)]:
            at = min(ready)
            self.data += self._ahead.pop(at)[len(self.data) - at :]

    @property
    def complete(self) -> bool:
        """Whether no segment is missing."""
        return not self._ahead


class Writer:
    """Writes a capture, packet by packet; each gets the number by which dissectors name it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._next: dict[tuple[int, int], int] = {}
        self.count = 0
        file.write(_HEADER.pack(_MAGIC, 2, 4, 0, 0, 262_144, _RAW_IP))

    def put(self, ip: bytes) -> int:
        """A packet as it is; its number, one-based."""
        self.count += 1
        self._file.write(_RECORD.pack(self.count, 0, len(ip), len(ip)) + ip)
        return self.count

    def make(self, protocol: int, source: int, destination: int, payload: bytes) -> int:
        """A packet on the loopback with this payload, which for TCP follows on what was made for the same ports."""
        if protocol == UDP:
            return self._make(UDP, struct.pack(">HHHH", source, destination, 8 + len(payload), 0), payload)
        sequence = self._next.get((source, destination), 1)
        self._next[source, destination] = sequence + len(payload)
        return self._make(TCP, _segment(source, destination, sequence, _PSH_ACK), payload)

    def open(self, source: int, destination: int) -> int:
        """The SYN that stands before what is made for these ports."""
        return self._make(TCP, _segment(source, destination, 0, _SYN), b"")

    def _make(self, protocol: int, segment: bytes, payload: bytes) -> int:
        length = 20 + len(segment) + len(payload)
        header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 0, 0x4000, 64, protocol, 0, _LOOPBACK, _LOOPBACK)
        return self.put(header + segment + payload)


def _segment(source: int, destination: int, sequence: int, flags: int) -> bytes:
    return struct.pack(">HHIIBBHHH", source, destination, sequence, 1, 5 << 4, flags, 65_535, 0, 0)
