"""Runs flows one after the other against one server after the other, a line each."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from .errors import FlowFailed
from .flows import Flow
from .servers import make_server
from .servers.base import XmppServer
from .world import World


async def run_all(flows: list[Flow], kinds: list[str]) -> tuple[int, int]:
    """How many passed, how many failed."""
    asyncio.get_running_loop().set_exception_handler(_without_slixmpp)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="stox-tests-") as folder:
        for kind in kinds:
            server = make_server(kind, Path(folder) / kind)
            await server.start()
            try:
                for number, flow in enumerate(flows):
                    if await _run(flow, server, Path(folder) / f"{kind}-{number}"):
                        passed += 1
                    else:
                        failed += 1
            finally:
                await server.stop()
    return passed, failed


async def _run(flow: Flow, server: XmppServer, folder: Path) -> bool:
    world = World(server, folder)
    started = time.monotonic()
    failure: BaseException | None = None
    try:
        async with asyncio.timeout(flow.limit) as limit:
            await flow.play(world)
            await world.finish()
            world.require_clean()
    except TimeoutError as error:
        failure = FlowFailed(f"the flow was not over after {flow.limit:g} s") if limit.expired() else error
    except FlowFailed as error:
        failure = error
    except Exception as error:  # a fault of the tests must not end the run
        traceback.print_exc()
        failure = error
    took = time.monotonic() - started
    verdict = "FAIL" if failure else "ok  "
    print(f"{verdict} {server.kind:<9} {flow.name:<64} {took:5.1f} s", flush=True)
    if failure is not None:
        print(world.report(failure), flush=True)
    try:
        await world.close()
        if failure is not None:
            await world.sweep()
    except Exception:
        traceback.print_exc(file=sys.stdout)
    return failure is None


def _without_slixmpp(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """slixmpp leaves a task of its own behind when a stream ends; every other mishap is told."""
    if "run_filters" not in repr(context.get("task")):
        loop.default_exception_handler(context)
