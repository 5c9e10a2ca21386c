"""What is said in a room of the XMPP server (RFC 7701 §6, RFC 7702 §6.3)."""

from __future__ import annotations

from ..errors import equal, require
from ..peers.muc import Occupancy
from ..peers.participant import Participant
from ..peers.stanza import DELAY
from ..world import World
from . import flow
from .rooms import enter, go, prepare


@flow("MUC: messages of all kinds of text, both ways and in order")
async def texts(world: World) -> None:
    """RS-21, RS-22, RS-23, RS-26, T13."""
    entered = await enter(world)
    him, there = entered.him, entered.there
    long = "O, she doth teach the torches to burn bright! " * 60
    for text in ("one", "two\nlines", '<&> "quoted" 🌹 ü', long, "one", "one"):
        # RS-21, RS-22: 200 when the room has it; RS-23: nothing comes back to him.
        sent = him.say(text)
        await there.expect_message(text, "Romeo")
        equal(await sent.status(), 200, "RS-22: answer to the SEND")
        # RS-26: hers.
        id = there.say(text)
        await there.expect_message(text, "JuliC", id=id)
        await him.expect(text, "JuliC")
    await go(entered)
    await world.nothing_else()


@flow("MUC: a burst of messages")
async def burst(world: World) -> None:
    """RS-21, RS-22, RS-26: nothing is lost, doubled or turned round."""
    entered = await enter(world, watches=False)
    him, there = entered.him, entered.there
    said = [him.say(f"his {number}") for number in range(40)]
    for number in range(40):
        there.say(f"hers {number}")
    got = [(await there.take("the burst")).body or "" for _ in range(80)]
    equal([text for text in got if text.startswith("his")], [f"his {number}" for number in range(40)], "RS-21: his")
    for number in range(40):
        await him.expect(f"hers {number}", "JuliC")
    for sent in said:
        equal(await sent.status(), 200, "RS-22: answer to the SEND")
    await go(entered)
    await world.nothing_else()


@flow("MUC: what the room refuses")
async def refused(world: World) -> None:
    """RS-22: no voice is 403."""
    entered = await enter(world, watches=False, moderatedroom="1")
    him, there = entered.him, entered.there
    answer = await there.admin(nick="Romeo", role="visitor")
    equal(answer.type, "result", f"no voice: {answer}")
    await there.expect_presence("Romeo", role="visitor")
    # RS-22: forbidden.
    equal(await him.say("Let me speak").status(), 403, "RS-22: answer to the SEND")
    answer = await there.admin(nick="Romeo", role="participant")
    await there.expect_presence("Romeo", role="participant")
    # RS-22: allowed again.
    sent = him.say("Thanks")
    await there.expect_message("Thanks", "Romeo")
    equal(await sent.status(), 200, "RS-22: answer to the SEND")
    him.session.inbox.clear()
    await go(entered)
    await world.nothing_else()


@flow("MUC: messages that do not belong into a room")
async def wrong(world: World) -> None:
    """RS-24: no CPIM, several addressees, somebody else's name, nobody's address."""
    entered = await enter(world, watches=False)
    him = entered.him
    room = f"<sip:{entered.room}>"
    # RS-24: not CPIM.
    equal(await him.session.send(b"plain", "text/plain").status(), 415, "RS-24: no CPIM")
    # RS-24: two of them.
    equal(await him.say("both", to=[room, f"<{him.occupant('JuliC')}>"]).status(), 403, "RS-24: several To")
    # RS-24: not his.
    equal(await him.say("forged", sender="<sip:tybalt@example.net>").status(), 403, "RS-24: another's From")
    equal(await him.say("forged", sender=f"<{him.occupant('JuliC')}>").status(), 403, "RS-24: an occupant's From")
    # RS-24: nobody there.
    equal(await him.say("hello?", to=["<sip:tybalt@example.net>"]).status(), 404, "RS-24: To")
    # RS-24: his own names.
    for sender in (f"<{him.occupant('Romeo')}>", f"<{entered.romeo.uri}>;gr=orchard", f"<{entered.romeo.uri}>"):
        sent = him.say("mine", sender=sender)
        await entered.there.expect_message("mine", "Romeo")
        equal(await sent.status(), 200, f"RS-24: From {sender}")
    await go(entered)
    await world.nothing_else()


@flow("MUC: private messages")
async def private(world: World) -> None:
    """RS-25, RS-27."""
    entered = await enter(world, watches=False)
    him, there = entered.him, entered.there
    # RS-25: to her alone, from his own address.
    sent = him.whisper("JuliC", "Meet me at the tomb")
    await there.expect_message("Meet me at the tomb", "Romeo", type="chat")
    equal(await sent.status(), 200, "RS-25: answer to the SEND")
    # RS-27: to him alone.
    there.whisper("Romeo", "I shall be there")
    await him.expect("I shall be there", "JuliC", private=True)
    # RS-25, RS-24: who is not there.
    equal(await him.whisper("Tybalt", "cat").status(), 404, "RS-24: nobody of that name")
    await go(entered)
    await world.nothing_else()


@flow("MUC: somebody who takes no private messages")
async def no_private(world: World) -> None:
    """RS-27: she is told that he cannot."""
    there, romeo, room = await prepare(world)
    him = Participant(romeo, f"sip:{room}")
    await him.join(chatroom="a=chatroom:nickname")
    equal(await him.nickname("Romeo"), 200, "answer to NICKNAME")
    await there.expect_presence("Romeo")
    id = there.whisper("Romeo", "psst")
    # RS-27: not implemented there.
    await there.expect_error("feature-not-implemented", id=id, kind="message")
    await him.leave()
    await there.expect_gone("Romeo")
    await there.left()
    await world.nothing_else()


@flow("MUC: what was said before he came")
async def history(world: World) -> None:
    """RS-26, RS-28: in order, with the time it was said."""
    there, romeo, room = await prepare(world)
    for number in range(5):
        id = there.say(f"before {number}")
        await there.expect_message(f"before {number}", "JuliC", id=id)
    him = Participant(romeo, f"sip:{room}")
    await him.enter("Romeo")
    await there.expect_presence("Romeo")
    # RS-26: the history.
    for number in range(5):
        got = await him.expect(f"before {number}", "JuliC")
        require((got.cpim or {}).get("DateTime"), "RS-26: DateTime")
    await him.leave()
    await there.expect_gone("Romeo")
    # RS-26, T13: an old DateTime is a delay for others.
    nurse = Occupancy(await world.add_xmpp_user("nurse"), room)
    arrival = await nurse.join("Nurse")
    require(all(message.xml.find(f"{DELAY}delay") is not None for message in arrival.history), "the server's history")
    await nurse.left()
    await there.expect_presence("Nurse")
    await there.expect_gone("Nurse")
    await there.left()
    await world.nothing_else()
