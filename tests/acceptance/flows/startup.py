"""From the start of the program to the first message, and what may go wrong on the way."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from ..errors import require
from ..ports import free_port
from ..servers.base import SECRET
from ..tap import Tap
from ..world import ROMEO, World
from . import flow
from .plain_chat import exchange, open_from_xmpp

_WATCHED = 6.0


@flow("start: ready line, and SIGTERM ends with status 0")
async def ready_and_gone(world: World) -> None:
    """DISCO-01, SEC-05: accepted by the server, all listeners bound: one `ready` line; no secret in the log."""
    await world.start()
    await world.nothing_else()
    ready = re.findall(r"\bready\b", world.gateway.log())
    require(len(ready) == 1, f"the log has {len(ready)} ready lines")
    require(SECRET not in world.gateway.log(), "the secret stands in the log")


@flow("start: gateway first, server later")
async def gateway_before_server(world: World) -> None:
    """DISCO-01: the gateway waits for a server that is not there yet, then a chat works."""
    tap = Tap(free_port(), world.server.component_port)
    juliet, romeo = await world.start(xmpp_port=tap.port, ready=False)
    await asyncio.sleep(2.0)
    require(world.gateway.program.running, "stox gave up waiting for the server")
    require(not re.search(r"\bready\b", world.gateway.log()), "ready without a server")
    await tap.start()
    try:
        await world.gateway.until_ready(timeout=15.0)
        call = await open_from_xmpp(juliet, romeo, "late-server")
        await exchange(juliet, call, ROMEO, "late-server")
        await world.nothing_else()
        await world.finish()
        world.gateway_ends_itself()
    finally:
        await tap.close()


@flow("start: wrong secret is one clear line and a slow retry")
async def wrong_secret(world: World) -> None:
    """DISCO-01, SEC-05: refused by the server: said once per attempt, few attempts, no busy loop."""
    tap = Tap(free_port(), world.server.component_port)
    await tap.start()
    try:
        await world.start(xmpp_port=tap.port, ready=False, config={"xmpp": {"secret": "another one"}})
        await asyncio.sleep(_WATCHED)
        require(world.gateway.program.running, "stox ended")
        attempts = len(tap.attempts)
        require(1 <= attempts <= 4, f"{attempts} connections in {_WATCHED:g} s")
        pauses = [later - earlier for earlier, later in zip(tap.attempts, tap.attempts[1:], strict=False)]
        require(all(pause >= 0.5 for pause in pauses), f"pauses between connections: {pauses}")
        told = [
            line
            for line in world.gateway.log().splitlines()
            if re.search(r"\b(WARN|ERROR)\b", line) and re.search(r"secret|not-authorized", line, re.I)
        ]
        require(1 <= len(told) <= attempts, f"{len(told)} lines tell of the secret in {attempts} attempts:\n{told}")
        require("another one" not in world.gateway.log(), "the secret stands in the log")
        busy = _processor_seconds(world.gateway.program.pid)
        require(busy < 1.0, f"{busy:g} s of processor time in {_WATCHED:g} s of waiting")
        await world.nothing_else()
    finally:
        await tap.close()


@flow("start: the secret from the environment, and from a file")
async def secret_elsewhere(world: World) -> None:
    """The contract's `STOX_XMPP__SECRET` and `secret_file`."""
    (world.folder / "secret").parent.mkdir(parents=True, exist_ok=True)
    (world.folder / "secret").write_text(SECRET + "\n")
    for name, setting, environment in (
        ("environment", {"secret": None}, {"STOX_XMPP__SECRET": SECRET}),
        ("file", {"secret": None, "secret_file": str(world.folder / "secret")}, {}),
    ):
        gateway = world.make_gateway(config={"xmpp": setting})
        gateway.program.env.update(environment)
        gateway.program.log = world.folder / f"{name}.log"
        await gateway.start()
        await gateway.terminate()
    world.gateway_ends_itself()


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
