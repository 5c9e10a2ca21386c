"""What Wireshark makes of the SIP and MSRP that the gateway sends: an opinion that is not ours.

The loopback is captured while the flows run. What the peers sent is left out by the ports, and so are the flows in
which peers send garbage. Wireshark puts SIP over TCP together itself; MSRP it reads only from the start of a packet,
so each MSRP message gets a packet of its own first.
"""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from dataclasses import dataclass
from math import inf
from pathlib import Path

from . import pcap
from .capture import Capture, NoCapture, Signalling
from .errors import FlowFailed
from .pcap import TCP, UDP, Stream, Writer
from .ports import SIGNALLING

_DISSECTION_LIMIT = 50.0
_MESSAGE_SIZE = 60_000
_ERROR = 0x0080_0000
_SHOWN = 5

_FIELDS = (
    "frame.number", "frame.protocols", "_ws.expert.severity", "_ws.expert.message", "_ws.malformed",
    "sip.continuation", "sip.Request-Line", "sip.Status-Line", "tcp.reassembled_in", "tcp.analysis.retransmission",
    "tcp.analysis.keep_alive", "tcp.analysis.zero_window_probe", "sdp.invalid", "sdp.unknown", "msrp.request.line",
    "msrp.response.line", "msrp.transaction.id", "msrp.end.line", "msrp.to.path", "msrp.from.path", "msrp.hdr",
)  # fmt: skip


@dataclass(frozen=True)
class Examined:
    """A packet handed to the dissectors."""

    what: str
    message: bytes


class Examination:
    """Packets of the gateway, collected in one file and dissected in one go."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.pcap"
        self.packets: dict[int, Examined] = {}
        self._decode_as: set[str] = set()

    @property
    def count(self) -> int:
        """Of the packets that carry anything."""
        return sum(1 for examined in self.packets.values() if examined.message)

    def collect(self, packets: Path, spoken: list[Signalling]) -> None:
        """What the gateway sent: SIP as it was captured, MSRP a message a packet. `spoken` is in order of time."""
        streams: dict[tuple[int, int, int], Stream] = {}
        starts = [flow.began for flow in spoken]
        with self.file.open("wb") as file:
            writer = Writer(file)
            for packet in pcap.read(packets):
                flow = spoken[max(bisect_right(starts, packet.at) - 1, 0)] if spoken else None
                if flow is None or not flow.began <= packet.at <= flow.ended:
                    continue
                if flow.is_sip_of_gateway(packet):
                    port = packet.source if packet.source == flow.gateway_sip else packet.destination
                    self.decode_as(packet.protocol, port, "sip")
                    self._note(writer.put(packet.ip), "SIP", packet.protocol, packet.source, packet.payload)
                elif flow.is_msrp_of_gateway(packet):
                    port = packet.source if packet.source == flow.gateway_msrp else packet.destination
                    self.decode_as(TCP, port, "msrp")
                    if packet.opens:
                        self._put_msrp(writer, streams.pop(packet.flow, None))
                        streams[packet.flow] = Stream(packet)
                    elif (stream := streams.get(packet.flow)) is not None:
                        stream.add(packet)
            for stream in streams.values():
                self._put_msrp(writer, stream)

    def _put_msrp(self, writer: Writer, stream: Stream | None) -> None:
        if stream is None:
            return
        if not stream.complete:
            raise NoCapture(f"the capture lacks packets, of TCP port {stream.opening.source}")
        _, source, destination = stream.opening.flow
        for message in _cut(bytes(stream.data)):
            self.add(writer, "MSRP", TCP, source, destination, _with_one_end(message))

    def add(self, writer: Writer, what: str, protocol: int, source: int, destination: int, message: bytes) -> None:
        """A packet with this message; of one too large for a packet the middle is left out."""
        if len(message) > _MESSAGE_SIZE:
            message = message[: _MESSAGE_SIZE // 2] + message[-_MESSAGE_SIZE // 2 :]
        self._note(writer.make(protocol, source, destination, message), what, protocol, source, message)

    def _note(self, number: int, what: str, protocol: int, source: int, message: bytes) -> None:
        name = "UDP" if protocol == UDP else "TCP"
        self.packets[number] = Examined(f"{what} over {name} from port {source}", message)

    def decode_as(self, protocol: int, port: int, dissector: str) -> None:
        self._decode_as.add(f"{'udp' if protocol == UDP else 'tcp'}.port=={port},{dissector}")

    async def findings(self) -> list[str]:
        """What is wrong with which packet, in their order."""
        found = []
        for row in await self._dissect():
            number = int(row["frame.number"])
            examined = self.packets[number]
            if examined.message and (fault := _fault(row, examined)):
                shown = examined.message[:1_200].decode("utf-8", "replace")
                found.append(f"packet {number}, {examined.what}: {fault}\n{shown}")
        return found

    async def _dissect(self) -> list[dict[str, str]]:
        arguments = ["tshark", "-n", "-2", "-r", str(self.file), "-T", "fields", "-E", "separator=/t", "-E", "quote=n"]
        arguments += ["-o", "tcp.desegment_tcp_streams:TRUE", "-o", "sip.desegment_headers:TRUE"]
        arguments += ["-o", "sip.desegment_body:TRUE", "-o", "ip.defragment:TRUE"]
        for rule in sorted(self._decode_as):
            arguments += ["-d", rule]
        for name in _FIELDS:
            arguments += ["-e", name]
        process = await asyncio.create_subprocess_exec(
            *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), _DISSECTION_LIMIT)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise FlowFailed(f"tshark was not done after {_DISSECTION_LIMIT:g} s") from None
        lines = output.decode("utf-8", "replace").removesuffix("\n").split("\n")
        rows = [dict(zip(_FIELDS, line.split("\t"), strict=False)) for line in lines]
        if process.returncode != 0 or len(rows) != len(self.packets):
            ended = f"status {process.returncode}, {len(rows)} of {len(self.packets)} packets dissected"
            raise FlowFailed(f"tshark: {ended}\n{errors.decode('utf-8', 'replace')}")
        return rows


_MSRP_START = re.compile(rb"MSRP ([A-Za-z0-9.\-+%=]+) [^\r\n]*\r\n")


def _cut(stream: bytes) -> list[bytes]:
    """The messages of an MSRP stream by their end-lines (RFC 4975 §5.1); what has none is one message."""
    messages, at = [], 0
    while at < len(stream):
        start = _MSRP_START.match(stream, at)
        end = start and re.compile(rb"\r\n-------%s[$#+]\r\n" % re.escape(start[1])).search(stream, start.end() - 2)
        stop = end.end() if end else len(stream)
        messages.append(stream[at:stop])
        at = stop
    return messages


def _with_one_end(message: bytes) -> bytes:
    """Wireshark ends a message at whatever looks like an end-line; RFC 4975 §5.1 lets a body carry foreign ones."""
    end = message.rfind(b"\r\n-------")
    return message[: max(end, 0)].replace(b"\r\n-------", b"\r\n=======") + message[max(end, 0) :]


def _fault(row: dict[str, str], examined: Examined) -> str | None:
    """What the dissectors object to in a packet."""
    severities = [int(severity) for severity in row["_ws.expert.severity"].split(",") if severity]
    if row["_ws.malformed"] or any(severity >= _ERROR for severity in severities):
        return f"malformed: {row['_ws.expert.message'] or 'exception while dissecting'}"
    return _sip_fault(row, examined) if examined.what.startswith("SIP") else _msrp_fault(row)


def _sip_fault(row: dict[str, str], examined: Examined) -> str | None:
    if "sip" not in row["frame.protocols"].split(":"):
        waits_for_more = row["tcp.reassembled_in"]
        said_before = any(row[f"tcp.analysis.{what}"] for what in ("retransmission", "keep_alive", "zero_window_probe"))
        is_keep_alive = not examined.message.strip(b"\r\n")  # RFC 5626 §4.4.1
        return None if waits_for_more or said_before or is_keep_alive else "does not dissect as SIP"
    if row["sip.continuation"]:
        return "SIP data that belongs to no message"
    if not row["sip.Request-Line"] and not row["sip.Status-Line"]:
        return "SIP without a start line"
    if row["sdp.invalid"] or row["sdp.unknown"]:
        return f"SDP line that is none: {row['sdp.invalid']}{row['sdp.unknown']}"
    return None


def _msrp_fault(row: dict[str, str]) -> str | None:
    if "msrp" not in row["frame.protocols"].split(":"):
        return "does not dissect as MSRP"
    if not row["msrp.request.line"] and not row["msrp.response.line"]:
        return "MSRP without a start line"
    if not row["msrp.end.line"] or len(set(row["msrp.transaction.id"].split(","))) != 1:
        return "MSRP without its end-line"
    if not row["msrp.to.path"] or not row["msrp.from.path"]:
        return "MSRP without paths"
    if row["msrp.hdr"] and ":" not in row["msrp.hdr"]:
        return f"MSRP header that is none: {row['msrp.hdr']}"
    return None


async def check_examination(folder: Path) -> None:
    """The same examination of a capture made up here: it finds what is broken of the gateway's, and nothing else."""
    capture = folder / "made-up-loopback.pcap"
    sip: set[int] = set()
    msrp: set[int] = set()
    broken = []
    with capture.open("wb") as file:
        writer = Writer(file)
        for number, (protocol, message, sound) in enumerate(_made_up()):
            gateway, peer = SIGNALLING[1] + 1 + number, SIGNALLING[0] + number
            (msrp if message.startswith(b"MSRP") else sip).add(peer)
            pieces = [message] if protocol == UDP else [message[:40], message[40:]]
            for source, destination in ((gateway, peer), (peer, gateway)):
                if protocol == TCP:
                    writer.open(source, destination)
                for piece in pieces:
                    writer.make(protocol, source, destination, piece)
            if not sound:
                broken.append(gateway)
    examination = Examination(folder, "made-up")
    examination.collect(capture, [Signalling(0.0, inf, 1, 2, frozenset(sip), frozenset(msrp), 0)])
    findings = await examination.findings()
    found = {int(match[1]) for finding in findings if (match := re.search(r"from port (\d+):", finding))}
    if sorted(found) != broken:
        raise FlowFailed(f"made up to be malformed: {broken}, found: {sorted(found)}\n" + "\n".join(findings))


def _made_up() -> list[tuple[int, bytes, bool]]:
    """Protocol, message, whether it is sound."""
    sdp = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n"
    sip = (
        b"INVITE sip:romeo@example.net SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKmadeup;rport\r\n"
        b"Max-Forwards: 70\r\nFrom: <sip:juliet@example.com>;tag=1\r\nTo: <sip:romeo@example.net>\r\n"
        b"Call-ID: made-up\r\nCSeq: 1 INVITE\r\nContact: <sip:127.0.0.1:9>\r\nContent-Type: application/sdp\r\n"
        b"Content-Length: %d\r\n\r\n%s"
    ) % (len(sdp), sdp)
    msrp = (
        b"MSRP a1b2c3d4 SEND\r\nTo-Path: msrp://127.0.0.1:9/romeo;tcp\r\nFrom-Path: msrp://127.0.0.1:8/juliet;tcp\r\n"
        b"Message-ID: 1\r\nByte-Range: 1-2/2\r\nContent-Type: text/plain\r\n\r\nhi\r\n-------a1b2c3d4$\r\n"
    )
    return [
        (UDP, sip, True),
        (TCP, sip, True),
        (TCP, msrp, True),
        (UDP, b"\x00\x01\x02 no SIP", False),
        (UDP, sip.replace(b"SIP/2.0\r\n", b"HTTP/1.1\r\n", 1), False),
        (UDP, sip.replace(b"Max-Forwards: 70", b"Max-Forwards 70"), False),
        (UDP, sip.replace(b"Content-Length: ", b"Content-Length: x"), False),
        (UDP, sip[: sip.index(b"\r\n\r\n")], False),
        (UDP, sip.replace(b"t=0 0", b"t0 0"), False),
        (TCP, sip.replace(b"Max-Forwards: 70", b"Max-Forwards 70"), False),
        (TCP, sip[:-9], False),
        (TCP, b"\x00\x01\x02 no SIP", False),
        (TCP, msrp.replace(b"MSRP ", b"MSRP", 1), False),
        (TCP, msrp.replace(b"d4$", b"d5$"), False),
        (TCP, msrp.replace(b"To-Path: ", b"To-Path "), False),
        (TCP, msrp.replace(b"Message-ID: 1", b"Message-ID"), False),
        (TCP, msrp[:-20], False),
    ]


async def examine(capture: Capture, spoken: list[Signalling]) -> tuple[str, bool]:
    """One line for the whole capture, with more below it if something is malformed; whether all is well."""
    await capture.stop()
    await check_examination(capture.folder)
    examination = Examination(capture.folder, "gateway")
    examination.collect(capture.file, spoken)
    if examination.count == 0:
        if heard := sum(flow.heard for flow in spoken):
            raise FlowFailed(f"nothing captured of the {heard:,} messages that the SIP users heard of stox")
        raise NoCapture("stox had nothing to say to SIP users")
    findings = await examination.findings()
    if not findings:
        return f"wireshark: {examination.count:,} packets of stox, none malformed", True
    shown = findings[:_SHOWN] + ([f"and {len(findings) - _SHOWN} more"] if len(findings) > _SHOWN else [])
    line = f"wireshark: {examination.count:,} packets of stox, {len(findings)} malformed"
    return "\n".join([line, *shown]), False
