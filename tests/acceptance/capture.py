"""The loopback's SIP and MSRP, captured while the flows run."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from .pcap import TCP, Packet
from .ports import SIGNALLING
from .process import Program

#: The capture ends by itself at this size, in kB; the flows need a tenth.
_CAPTURE_SIZE = 100_000
#: What the kernel keeps for a capturing program that is not scheduled, in MiB.
_CAPTURE_BUFFER = 32
#: How long the kernel may keep packets before dumpcap sees them, in seconds.
_LAST_PACKETS = 0.3


@dataclass(frozen=True)
class Signalling:
    """Where SIP and MSRP were spoken in one flow. Before and after it others may use the same ports."""

    began: float
    ended: float
    """In seconds since 1970, as captures count."""
    gateway_sip: int
    gateway_msrp: int
    peer_sip: frozenset[int]
    peer_msrp: frozenset[int]
    heard: int
    """How many messages of the gateway the SIP users heard."""

    def is_sip_of_gateway(self, packet: Packet) -> bool:
        """Peers talk to the gateway only, so what is sent to one comes from it."""
        return packet.source == self.gateway_sip or packet.destination in self.peer_sip

    def is_msrp_of_gateway(self, packet: Packet) -> bool:
        return packet.protocol == TCP and (packet.source == self.gateway_msrp or packet.destination in self.peer_msrp)


class NoCapture(Exception):
    """There is nothing to examine, or not all; says why."""


class Capture:
    """One run of dumpcap on the loopback."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / "loopback.pcap"
        self._obstacle: str | None = None
        first, last = SIGNALLING
        self._program = Program(
            "dumpcap",
            [
                "dumpcap", "-q", "-P", "-i", "lo", "-f", f"portrange {first}-{last}", "-w", str(self.file),
                "-B", str(_CAPTURE_BUFFER), "-a", f"filesize:{_CAPTURE_SIZE}",
            ],
            folder / "dumpcap.log",
        )  # fmt: skip

    async def start(self, timeout: float = 10.0) -> None:
        """Returns when packets are captured, or it is clear that they cannot be."""
        for name in ("dumpcap", "tshark"):
            if shutil.which(name) is None:
                self._obstacle = f"{name} is not installed"
                return
        await self._program.start()
        deadline = time.monotonic() + timeout
        while not (self.file.exists() and self.file.stat().st_size and "File:" in self._program.log_text()):
            if not self._program.running or time.monotonic() > deadline:
                self._obstacle = "capturing on the loopback is not permitted"
                if told := re.search(r"permission.*|cap_set_proc.*|[Cc]an't.*|[Cc]ouldn't.*", self._program.log_text()):
                    self._obstacle += f": {told[0]}"
                await self._program.kill()
                return
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Ends the capture; NoCapture if it is not all there."""
        if self._obstacle is not None:
            raise NoCapture(self._obstacle)
        if not self._program.running:
            raise NoCapture(f"the capture ended early, at most {_CAPTURE_SIZE} kB are kept")
        await asyncio.sleep(_LAST_PACKETS)
        self._program.signal(signal.SIGINT)
        try:
            await self._program.wait(10.0)
        except TimeoutError:
            raise NoCapture("dumpcap does not end") from None
        dropped = re.search(r"received/dropped on interface '?lo'?: \d+/(\d+)", self._program.log_text())
        if dropped and int(dropped[1]):
            raise NoCapture(f"the capture lacks {dropped[1]} packets, the machine is too busy")

    async def kill(self) -> None:
        await self._program.kill()
