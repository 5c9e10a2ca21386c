"""Ends that nobody asked for: idle time, shutdown, a lost connection."""

from __future__ import annotations

import asyncio
import signal
import time

from ..errors import equal, require
from ..world import ROMEO, World
from . import flow
from .plain_chat import OPENING, exchange, open_from_sip, open_from_xmpp


@flow("end: idle_timeout ends a session with BYE, the next message opens a new one")
async def idle(world: World) -> None:
    """CHAT-25, CHAT-26: BYE to romeo, `gone` to her; traffic in either direction counts."""
    juliet, romeo = await world.start(config={"chat": {"idle_timeout": "2s"}})
    call = await open_from_xmpp(juliet, romeo, "idle")
    for _ in range(2):
        await asyncio.sleep(1.2)
        await exchange(juliet, call, ROMEO, "idle")
    since = time.monotonic()
    await call.expect_bye(timeout=5.0)
    require(time.monotonic() - since > 1.5, "BYE before idle_timeout was over")
    await juliet.expect_gone(sender=ROMEO, thread="idle")
    call = await open_from_xmpp(juliet, romeo, "idle")
    juliet.leave(ROMEO, "idle")
    await call.expect_bye()
    await world.nothing_else()


def _add_shutdown(number: signal.Signals) -> None:
    async def play(world: World) -> None:
        """CHAT-38: BYE and `gone` for every session, status 0, within shutdown_timeout."""
        juliet, romeo = await world.start()
        first = await open_from_xmpp(juliet, romeo, "first")
        second, _ = await open_from_sip(juliet, romeo, "second")
        started = time.monotonic()
        world.gateway.program.signal(number)
        await first.expect_bye()
        await second.expect_bye()
        threads = {(await juliet.expect_gone(sender=ROMEO)).thread for _ in range(2)}
        equal(threads, {"first", "second"}, "threads of the two `gone`")
        equal(await world.gateway.program.wait(12.0), 0, "exit status")
        require(time.monotonic() - started < 10.0, "the end took longer than shutdown_timeout")
        world.gateway_ends_itself()
        await world.nothing_else()

    flow(f"end: {number.name} sends BYE and gone, status 0")(play)


for _number in (signal.SIGTERM, signal.SIGINT):
    _add_shutdown(_number)


@flow("end: SIGTERM while an INVITE rings gives the message back")
async def shutdown_while_ringing(world: World) -> None:
    """CHAT-10, and the promise that no message vanishes: CANCEL to romeo, an error to her."""
    juliet, romeo = await world.start()
    id = juliet.say(ROMEO, OPENING, thread="ringing")
    invite = await romeo.expect_invite()
    invite.ring()
    await asyncio.sleep(0.2)
    world.gateway.program.signal(signal.SIGTERM)
    await invite.expect_cancel()
    got = await juliet.inbox.take(f"an error for {id}")
    require(got.error is not None and got.id == id, f"expected an error for {id}, got {got}")
    equal(await world.gateway.program.wait(12.0), 0, "exit status")
    world.gateway_ends_itself()
    await world.nothing_else()


@flow("end: romeo's MSRP connection breaks")
async def connection_lost(world: World) -> None:
    """MSRP-10, CHAT-29: the session ends with BYE and `gone`; the next message opens a new one."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "broken")
    await exchange(juliet, call, ROMEO, "broken")
    call.session.drop_connection()
    await call.expect_bye(timeout=10.0)
    romeo.inbox.clear()  # MSRP-10 allows one re-INVITE before the BYE; it was refused with 488
    await juliet.expect_gone(sender=ROMEO, thread="broken")
    call = await open_from_xmpp(juliet, romeo, "broken")
    juliet.leave(ROMEO, "broken")
    await call.expect_bye()
    await world.nothing_else()


@flow("end: `gone` for a session that is not there")
async def gone_for_nothing(world: World) -> None:
    """CHAT-24, IM-18: ignored; so are chat states and stanzas without a body."""
    juliet, _ = await world.start()
    juliet.leave(ROMEO, "never-opened")
    juliet.leave(ROMEO, None)
    juliet.send(
        f"<message to='{ROMEO}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )
    juliet.send(f"<message to='{ROMEO}' type='chat' id='empty'/>")
    juliet.send(f"<message to='{ROMEO}' type='chat' id='odd'><x xmlns='urn:nobody:knows'/></message>")
    await world.nothing_else(0.6)
