"""Rooms of the SIP world that send what no room should: nothing breaks, and nobody else is disturbed."""

from __future__ import annotations

import asyncio

from ..errors import equal
from ..peers import cpim
from ..peers.focus import document
from ..peers.focus.document import Description, Person
from ..peers.muc import Occupancy
from ..world import World
from . import flow
from .rooms import BENVOLIO, MERCUTIO, VERONA, VERONA_JID, Joined, join, leave

_ENTITIES = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'


@flow("room: documents that no room would write")
async def documents(world: World) -> None:
    """RX-12, SEC-17: malformed, huge, of another room, of another type: the roster stands, and the room goes on."""
    joined = await join(world, (BENVOLIO, "Ben"))
    room, there = joined.room, joined.there
    other = Description("sip:mantua@chat.example.org")
    for body, content_type in (
        (b"", document.TYPE),
        (b"not xml at all", document.TYPE),
        (b"<conference-info", document.TYPE),
        (_ENTITIES, document.TYPE),
        (b"<a>" * 20_000, document.TYPE),
        (b"\xff\xfe\x00garbage", document.TYPE),
        (document.full(other, [Person(MERCUTIO, "Merc")], 40, room.quirks), document.TYPE),
        (document.full(room.about, [Person(MERCUTIO, "Merc")], 41, room.quirks), "text/plain"),
    ):
        # RX-12: none of them changes who is there.
        room.subscribers.send_as_it_stands(body, content_type)
    await asyncio.sleep(0.5)
    # RX-12: the next good one is applied.
    room.subscribers.tell_all()
    room.enter(MERCUTIO, "Merc")
    await there.expect_presence("Merc")
    await _speak(joined)
    await leave(joined)
    await world.nothing_else()


@flow("room: a document with four thousand users")
async def crowd(world: World) -> None:
    """SEC-17, RX-12: more than a room may hold is no reason to fall over."""
    joined = await join(world, (BENVOLIO, "Ben"), transport="tcp")
    room, there = joined.room, joined.there
    crowd = [Person(f"sip:u{n}@example.org", f"User {n}") for n in range(4_000)]
    room.subscribers.send_as_it_stands(document.full(room.about, crowd, 50, room.quirks))
    await asyncio.sleep(1.0)
    there.inbox.clear()
    # SEC-17: she can leave, and come again.
    there.leave()
    await joined.member.expect_bye(20.0)
    while (got := await there.inbox.take("her own end")).sender != there.occupant("JuliC") or got.type != "unavailable":
        pass
    there.inbox.clear()


@flow("room: messages that no switch would send", sound=False)
async def messages(world: World) -> None:
    """RX-24, SEC-17: broken CPIM, broken text, markup, controls; the next good message is read."""
    joined = await join(world, (BENVOLIO, "Ben"))
    session = joined.member.session
    ben, room = f'"Ben" <{BENVOLIO}>', f"<{VERONA}>"
    good = cpim.build("text", ben, [room])
    for body in (
        b"no cpim at all",
        b"From: <sip:x@y>\r\n",
        good.replace(b"To: ", b"T\x00: "),
        good.replace(b"text/plain; charset=utf-8", b"application/x-unknown"),
        good.replace(b"\r\n\r\ntext", b"\r\n\r\n\xff\xfe\xfd"),
        good.replace(b"DateTime: 2", b"DateTime: x2"),
        cpim.build("x", '"' + "N" * 4_000 + '" <sip:long@example.org>', [room]),
        cpim.build("x", "<not a uri at all>", [room]),
    ):
        session.send(body, "message/cpim")
        await session.until_answered()
    await asyncio.sleep(2.5)
    joined.there.inbox.clear()
    # RX-24: controls do not end her stream.
    session.send(cpim.build("bell \x07 and \x0b <b>bold</b>", ben, [room]), "message/cpim")
    got = await joined.there.take("the message with controls")
    equal((got.body or "").replace("\ufffd", "").replace(" ", ""), "belland<b>bold</b>", "text")
    await _speak(joined)
    joined.there.leave()
    await joined.member.expect_bye()


@flow("room: two rooms, and one of them is silent", limit=60.0)
async def silent_neighbour(world: World) -> None:
    """SEC-17: a focus that never answers INVITE holds up nobody else."""
    juliet, focus = await world.start_rooms()
    silent = Occupancy(juliet, "mantua%chat.example.org@sip.example.com")
    focus.room("sip:mantua@chat.example.org").nickname_status = lambda *_: None
    silent.ask_to_join("JuliC")
    there = Occupancy(juliet, VERONA_JID)
    room = focus.room(VERONA)
    room.enter(BENVOLIO, "Ben")
    # SEC-17: the other room is entered meanwhile.
    arrival = await there.join("JuliC", timeout=5.0)
    member = await room.next_member()
    joined = Joined(juliet, focus, room, there, member, arrival)
    await _speak(joined)
    await leave(joined)
    silent.leave()
    await (await focus.room("sip:mantua@chat.example.org").joined.take("the INVITE")).expect_bye(35.0)


async def _speak(joined: Joined) -> None:
    benvolio = joined.room.guests[0]
    benvolio.say("Still here")
    await joined.there.expect_message("Still here", "Ben")
    id = joined.there.say("So am I")
    await joined.there.expect_message("So am I", "JuliC", id=id)
    await benvolio.expect("So am I")
    for guest in joined.room.guests[1:]:
        guest.inbox.clear()
