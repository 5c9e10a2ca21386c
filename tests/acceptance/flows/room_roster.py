"""Who is in a room of the SIP world, as its conference documents tell it (RFC 4575, T16)."""

from __future__ import annotations

from ..errors import equal
from ..peers.focus import document
from ..peers.focus.document import Endpoint
from ..peers.muc import item
from ..servers.base import COMPONENT
from ..world import World
from . import flow
from .rooms import BENVOLIO, MERCUTIO, VERONA, join, leave


@flow("room: they come, change and go, in partial documents and in full ones")
async def they_come_and_go(world: World) -> None:
    """RX-12, RX-13, RX-16, RX-17, T16."""
    joined = await join(world)
    room, there = joined.room, joined.there
    # RX-12, RX-13: somebody comes.
    benvolio = room.enter(BENVOLIO, "Ben")
    await there.expect_presence("Ben", role="participant")
    # RX-13, T16: moderators and observers, who have no JID where the entity is no address of record.
    room.enter(f"{VERONA};gr=escalus", "Prince", roles=["moderator", "participant"])
    got = await there.expect_presence("Prince", role="moderator")
    equal(item(got).jid, None, "RX-13: no jid")
    room.enter("sip:sampson@anonymous.invalid", "Sampson", roles=["observer"])
    got = await there.expect_presence("Sampson", role="visitor")
    equal(item(got).jid, None, "RX-13: no jid of somebody anonymous")
    # RX-13: an address that associated-aors tells.
    room.enter(f"{VERONA};gr=abram", "Abram", aors=["sip:abram@example.org"])
    got = await there.expect_presence("Abram")
    equal(item(got).jid, f"abram%example.org@{COMPONENT}", "RX-13: jid by associated-aors")
    # RX-16: a new nickname.
    benvolio.rename("Benny")
    await there.renamed("Ben", "Benny", own=False)
    # RX-17: gone by a partial document.
    benvolio.leave()
    await there.expect_gone("Benny", statuses=set())
    # RX-17: absent from a full document.
    del room.persons[f"{VERONA};gr=escalus"]
    room.subscribers.tell_all()
    await there.expect_gone("Prince", statuses=set())
    await leave(joined)
    await world.nothing_else()


@flow("room: endpoints that are not connected (yet, or any more)")
async def endpoints(world: World) -> None:
    """RX-17, T16: who is only called is not shown; how somebody went is told by a status code."""
    joined = await join(world)
    room, there = joined.room, joined.there
    benvolio = room.enter(BENVOLIO, "Ben")
    await there.expect_presence("Ben")
    # RX-17: called, ringing, then there.
    mercutio = room.enter(MERCUTIO, "Merc")
    await there.expect_presence("Merc")
    mercutio.person.endpoints[0].status = "disconnected"
    mercutio.person.endpoints[0].disconnection = "departed"
    room.changed([mercutio.person])
    await there.expect_gone("Merc", statuses=set())
    for status in ("dialing-out", "alerting", "pending"):
        mercutio.person.endpoints = [Endpoint(f"{MERCUTIO};gr=phone", status)]
        room.changed([mercutio.person])
    mercutio.person.endpoints[0].status = "connected"
    room.changed([mercutio.person])
    await there.expect_presence("Merc")
    # RX-17: booted is 307.
    benvolio.person.endpoints[0].status = "disconnected"
    benvolio.person.endpoints[0].disconnection = "booted"
    room.changed([benvolio.person])
    await there.expect_gone("Ben", statuses={307})
    # RX-17: failed is 333.
    mercutio.person.endpoints[0].status = "disconnected"
    mercutio.person.endpoints[0].disconnection = "failed"
    room.changed([mercutio.person])
    await there.expect_gone("Merc", statuses={333})
    await leave(joined)
    await world.nothing_else()


@flow("room: two with one nickname")
async def one_nickname(world: World) -> None:
    """RX-15: they are told apart, and who was first keeps his."""
    joined = await join(world)
    room, there = joined.room, joined.there
    # RX-15: the second is called otherwise.
    first = room.enter(BENVOLIO, "Ben")
    await there.expect_presence("Ben")
    second = room.enter(MERCUTIO, "Ben")
    await there.expect_presence("Ben (2)")
    # RX-15: both speak under what they are called.
    second.say("I am the other")
    await there.expect_message("I am the other", "Ben (2)")
    first.say("I am not")
    await there.expect_message("I am not", "Ben")
    first.inbox.clear()
    second.inbox.clear()
    await leave(joined)
    await world.nothing_else()


@flow("room: a document is lost, another comes twice")
async def gap(world: World) -> None:
    """RX-12: a gap asks for everything anew; what is old is dropped."""
    joined = await join(world)
    room, there = joined.room, joined.there
    await room.subscribers.asked.take("SUBSCRIBE")
    room.enter(BENVOLIO, "Ben")
    await there.expect_presence("Ben")
    # RX-12: one is missing, so nothing is believed before the refresh.
    room.subscribers.skip_version()
    room.enter(MERCUTIO, "Merc")
    await room.subscribers.asked.take("the refresh")
    await there.expect_presence("Merc")
    # RX-12: an old version, and the same one twice.
    old = document.full(room.about, [], 1, room.quirks)
    room.subscribers.send_as_it_stands(old)
    room.guests[0].rename("Benny")
    await there.renamed("Ben", "Benny", own=False)
    await leave(joined)
    await world.nothing_else()


@flow("room: its subject")
async def subject(world: World) -> None:
    """RX-19: from the room itself, when it changes and only then."""
    joined = await join(world)
    equal(joined.arrival.subject, "", "RX-19: no subject is an empty one")
    # RX-19: a new one.
    joined.room.entitle("A <plague> on both your houses & more")
    got = await joined.there.expect_subject("A <plague> on both your houses & more")
    equal((got.sender, got.type), (joined.there.room, "groupchat"), "RX-19: from the room")
    # RX-19: the same in a full document is nothing new.
    joined.room.subscribers.tell_all()
    joined.room.enter(BENVOLIO, "Ben")
    await joined.there.expect_presence("Ben")
    await leave(joined)
    await world.nothing_else()
