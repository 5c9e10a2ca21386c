"""How it ends for a SIP user in a room of the XMPP server (RFC 7702 §6.6, T17)."""

from __future__ import annotations

import asyncio

from ..errors import FlowFailed, equal, require
from ..peers.muc import Occupancy, statuses
from ..peers.participant import Participant
from ..world import ROMEO, World
from . import flow
from .rooms import Entered, enter, exchange, new_room, prepare


@flow("MUC: his parting words")
async def parting_words(world: World) -> None:
    """RS-32: the reason's text is his status; the subscription ends."""
    entered = await enter(world)
    # RS-32: gone, with a status.
    await entered.him.leave('SIP;cause=200;text="Parting is such sweet sorrow"')
    got = await entered.there.expect_gone("Romeo")
    equal(got.xml.findtext("{jabber:client}status"), "Parting is such sweet sorrow", f"RS-32: {got}")
    await entered.him.until_unwatched()
    await entered.there.left()
    await world.nothing_else()


async def _removed(entered: Entered, cause: int) -> None:
    # RS-33: BYE says why, and the subscription is over.
    await entered.him.expect_bye(cause)
    await entered.him.until_unwatched("noresource")


@flow("MUC: he is kicked")
async def kicked(world: World) -> None:
    """RS-33, T17: 307 is 403; he can come again."""
    entered = await enter(world)
    await entered.there.kick("Romeo", "Banishment!")
    await entered.there.expect_gone("Romeo", statuses={307})
    await _removed(entered, 403)
    again = Participant(entered.romeo, f"sip:{entered.room}")
    await again.enter("Romeo")
    await entered.there.expect_presence("Romeo")
    await again.leave()
    await entered.there.expect_gone("Romeo")
    await entered.there.left()
    await world.nothing_else()


@flow("MUC: he is banned")
async def banned(world: World) -> None:
    """RS-33, T17: 301 is 403."""
    entered = await enter(world)
    await entered.there.ban(ROMEO, "Hence!")
    await entered.there.expect_gone("Romeo", statuses={301})
    await _removed(entered, 403)
    entered.there.inbox.clear()
    await entered.there.left()


@flow("MUC: the room is made for members only, which he is not")
async def members_only(world: World) -> None:
    """RS-33, T17: 322 is 403."""
    entered = await enter(world)
    await entered.there.configure(membersonly="1")
    await _removed(entered, 403)
    entered.there.inbox.clear()
    await entered.there.left()


@flow("MUC: the room is destroyed")
async def destroyed(world: World) -> None:
    """RS-33, T17: 410."""
    entered = await enter(world)
    await entered.there.destroy("The feast is over", new_room())
    await _removed(entered, 410)
    entered.there.inbox.clear()
    await world.nothing_else()


@flow("MUC: his connection is lost, and found again", limit=90.0)
async def connection_lost(world: World) -> None:
    """RS-35: he stays in the room; what is said meanwhile comes by the new connection."""
    entered = await enter(world, watches=False)
    him, there = entered.him, entered.there
    await exchange(entered)
    him.call.takes_changes = True
    him.session.drop_connection()
    # RS-35: he is still there, and the message waits.
    id = there.say("Romeo, Romeo")
    await there.expect_message("Romeo, Romeo", "JuliC", id=id)
    # RS-35: re-INVITE with a fresh path.
    await him.expect_reconnect()
    await him.expect("Romeo, Romeo", "JuliC")
    await exchange(entered)
    await him.leave()
    await there.expect_gone("Romeo")
    await there.left()
    await world.nothing_else()


@flow("MUC: his connection is lost for good", limit=120.0, once=True)
async def connection_never_found(world: World) -> None:
    """RS-35: after 30 s he leaves, and BYE is sent."""
    entered = await enter(world, watches=False)
    entered.him.session.drop_connection()
    await entered.there.expect_gone("Romeo", timeout=45.0)
    # RS-35: the dialog ends.
    await entered.him.expect_bye(timeout=10.0)
    entered.romeo.inbox.clear()
    await entered.there.left()
    await world.nothing_else()


@flow("MUC: stox says goodbye")
async def goodbye(world: World) -> None:
    """RS-33, RS-32: BYE for him, unavailable presence for the room."""
    entered = await enter(world)
    await world.gateway.terminate()
    world.gateway_ends_itself()
    # RS-32: he has left the room.
    await entered.there.expect_gone("Romeo")
    await entered.him.expect_bye()
    await entered.him.until_unwatched()
    await entered.there.left()


@flow("MUC: the XMPP server dies and comes again", limit=120.0)
async def server_dies(world: World) -> None:
    """RS-36: every membership is looked at and made anew."""
    entered = await enter(world, watches=False)
    him = entered.him
    await world.server.kill()
    await asyncio.sleep(0.5)
    await world.server.restart()
    await entered.juliet.reconnect()
    there = Occupancy(entered.juliet, entered.room)
    await world.gateway.until_logged("XMPP link up", times=2, timeout=40.0)
    # RS-36: the room is gone with the server: either he made it anew or he is told.
    await _join_again(there)
    await _told_or_there(him)


async def _join_again(there: Occupancy) -> None:
    for _ in range(20):
        there.ask_to_join("JuliC")
        try:
            got = await there.take("the room", 2.0)
        except FlowFailed:
            continue  # a room that is just being left by whoever made it anew loses what comes in that moment
        if got.type != "error":
            if 201 in statuses(got):
                await there.configure()
            there.inbox.clear()
            return
        await asyncio.sleep(0.2)  # whoever makes it anew has it locked for a moment
    require(False, "RS-36: she cannot enter any more")


async def _told_or_there(him: Participant) -> None:
    deadline = asyncio.get_running_loop().time() + 60.0
    while asyncio.get_running_loop().time() < deadline:
        if him.call.byes.waiting():
            him.session.inbox.clear()
            await him.expect_bye()
            return
        sent = him.say("Am I here?")
        if await sent.status(30.0) == 200:
            return
        await asyncio.sleep(0.5)
    require(False, "RS-36: he is neither in nor told")


@flow("MUC: three SIP users in one room, and one of them deaf")
async def deaf_neighbour(world: World) -> None:
    """SEC-17, RS-26: who does not answer holds up nobody else."""
    there, romeo, room = await prepare(world)
    paris = await world.add_sip_user("paris")
    first, second = Participant(romeo, f"sip:{room}"), Participant(paris, f"sip:{room}")
    await first.enter("Romeo")
    await there.expect_presence("Romeo")
    await second.enter("Paris")
    await there.expect_presence("Paris")
    second.session.statuses = lambda _: None
    for number in range(20):
        id = there.say(f"word {number}")
        await there.expect_message(f"word {number}", "JuliC", id=id)
        # RS-26: he hears her at once.
        await first.expect(f"word {number}", "JuliC")
    second.session.inbox.clear()
    await first.leave()
    await there.expect_gone("Romeo")
    there.inbox.clear()
