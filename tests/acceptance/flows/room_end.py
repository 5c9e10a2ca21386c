"""How it ends in a room of the SIP world (RFC 7702 §5.8, T17)."""

from __future__ import annotations

import asyncio

from ..errors import equal, require
from ..peers.muc import item, user_element
from ..world import World
from . import flow
from .rooms import BENVOLIO, join


@flow("room: her parting words")
async def parting_words(world: World) -> None:
    """RX-11, RX-28: BYE with her status as reason text, the subscription ends, then she is out."""
    joined = await join(world, (BENVOLIO, "Ben"))
    asked = joined.room.subscribers.asked
    await asked.take("SUBSCRIBE")
    # RX-28: BYE with the reason.
    joined.there.leave("Parting is such sweet sorrow")
    bye = await joined.member.expect_bye()
    require("Parting is such sweet sorrow" in (bye.get("Reason") or ""), f"RX-28: Reason:\n{bye}")
    # RX-11: unsubscribed.
    while (last := await asked.take("the end of the subscription")).get("Expires") != "0":
        pass
    equal(last.get("Expires"), "0", "RX-11: Expires")
    # RX-28: her own presence.
    await joined.there.expect_gone("JuliC", statuses={110})
    await world.nothing_else()


@flow("room: her connection to the server ends")
async def her_stream_ends(world: World) -> None:
    """RX-28: the server's unavailable presence ends it."""
    joined = await join(world, (BENVOLIO, "Ben"))
    joined.juliet.abort()
    # RX-28: BYE.
    await joined.member.expect_bye()
    await asyncio.sleep(0.3)
    equal(joined.room.subscribers.all, [], "RX-28: the subscription has ended")


@flow("room: the focus hangs up")
async def thrown_out(world: World) -> None:
    """RX-29: 110 and 307, and the others are not removed one by one; she can come again."""
    joined = await join(world, (BENVOLIO, "Ben"))
    # RX-29: she alone.
    await joined.member.throw_out()
    got = await joined.there.expect_gone("JuliC", statuses={110, 307})
    equal(item(got).role, "none", "RX-29: role")
    await asyncio.sleep(0.3)
    require(not joined.there.inbox.waiting(), "RX-29: nothing else")
    # RX-29: another visit.
    await joined.there.join("JuliC")
    member = await joined.room.next_member()
    joined.there.leave()
    await member.expect_bye()
    await joined.there.expect_gone("JuliC", statuses={110})
    await world.nothing_else()


@flow("room: the room is no more")
async def closed(world: World) -> None:
    """RX-29, T17: the subscription ends for want of a resource: destroyed."""
    joined = await join(world, (BENVOLIO, "Ben"))
    joined.room.close()
    # RX-29: destroy.
    got = await joined.there.expect_gone("JuliC")
    require(user_element(got, "destroy") is not None, f"RX-29: destroy: {got}")
    # RX-29: the dialog ends as well.
    await joined.member.expect_bye()
    await world.nothing_else()


@flow("room: the MSRP connection is lost", limit=90.0)
async def connection_lost(world: World) -> None:
    """RX-29: without recovery 110 and 333, and a BYE."""
    joined = await join(world, (BENVOLIO, "Ben"))
    joined.member.session.drop_connection()
    # RX-29: she is out, and the dialog ends.
    await joined.there.expect_gone("JuliC", statuses={110, 333}, timeout=45.0)
    await joined.member.expect_bye()
    await world.nothing_else()


@flow("room: stox says goodbye")
async def goodbye(world: World) -> None:
    """RX-29, T17: BYE, and 332 for her."""
    joined = await join(world, (BENVOLIO, "Ben"))
    await world.gateway.terminate()
    world.gateway_ends_itself()
    # T17: 332.
    await joined.there.expect_gone("JuliC", statuses={110, 332})
    await joined.member.expect_bye()
    await world.nothing_else()
