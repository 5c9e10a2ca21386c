"""Runs flows one after the other against one server after the other, a line each."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import traceback
from itertools import chain
from pathlib import Path
from typing import Any

from .capture import Capture, NoCapture, Signalling
from .errors import FlowFailed
from .flows import Flow
from .servers import make_server
from .wireshark import examine
from .world import World


async def run_all(flows: list[Flow], kinds: list[str]) -> tuple[int, int, int]:
    """How many passed, how many failed, how many were skipped."""
    asyncio.get_running_loop().set_exception_handler(_without_slixmpp)
    with tempfile.TemporaryDirectory(prefix="stox-tests-") as folder:
        capture, spoken = Capture(Path(folder) / "capture"), list[Signalling]()
        await capture.start()
        try:
            flow_results = []
            for number, kind in enumerate(kinds):
                wanted = [flow for flow in flows if number == 0 or not flow.once]
                flow_results.append(await _run_against(kind, wanted, Path(folder), spoken))
            results = [*chain.from_iterable(flow_results), await _examine(capture, spoken)]
        finally:
            await capture.kill()
    return results.count(True), results.count(False), results.count(None)


async def _run_against(kind: str, flows: list[Flow], folder: Path, spoken: list[Signalling]) -> list[bool | None]:
    """Which flows passed; `spoken` gets those in which nothing unsound was said to the gateway, and all in the clear."""
    server = make_server(kind, folder / kind)
    await server.start()
    results: list[bool | None] = []
    try:
        for number, flow in enumerate(flows):
            world = World(server, folder / f"{kind}-{number}")
            results.append(await _run(flow, world))
            if results[-1] and flow.sound and world.certificates is None:
                spoken.append(world.signalling())
    finally:
        await server.stop()
    return results


async def _examine(capture: Capture, spoken: list[Signalling]) -> bool | None:
    """Whether Wireshark finds what was captured well formed; None if there is nothing to look at."""
    started = time.monotonic()
    try:
        text, well = await examine(capture, spoken)
        verdict = "ok  " if well else "FAIL"
    except NoCapture as reason:
        text, well, verdict = f"wireshark: {reason}", None, "skip"
    except Exception as error:  # a fault of the tests must not end the run
        text, well, verdict = f"wireshark: {error}", False, "FAIL"
    line, _, rest = text.partition("\n")
    print(f"{verdict} {line:<74} {time.monotonic() - started:5.1f} s", flush=True)
    if rest:
        print("\n".join(f"  {shown}" for shown in rest.splitlines()), flush=True)
    return well


async def _run(flow: Flow, world: World) -> bool:
    server = world.server
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
