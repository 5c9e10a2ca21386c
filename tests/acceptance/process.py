"""Programs that a flow starts: logged into a file, ended by process id, never left behind."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Program:
    """One child process. It dies with the test run even if that is killed."""

    def __init__(self, name: str, command: list[str], log: Path, env: dict[str, str] | None = None) -> None:
        self.name = name
        self.command = command
        self.log = log
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STOX_")}
        self.env = {**inherited, **(env or {})}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, cwd: Path | None = None) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                cwd=cwd,
                preexec_fn=_die_with_parent,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def wait(self, timeout: float) -> int:
        """The exit status; TimeoutError if it still runs after `timeout` seconds."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), timeout)

    def signal(self, number: signal.Signals) -> None:
        if self.running:
            assert self._process is not None
            self._process.send_signal(number)

    async def kill(self) -> None:
        """kill -9, and waits until it is gone."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            await self._process.wait()

    async def stop(self, timeout: float = 5.0) -> int:
        """SIGTERM, then SIGKILL when that was not heeded; the exit status."""
        if self._process is None:
            return 0
        self.signal(signal.SIGTERM)
        try:
            return await self.wait(timeout)
        except TimeoutError:
            await self.kill()
            return await self._process.wait()

    def log_text(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join(self.log_text().splitlines()[-lines:])


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
