"""Nicknames in rooms of the SIP world (RFC 7701 §7, RFC 7702 §5.2 and §5.6)."""

from __future__ import annotations

import asyncio

from ..errors import equal
from ..peers.muc import Occupancy
from ..world import World
from . import flow
from .rooms import BENVOLIO, VERONA, VERONA_JID, join, leave


@flow("room: another nickname, a taken one, several at once")
async def change(world: World) -> None:
    """RX-26, RX-16."""
    joined = await join(world, (BENVOLIO, "Ben"))
    there, member = joined.there, joined.member
    # RX-26: granted.
    there.rename("Jule")
    await there.renamed("JuliC", "Jule", own=True)
    equal(member.wishes[-1], '"Jule"', "RX-26: Use-Nickname")
    # RX-26: she speaks under it.
    id = there.say("What's in a name?")
    await there.expect_message("What's in a name?", "Jule", id=id)
    await joined.room.guests[0].expect("What's in a name?")
    # RX-26: taken; the old one stays.
    id = there.rename("Ben")
    await there.expect_error("conflict", id=id, kind="presence", nick="Ben")
    # RX-26: one after the other, each with its outcome.
    there.rename("One")
    refused = there.rename("Ben")
    there.rename("Two")
    await there.renamed("Jule", "One", own=True)
    await there.expect_error("conflict", id=refused, kind="presence", nick="Ben")
    await there.renamed("One", "Two", own=True)
    equal(member.wishes[-3:], ['"One"', '"Ben"', '"Two"'], "RX-26: Use-Nickname")
    await leave(joined)
    await world.nothing_else()


@flow("room: nicknames with quotes, blanks and letters from everywhere")
async def spellings(world: World) -> None:
    """RX-05: escaped in Use-Nickname."""
    joined = await join(world)
    there, member = joined.there, joined.member
    for nick, escaped in (("Ju li", '"Ju li"'), ("Жульетта ü", '"Жульетта ü"'), ('a"b\\c', '"a\\"b\\\\c"')):
        old = there.nick
        there.user.send(f"<presence to='{there.room}/{nick}'/>")
        await there.renamed(old, nick, own=True)
        # RX-05: as the grammar has it.
        equal(member.wishes[-1], escaped, "RX-05: Use-Nickname")
    await leave(joined)
    await world.nothing_else()


@flow("room: her nickname is taken when she comes")
async def taken(world: World) -> None:
    """RX-07: conflict by the room, and the call ends."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    room.enter(BENVOLIO, "JuliC")
    there = Occupancy(juliet, VERONA_JID)
    # RX-07: the error.
    id = there.ask_to_join("JuliC")
    got = await there.expect_error("conflict", id=id, kind="presence", nick="JuliC")
    error = got.xml.find("{jabber:client}error")
    assert error is not None
    equal((error.get("by"), error.get("type")), (VERONA_JID, "cancel"), f"RX-07: {got}")
    # RX-07: BYE.
    member = await room.joined.take("the INVITE")
    await member.expect_bye()
    # RX-07: another one will do.
    await there.join("Jule")
    member = await room.next_member()
    there.leave()
    await member.expect_bye()
    await there.expect_gone("Jule", statuses={110})
    await world.nothing_else()


@flow("room: the switch finds a nickname malformed")
async def malformed(world: World) -> None:
    """RX-08: 424 is jid-malformed."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    room.nickname_status = lambda *_: 424
    there = Occupancy(juliet, VERONA_JID)
    # RX-08: the error, and BYE.
    id = there.ask_to_join("JuliC")
    await there.expect_error("jid-malformed", id=id, kind="presence", nick="JuliC")
    await (await room.joined.take("the INVITE")).expect_bye()
    await world.nothing_else()


def _add_without(how: str, status: int | None) -> None:
    async def play(world: World) -> None:
        """RX-06, RX-08: she is in under the name that the focus shows, which 210 tells."""
        juliet, focus = await world.start_rooms()
        room = focus.room(VERONA)
        room.shows_names = False
        if status is None:
            room.tokens = "private-messages"
        else:
            room.nickname_status = lambda *_: status
        there = Occupancy(juliet, VERONA_JID)
        # RX-06: the user part of her address is all that the focus knows.
        arrival = await there.join("JuliC")
        member = await room.next_member()
        equal(len(member.wishes), 0 if status is None else 1, "RX-06: NICKNAMEs")
        equal(there.nick, "juliet", "RX-06: the name the focus shows")
        equal(210 in arrival.statuses, True, "RX-06: status 210")
        id = there.say("I am juliet here")
        await there.expect_message("I am juliet here", "juliet", id=id)
        there.leave()
        await member.expect_bye()
        await there.expect_gone("juliet", statuses={110})
        await world.nothing_else()

    flow(f"room: {how}")(play)


_add_without("a room without nicknames", None)
_add_without("NICKNAME is answered 403", 403)
_add_without("NICKNAME is answered 501", 501)


@flow("room: NICKNAME is never answered", limit=90.0, once=True)
async def unanswered(world: World) -> None:
    """RX-08: after 30 s remote-server-timeout and BYE."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    room.nickname_status = lambda *_: None
    there = Occupancy(juliet, VERONA_JID)
    id = there.ask_to_join("JuliC")
    await asyncio.sleep(20)
    # RX-08: the error, and BYE.
    await there.expect_error("remote-server-timeout", id=id, kind="presence", nick="JuliC", timeout=20.0)
    await (await room.joined.take("the INVITE")).expect_bye(15.0)
    await world.nothing_else()
