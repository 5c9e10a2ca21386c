"""A room of SylkServer's, quirk by quirk (RFC 7701 is what it departs from)."""

from __future__ import annotations

from dataclasses import replace

from ..errors import equal, require
from ..peers.focus import SYLKSERVER
from ..peers.muc import Occupancy
from ..world import JULIET_URI, World
from . import flow
from .rooms import BENVOLIO, MERCUTIO, VERONA, VERONA_JID, Joined, leave


async def _join(world: World, *, nick: str = "JuliC", transport: str = "udp") -> Joined:
    """As everybody joins, but the room greets her."""
    juliet, focus = await world.start_rooms(SYLKSERVER, transport=transport)
    room = focus.room(VERONA)
    room.enter(BENVOLIO, "Ben")
    there = Occupancy(juliet, VERONA_JID)
    arrival = await there.join(nick)
    member = await room.next_member()
    return Joined(juliet, focus, room, there, member, arrival)


async def _greeted(joined: Joined) -> None:
    texts = [message.body for message in joined.arrival.history]
    for text in ("Welcome!", f"{JULIET_URI} has joined the room with chat"):
        if text not in texts:
            await joined.there.expect_message(text, None)


async def _go(world: World, joined: Joined) -> None:
    await leave(joined)
    await world.nothing_else()


@flow("room of SylkServer: in, a word each way, out")
async def visit(world: World) -> None:
    """RX-03, RX-11, RX-13, RX-20, RX-21, RX-24, RX-28: with all quirks at once, by TCP."""
    joined = await _join(world, transport="tcp")
    there, benvolio = joined.there, joined.room.guests[0]
    equal(set(joined.arrival.others), {"Ben"}, "RX-13: a nickname by display-text alone")
    # RX-24: the welcome and the status text are the room's.
    await _greeted(joined)
    # RX-11: subscribed by the room's URI, although Contact names somebody else.
    equal((await joined.room.subscribers.asked.take("SUBSCRIBE")).uri, VERONA, "RX-11: Request-URI")
    id = there.say("Hist! Romeo, hist!")
    await benvolio.expect("Hist! Romeo, hist!")
    await there.expect_message("Hist! Romeo, hist!", "JuliC", id=id)
    benvolio.say("At what o'clock?")
    await there.expect_message("At what o'clock?", "Ben")
    await _go(world, joined)


@flow("room of SylkServer: its own shape of CPIM")
async def cpim_shape(world: World) -> None:
    """RX-24, T13: bare line feeds, charset utf8, Byte-Range in letters, an empty Content-Transfer-Encoding."""
    joined = await _join(world)
    await _greeted(joined)
    there, benvolio = joined.there, joined.room.guests[0]
    # RX-24: letters of several bytes, and lines.
    for text in ("grüße 🌹 Ж", "two\nlines", "plain", "ü" * 400):
        benvolio.say(text)
        await there.expect_message(text, "Ben")
    await _go(world, joined)


@flow("room of SylkServer: long messages go in one piece")
async def one_piece(world: World) -> None:
    """RX-20: a message in several pieces would end the session."""
    joined = await _join(world)
    await _greeted(joined)
    there, benvolio = joined.there, joined.room.guests[0]
    # RX-20: 20 kB at once.
    long = "Wherefore art thou " * 1_000
    id = there.say(long)
    await benvolio.expect(long)
    await there.expect_message(long, "JuliC", id=id)
    await _go(world, joined)


@flow("room of SylkServer: nicknames are taken as they are written")
async def nicknames(world: World) -> None:
    """RX-05, RX-13, RX-26: nobody sees quotes around them."""
    joined = await _join(world)
    await _greeted(joined)
    there = joined.there
    # RX-05: no quotes in her name.
    equal(there.nick, "JuliC", "RX-05: her nickname")
    there.rename("Jule")
    await there.renamed("JuliC", "Jule", own=True)
    # RX-26: taken by another.
    id = there.rename("Ben")
    await there.expect_error("conflict", id=id, kind="presence", nick="Ben")
    await _go(world, joined)


@flow("room of SylkServer: versions with gaps")
async def versions(world: World) -> None:
    """RX-12, RX-17: full documents whose versions count for everybody."""
    joined = await _join(world)
    await _greeted(joined)
    room, there = joined.room, joined.there
    # RX-12: each is believed, and nothing is asked anew.
    await room.subscribers.asked.take("SUBSCRIBE")
    room.enter(MERCUTIO, "Merc")
    await there.expect_presence("Merc")
    room.subscribers.skip_version()
    room.guests[0].leave()
    await there.expect_gone("Ben", statuses=set())
    equal(room.subscribers.asked.waiting(), [], "RX-12: no further SUBSCRIBE")
    await _go(world, joined)


@flow("room of SylkServer: what was said before she came")
async def history(world: World) -> None:
    """RX-24: the history, of which nothing but DateTime tells that it is old."""
    juliet, focus = await world.start_rooms(SYLKSERVER)
    room = focus.room(VERONA)
    benvolio = room.enter(BENVOLIO, "Ben")
    for number in range(3):
        benvolio.say(f"before {number}")
    there = Occupancy(juliet, VERONA_JID)
    arrival = await there.join("JuliC")
    member = await room.next_member()
    joined = Joined(juliet, focus, room, there, member, arrival)
    # RX-24: in order, and by their author.
    got = list(arrival.history)
    while len(got) < 5:
        got.append(await there.take("the history"))
    texts = [message.body for message in got if message.sender == there.occupant("Ben")]
    equal(texts, [f"before {number}" for number in range(3)], "RX-24: the history")
    await _go(world, joined)


@flow("room of SylkServer: a keep-alive is answered")
async def keep_alive(world: World) -> None:
    """MSRP-07: the empty SEND without Content-Type gets 200, and nobody sees it."""
    joined = await _join(world)
    await _greeted(joined)
    # MSRP-07: the answer.
    equal(await joined.member.session.keep_alive(), 200, "answer to the keep-alive")
    await _go(world, joined)


@flow("room of SylkServer: a subscription that comes too early")
async def too_early(world: World) -> None:
    """RX-11, RX-18: 480 at first, because the room is not ready; the roster is there nevertheless."""
    juliet, focus = await world.start_rooms(replace(SYLKSERVER, subscriptions_refused_at_first=1))
    room = focus.room(VERONA)
    room.enter(BENVOLIO, "Ben")
    there = Occupancy(juliet, VERONA_JID)
    arrival = await there.join("JuliC", timeout=20.0)
    member = await room.next_member()
    joined = Joined(juliet, focus, room, there, member, arrival)
    # RX-11: asked again.
    if "Ben" not in arrival.others:
        await there.until_there("JuliC", "Ben")
    require(len(room.subscribers.asked.waiting()) >= 2, "RX-11: a second SUBSCRIBE")
    joined.there.leave()
    await member.expect_bye()


@flow("room of SylkServer: private messages vanish, and she is not told otherwise")
async def private(world: World) -> None:
    """RX-23, RX-24: the answer is 200; nothing else can be known."""
    joined = await _join(world)
    await _greeted(joined)
    joined.there.whisper("Ben", "Where is Romeo?")
    # RX-23: no error.
    await world.nothing_else()
    await _go(world, joined)


@flow("room of SylkServer: REFER inside the dialog fails, outside it works")
async def refer(world: World) -> None:
    """RX-30: the invitation reaches somebody, or she reads that it did not."""
    joined = await _join(world)
    await _greeted(joined)
    joined.there.invite("hecate%chat.example.org@sip.example.com")
    first = await joined.room.referred.take("REFER")
    invite = joined.member.call.invite
    assert invite is not None
    # RX-30: either it was outside, or a second one is.
    if first.call_id == invite.request.call_id:
        await joined.room.referred.take("REFER outside the dialog")
    await _go(world, joined)
