"""The program under test: its configuration, its process, its log."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from .errors import FlowFailed, equal, require
from .process import Program

Settings = Mapping[str, object]

ROOT = Path(__file__).resolve().parents[2]
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LOG = "info,stox=debug,stox_sip=debug,stox_msrp=debug"


def binary() -> Path:
    """The built program; `TESTED_STOX` names another one."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(os.environ.get("TESTED_STOX", target / "debug" / "stox"))


class StoxProcess:
    """`stox run --config …`"""

    def __init__(self, folder: Path, settings: Settings) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "stox.toml"
        self.config.write_text(to_toml(settings))
        self.program = Program(
            "stox",
            [str(binary()), "run", "--config", str(self.config)],
            folder / "stox.log",
            {"NO_COLOR": "1", "RUST_BACKTRACE": "1", "RUST_LOG": ""},
        )

    async def start(self, ready: bool = True) -> None:
        """Starts; with `ready` returns after the `ready` line."""
        await self.program.start()
        if ready:
            await self.until_ready()

    async def until_ready(self, timeout: float = 10.0, times: int = 1) -> None:
        await self.until_logged(r"\bready\b", timeout, times)

    async def until_logged(self, pattern: str, timeout: float = 10.0, times: int = 1) -> None:
        """Returns when the pattern stands in the log so many times."""
        deadline = asyncio.get_running_loop().time() + timeout
        while len(re.findall(pattern, self.log())) < times:
            if not self.program.running:
                raise FlowFailed(
                    f"stox ended with status {self.program.returncode}, waiting for {pattern!r} in its log"
                )
            if asyncio.get_running_loop().time() > deadline:
                raise FlowFailed(f"{pattern!r} did not come {times} times in {timeout:g} s in stox's log")
            await asyncio.sleep(0.02)

    async def terminate(self, timeout: float = 12.0) -> None:
        """SIGTERM; the gateway must end with status 0 and must not have panicked."""
        require(self.program.running, f"stox had ended by itself, status {self.program.returncode}")
        try:
            status = await self.program.stop(timeout)
        finally:
            self.require_sane_log()
        equal(status, 0, "exit status after SIGTERM")

    def require_sane_log(self) -> None:
        require("panicked at" not in self.log(), "stox panicked")

    def log(self) -> str:
        return _COLOUR.sub("", self.program.log_text())

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join(self.log().splitlines()[-lines:])


def settings(
    *, xmpp_port: int, sip_port: int, msrp_port: int, proxy: str | None, secret: str, component: str
) -> dict[str, object]:
    """The configuration most flows run with."""
    sip: dict[str, object] = {"listen": [f"udp:127.0.0.1:{sip_port}", f"tcp:127.0.0.1:{sip_port}"]}
    if proxy is not None:
        sip["outbound_proxy"] = proxy
    return {
        "log": _LOG,
        "xmpp": {"server": f"127.0.0.1:{xmpp_port}", "domain": component, "secret": secret},
        "sip": sip,
        "msrp": {"listen": [f"tcp:127.0.0.1:{msrp_port}"]},
    }


def merged(base: Settings, changes: Settings) -> dict[str, object]:
    """`changes` over `base`, table by table; a value None removes the key."""
    result = dict(base)
    for key, value in changes.items():
        inner = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            result[key] = merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def to_toml(settings: Settings) -> str:
    """Top-level keys first, then the tables. JSON's strings, numbers and arrays are TOML's too."""
    return "\n".join([*_lines(settings, ""), ""])


def _lines(table: Settings, path: str) -> list[str]:
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping) or _is_tables(value)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if key not in tables]
    for key, value in tables.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *_lines(value, f"{name}.")]
        else:
            assert isinstance(value, list)
            for one in value:
                lines += ["", f"[[{name}]]", *_lines(one, f"{name}.")]
    return lines


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)
