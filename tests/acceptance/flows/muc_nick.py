"""A SIP user's nickname in a room of the XMPP server (RFC 7701 §7, RFC 7702 §6.4)."""

from __future__ import annotations

from ..errors import equal, require
from ..peers.muc import Occupancy
from ..peers.participant import Participant
from ..world import World
from . import flow
from .rooms import enter, exchange, go, prepare


@flow("MUC: another nickname, a taken one, several at once", limit=90.0)
async def change(world: World) -> None:
    """RS-11, RS-13, RS-19."""
    entered = await enter(world)
    him, there = entered.him, entered.there
    # RS-13: granted.
    status = him.ask_nickname("Rosaline's")
    await there.renamed("Romeo", "Rosaline's", own=False)
    equal(await status, 200, "RS-13: answer to NICKNAME")
    await him.until_there("JuliC", "Rosaline's")
    # RS-11: what he is called already.
    equal(await him.nickname("Rosaline's"), 200, "RS-11: answer to NICKNAME")
    # RS-13: taken.
    equal(await him.nickname("JuliC"), 425, "RS-13: answer to NICKNAME")
    # RS-13: one after the other.
    wishes = [him.ask_nickname(nick) for nick in ("One", "JuliC", "Romeo")]
    await there.renamed("Rosaline's", "One", own=False)
    await there.renamed("One", "Romeo", own=False)
    equal([await wish for wish in wishes], [200, 425, 200], "RS-13: answers to NICKNAME")
    await him.until_there("JuliC", "Romeo")
    await exchange(entered)
    await go(entered)
    await world.nothing_else()


@flow("MUC: nicknames as they come: taken, malformed, none")
async def spellings(world: World) -> None:
    """RS-08, RS-12, RS-14."""
    there, romeo, room = await prepare(world)
    him = Participant(romeo, f"sip:{room}", name="Romeo M")
    await him.join()
    # RS-08: taken, in other letters of the same name, too.
    equal(await him.nickname("JuliC"), 425, "RS-08: answer to NICKNAME")
    # RS-12: malformed.
    for value in ("unquoted", '"no end', '""""', '"' + "x" * 1_100 + '"', '" "', '"a\x7fb"'):
        equal(await him.session.nickname(value), 424, f"RS-12: answer to NICKNAME {value[:20]!r}")
    # RS-14: blanks are evened out, case is kept.
    equal(await him.nickname("Romeo  of   Montague"), 200, "RS-14: answer to NICKNAME")
    got = await there.take("his presence")
    while got.sender.partition("/")[2] != "Romeo of Montague":
        got = await there.take("his presence")
    # RS-12: none is the temporary one.
    equal(await him.session.nickname('""'), 200, "RS-12: answer to NICKNAME")
    await there.renamed("Romeo of Montague", "Romeo M", own=False)
    await him.leave()
    await there.expect_gone("Romeo M")
    await there.left()
    await world.nothing_else()


@flow("MUC: NICKNAMEs of two people who want the same")
async def rivals(world: World) -> None:
    """RS-08, RS-13: one gets it, the other is told 425."""
    there, romeo, room = await prepare(world)
    paris = await world.add_sip_user("paris")
    first, second = Participant(romeo, f"sip:{room}"), Participant(paris, f"sip:{room}")
    await first.join()
    await second.join()
    wishes = [first.ask_nickname("Husband"), second.ask_nickname("Husband")]
    # RS-08: one of them.
    equal(sorted([await wish for wish in wishes]), [200, 425], "RS-08: answers to NICKNAME")
    await first.leave()
    await second.leave()
    nurse = Occupancy(await world.add_xmpp_user("nurse"), room)
    arrival = await nurse.join("Nurse")
    require(set(arrival.others) <= {"JuliC", "Husband", "romeo", "paris"}, f"others: {set(arrival.others)}")
    await nurse.left()
    there.inbox.clear()
