"""What is said in a room of the SIP world (RFC 7701 §6, RFC 7702 §5.5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ..errors import equal, require
from ..peers import cpim
from ..peers.focus import PLAIN
from ..peers.muc import USER, Occupancy
from ..world import JULIET_URI, World
from . import flow
from .rooms import BENVOLIO, MERCUTIO, VERONA, VERONA_JID, join, leave


@flow("room: messages of all kinds of text, both ways and in order")
async def texts(world: World) -> None:
    """RX-20, RX-21, RX-24, T13."""
    joined = await join(world, (BENVOLIO, "Ben"))
    there, benvolio = joined.there, joined.room.guests[0]
    long = "O, she doth teach the torches to burn bright! " * 60
    for text in ("one", "two\nlines", '<&> "quoted" 🌹 ü', long, "the last"):
        # RX-20, RX-21: to the room and back.
        id = there.say(text)
        heard = await benvolio.expect(text)
        equal((heard.sender, heard.to), (JULIET_URI, VERONA), "RX-20: From and To")
        await there.expect_message(text, "JuliC", id=id)
        # RX-24: from the room.
        benvolio.say(text)
        got = await there.expect_message(text, "Ben")
        require(not got.delayed, "RX-24: it is new")
    await leave(joined)
    await world.nothing_else()


@flow("room: a burst of messages")
async def burst(world: World) -> None:
    """RX-21, RX-24: nothing is lost, doubled or turned round."""
    joined = await join(world, (BENVOLIO, "Ben"))
    there, benvolio = joined.there, joined.room.guests[0]
    for number in range(40):
        there.say(f"hers {number}")
        benvolio.say(f"his {number}")
    # RX-24: his, and RX-21: hers, each in order.
    got = [(await there.take("the burst")).body or "" for _ in range(80)]
    equal([text for text in got if text.startswith("hers")], [f"hers {number}" for number in range(40)], "RX-21: hers")
    equal([text for text in got if text.startswith("his")], [f"his {number}" for number in range(40)], "RX-24: his")
    for number in range(40):
        await benvolio.expect(f"hers {number}")
    await leave(joined)
    await world.nothing_else()


@flow("room: the switch refuses what she says, or never answers")
async def refused(world: World) -> None:
    """RX-21: an error with her id, and no reflection."""
    joined = await join(world, (BENVOLIO, "Ben"))
    there, room = joined.there, joined.room
    # RX-21: refused.
    for status in (403, 413, 500):
        room.send_status = lambda _, status=status: status  # type: ignore[misc]
        id = there.say(f"what draws {status}")
        got = await there.inbox.take("the error")
        equal((got.kind, got.type, got.id), ("message", "error", id), f"RX-21: {got}")
    # RX-21: the session stands.
    room.send_status = lambda _: 200
    id = there.say("well")
    await there.expect_message("well", "JuliC", id=id)
    await room.guests[0].expect("well")
    await leave(joined)
    await world.nothing_else()


@flow("room: a switch that answers nothing", limit=90.0, once=True)
async def unanswered(world: World) -> None:
    """RX-21: after 30 s she gets it back."""
    joined = await join(world)
    joined.room.send_status = lambda _: None
    id = joined.there.say("Is anybody there?")
    # RX-21: given back.
    got = await joined.there.inbox.take("the error", 45.0)
    equal((got.kind, got.type, got.id), ("message", "error", id), f"RX-21: {got}")
    joined.there.leave()
    await joined.member.expect_bye(45.0)
    await joined.there.expect_gone("JuliC", timeout=15.0)
    await world.nothing_else()


@flow("room: a switch that echoes")
async def echo(world: World) -> None:
    """RX-22: her own words come once; the same words said again come again."""
    joined = await join(world, (BENVOLIO, "Ben"), quirks=replace(PLAIN, echoes=True))
    there, benvolio = joined.there, joined.room.guests[0]
    for _ in range(2):
        # RX-22: once for each.
        id = there.say("Ay me!")
        await there.expect_message("Ay me!", "JuliC", id=id)
        await benvolio.expect("Ay me!")
        await world.nothing_else()
    await leave(joined)
    await world.nothing_else()


@flow("room: private messages")
async def private(world: World) -> None:
    """RX-23, RX-24, T13."""
    joined = await join(world, (BENVOLIO, "Ben"), (MERCUTIO, "Merc"))
    there, (benvolio, mercutio) = joined.there, joined.room.guests
    # RX-23: to one, who alone hears it.
    there.whisper("Ben", "Where is Romeo?")
    heard = await benvolio.expect("Where is Romeo?")
    equal((heard.sender, heard.to), (JULIET_URI, BENVOLIO), "RX-23: From and To")
    there.whisper("Merc", "Peace!", type=None)
    await mercutio.expect("Peace!")
    # RX-24: from one, to her alone.
    benvolio.whisper(JULIET_URI, "Towards him I made")
    got = await there.expect_message("Towards him I made", "Ben", type="chat")
    require(got.xml.find(f"{USER}x") is not None, f"RX-24: the muc#user element: {got}")
    # RX-23: who is not there.
    id = there.whisper("Tybalt", "Prince of cats")
    await there.expect_error("item-not-found", id=id, kind="message", nick="Tybalt")
    # RX-23: groupchat is for rooms.
    id = joined.juliet.say(there.occupant("Ben"), "all of you", type="groupchat")
    await there.expect_error("bad-request", id=id, kind="message", nick="Ben")
    # RX-23, T10: the switch refuses.
    for status, condition in ((404, "item-not-found"), (403, "forbidden")):
        joined.room.private_status = status
        id = there.whisper("Ben", f"what draws {status}")
        await there.expect_error(condition, id=id, kind="message", nick="Ben")
    await leave(joined)
    await world.nothing_else()


@flow("room: a switch without private messages")
async def no_private(world: World) -> None:
    """RX-23: refused before anything is sent."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    room.tokens = "nickname"
    room.enter(BENVOLIO, "Ben")
    there = Occupancy(juliet, VERONA_JID)
    await there.join("JuliC")
    member = await room.next_member()
    # RX-23: not implemented here.
    id = there.whisper("Ben", "psst")
    await there.expect_error("feature-not-implemented", id=id, kind="message", nick="Ben")
    there.leave()
    await member.expect_bye()
    await there.expect_gone("JuliC", statuses={110})
    await world.nothing_else()


@flow("room: old messages, unknown senders, and what is not CPIM")
async def odd_messages(world: World) -> None:
    """RX-24, RX-25: delay by DateTime, a stranger after a while, and the room's own words."""
    joined = await join(world, (BENVOLIO, "Ben"))
    there, session = joined.there, joined.member.session
    ben, room = f'"Ben" <{BENVOLIO}>', f"<{VERONA}>"
    # RX-24: an hour old.
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    session.send(cpim.build("long ago", ben, [room], when=hour_ago), "message/cpim")
    got = await there.expect_message("long ago", "Ben")
    require(got.delayed, f"RX-24: a delay: {got}")
    # RX-24: the entity with parameters, gr outside the brackets.
    session.send(cpim.build("a phone", f"<{BENVOLIO};transport=tcp>", [room]), "message/cpim")
    await there.expect_message("a phone", "Ben")
    # RX-24: the room's own words.
    joined.room.announce("The feast begins")
    await there.expect_message("The feast begins", None)
    # RX-24: not CPIM.
    session.send(b"plain words", "text/plain")
    await there.expect_message("plain words", None)
    # RX-25: somebody who comes to the roster a moment later.
    session.send(cpim.build("I come", f"<{MERCUTIO}>", [room]), "message/cpim")
    joined.room.enter(MERCUTIO, "Merc")
    await there.expect_presence("Merc")
    await there.expect_message("I come", "Merc")
    # RX-25: somebody who never does.
    session.send(cpim.build("Boo", '"Queen Mab" <sip:mab@example.org>', [room]), "message/cpim")
    got = await there.inbox.take("the stranger's words", 12.0)
    while got.kind == "presence":
        got = await there.inbox.take("the stranger's words")
    equal((got.body, got.sender), ("Boo", there.occupant("Queen Mab")), f"RX-25: {got}")
    await leave(joined)


@flow("room: what a guest in a room of the SIP world cannot do")
async def not_allowed(world: World) -> None:
    """RX-27, RX-34: nothing is faked as done."""
    joined = await join(world, (BENVOLIO, "Ben"))
    there = joined.there
    # RX-34: no subjects.
    id = there.entitle("Mine")
    await there.expect_error("not-allowed", id=id, kind="message")
    # RX-34: no administration, no configuration, no registration.
    answer = await there.admin(nick="Ben", role="none")
    equal(answer.error.condition if answer.error else None, "not-allowed", f"RX-34: {answer}")
    for query in (
        "<query xmlns='http://jabber.org/protocol/muc#owner'/>",
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast'/></query>",
        "<query xmlns='jabber:iq:register'/>",
    ):
        answer = await joined.juliet.ask(there.room, query)
        equal(answer.error.condition if answer.error else None, "not-allowed", f"RX-34: {answer}")
    # RX-27: being away is shown to herself.
    joined.juliet.send(f"<presence to='{there.occupant('JuliC')}'><show>away</show><status>asleep</status></presence>")
    got = await there.expect_presence("JuliC", own=True)
    equal(got.xml.findtext("{jabber:client}show"), "away", f"RX-27: {got}")
    await leave(joined)
    await world.nothing_else()
