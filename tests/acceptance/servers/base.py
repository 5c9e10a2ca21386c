"""What every private XMPP server offers to the flows."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path

from ..ports import free_port
from ..process import Program

DOMAIN = "example.com"
COMPONENT = "sip.example.com"
ROOMS = "rooms.example.com"
"""Where the server's own chat rooms are (XEP-0045)."""
SECRET = 'a secret <of> the tests & "theirs"'
USERS = {"juliet": "jpass", "nurse": "npass", "mercutio": "mpass"}


class XmppServer(ABC):
    """An XMPP server for example.com that expects the component sip.example.com and has rooms, which live in memory."""

    kind: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.client_port = free_port()
        self.component_port = free_port()
        self.program = Program(self.kind, self._command(), folder / f"{self.kind}.log", self._environment())

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _prepare(self) -> None:
        """Writes configuration and users."""

    @abstractmethod
    async def _create_users(self) -> None:
        """Called once, when the server runs for the first time."""

    def _environment(self) -> dict[str, str]:
        return {}

    async def start(self) -> None:
        """Starts with empty data, and returns when clients and components can connect."""
        self._prepare()
        await self.restart()
        await self._create_users()

    async def restart(self) -> None:
        """Starts again with the data that is there."""
        await self.program.start(cwd=self.folder)
        await self._await_ports()

    async def kill(self) -> None:
        """Dies in the middle of whatever it does (kill -9)."""
        await self.program.kill()

    async def stop(self) -> None:
        await self.program.stop()

    async def _await_ports(self, timeout: float = 30.0) -> None:
        deadline = asyncio.get_running_loop().time() + timeout
        for port in (self.client_port, self.component_port):
            while not await _accepts(port):
                if not self.program.running or asyncio.get_running_loop().time() > deadline:
                    raise RuntimeError(f"{self.kind} did not start:\n{self.program.log_tail()}")
                await asyncio.sleep(0.05)


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
