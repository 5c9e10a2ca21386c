"""A SIP user enters a room of the XMPP server (RFC 7702 §6, RFC 7701)."""

from __future__ import annotations

from ..errors import equal, require
from ..peers import sdp
from ..peers.muc import Occupancy, item
from ..peers.participant import Participant
from ..peers.sip.message import SipUri, uri_of
from ..servers.base import ROOMS
from ..world import ROMEO, World
from . import flow
from .rooms import Entered, enter, exchange, go, new_room, prepare


def _add(transport: str, setup: str) -> None:
    async def play(world: World) -> None:
        """RS-01, RS-03, RS-04, RS-07, RS-08, RS-15..17, RS-21, RS-22, RS-26, RS-32, T12: in, a word each way, out."""
        juliet, romeo = await world.start(transport)
        room = new_room()
        there = Occupancy(juliet, room)
        await there.create("JuliC")
        him = Participant(romeo, f"sip:{room}")
        # RS-01, RS-03, T12: 200 of a focus.
        await him.join(setup=setup)
        assert him.answer is not None
        equal(set(him.tokens), {"nickname", "private-messages"}, "RS-03: a=chatroom")
        # RS-04: From and To as in the request.
        equal(uri_of(him.answer.one("To")), f"sip:{room}", "RS-04: To")
        # RS-07, RS-08: the nickname is granted when he is in.
        equal(await him.nickname("Romeo"), 200, "RS-08: answer to NICKNAME")
        got = await there.expect_presence("Romeo", role="participant")
        jid = item(got).jid or ""
        equal(jid.partition("/")[0], ROMEO, "RS-07: his address")
        require(jid.partition("/")[2], f"RS-07: with a resource: {jid}")
        # RS-15..17: the roster.
        await him.watch()
        roster = await him.until_there("JuliC", "Romeo")
        require(him.occupant("JuliC") in roster.by_entity, f"RS-17: entities {set(roster.by_entity)}")
        # RS-21, RS-22, RS-26: a word each way.
        entered = Entered(juliet, romeo, room, there, him)
        await exchange(entered)
        # RS-32: he leaves.
        await go(entered)
        await world.nothing_else()

    flow(f"MUC: he enters, a word each way, he leaves ({transport.upper()}, {setup})")(play)


_add("udp", "active")
_add("tcp", "passive")


@flow("MUC: he is in without a nickname of his own")
async def temporary_nick(world: World) -> None:
    """RS-06, RS-09: under the display name of his From, by SUBSCRIBE, by a message, or after two seconds."""
    there, romeo, room = await prepare(world)
    # RS-06: the subscription is the first sign.
    him = Participant(romeo, f"sip:{room}", name="Romeo Montague")
    await him.join()
    await him.watch()
    await there.expect_presence("Romeo Montague")
    await him.until_there("JuliC", "Romeo Montague")
    await him.leave()
    await him.until_unwatched()
    await there.expect_gone("Romeo Montague")
    # RS-06: a message is; without a display name the user part is taken.
    him = Participant(romeo, f"sip:{room}")
    await him.join()
    sent = him.say("But soft")
    await there.expect_presence("romeo")
    await there.expect_message("But soft", "romeo")
    equal(await sent.status(), 200, "RS-22: answer to the SEND")
    await him.leave()
    await there.expect_gone("romeo")
    # RS-06: nothing is, and he is in all the same; what he said before comes as history.
    him = Participant(romeo, f"sip:{room}")
    await him.join()
    await there.expect_presence("romeo")
    await him.expect("But soft", "romeo")
    await him.leave()
    await there.expect_gone("romeo")
    await there.left()
    await world.nothing_else()


@flow("MUC: his own name is taken, so he is called otherwise")
async def variation(world: World) -> None:
    """RS-09: a variation, which the roster tells him."""
    there, romeo, room = await prepare(world)
    him = Participant(romeo, f"sip:{room}", name="JuliC")
    await him.join()
    await him.watch()
    # RS-09: another name.
    got = await there.take("his presence")
    nick = got.sender.partition("/")[2]
    require(nick != "JuliC", f"RS-09: a variation: {got}")
    await him.until_there("JuliC", nick)
    await him.leave()
    await him.until_unwatched()
    await there.expect_gone(nick)
    await there.left()
    await world.nothing_else()


@flow("MUC: INVITEs that cannot be a room's")
async def no_session(world: World) -> None:
    """RS-02, RS-05: without CPIM 488, without such a room 404, and none is made."""
    there, romeo, room = await prepare(world)
    # RS-02: no CPIM.
    response = await Participant(romeo, f"sip:{room}").invite(accept_types="text/plain")
    equal(response.status, 488, "RS-02: answer to the INVITE")
    # RS-02: written otherwise.
    him = Participant(romeo, f"sip:{room}")
    await him.join(accept_types="Message/CPIM text/plain")
    equal(await him.nickname("Romeo"), 200, "RS-02: answer to NICKNAME")
    await there.expect_presence("Romeo")
    await him.leave()
    await there.expect_gone("Romeo")
    await there.left()
    await world.nothing_else()


@flow("MUC: a room that does not exist")
async def no_such_room(world: World) -> None:
    """RS-05, RS-10: refused, or entered and left at once; no room is left behind."""
    juliet, romeo = await world.start()
    room = new_room()
    him = Participant(romeo, f"sip:{room}")
    response = await him.invite()
    if response.status == 200:
        # RS-05: BYE with 404.
        status = him.ask_nickname("Romeo")
        await him.expect_bye(404)
        if status.done():
            equal(status.result(), 403, "RS-08: answer to NICKNAME")
    else:
        equal(response.status, 404, "RS-05: answer to the INVITE")
    # RS-05: no room is left.
    items = await juliet.ask(ROOMS, "<query xmlns='http://jabber.org/protocol/disco#items'/>")
    require(room not in str(items), f"RS-05: {items}")


@flow("MUC: a room with a password, a room for members, one that he is banned from")
async def closed_rooms(world: World) -> None:
    """RS-08, RS-10, T18: the nickname is refused, and BYE says why."""
    there, romeo, room = await prepare(world, passwordprotectedroom="1", roomsecret="cornet")
    # RS-08, RS-10: a password.
    await _refused(Participant(romeo, f"sip:{room}"), 403, 403)
    await there.configure(passwordprotectedroom="0", roomsecret="", membersonly="1")
    there.inbox.clear()
    # RS-08, RS-10: members.
    await _refused(Participant(romeo, f"sip:{room}"), 403, 403)
    await there.configure(membersonly="0")
    # RS-08, RS-10: banned.
    await there.ban(ROMEO)
    await _refused(Participant(romeo, f"sip:{room}"), 403, 403)
    there.inbox.clear()
    await there.left()


async def _refused(him: Participant, nickname: int, cause: int) -> None:
    response = await him.invite()
    if response.status != 200:
        equal(response.status, cause, "RS-05: answer to the INVITE")
        return
    equal(await him.nickname("Romeo"), nickname, "T18: answer to NICKNAME")
    him.session.inbox.clear()
    bye = await him.call.byes.take("BYE")
    require(f"cause={cause}" in (bye.get("Reason") or "").replace(" ", ""), f"RS-10, T18: Reason of\n{bye}")
    him.session.inbox.clear()
    him.user.remove(him.call)


@flow("MUC: two of his devices")
async def two_devices(world: World) -> None:
    """RS-34, RS-07: two addresses of his; both get everything, each hears the other."""
    entered = await enter(world, watches=False)
    there, first = entered.there, entered.him
    second = Participant(entered.romeo, f"sip:{entered.room}")
    await second.join()
    # RS-34: the same nickname if the room lets him, else another.
    status = await second.nickname("Romeo")
    if status == 425:
        equal(await second.nickname("Romeo's phone"), 200, "RS-34: answer to NICKNAME")
    else:
        equal(status, 200, "RS-34: answer to NICKNAME")
    got = await there.take("the second device")
    nick = got.sender.partition("/")[2]
    # RS-34: everything, to both.
    id = there.say("Which of you is it?")
    await there.expect_message("Which of you is it?", "JuliC", id=id)
    await first.expect("Which of you is it?", "JuliC")
    await second.expect("Which of you is it?", "JuliC")
    # RS-34: one hears the other.
    sent = second.say("Both")
    await there.expect_message("Both", nick)
    equal(await sent.status(), 200, "answer to the SEND")
    await first.expect("Both", nick)
    await second.leave()
    await first.leave()
    await there.take("the end of one")
    await there.take("the end of the other") if nick != "Romeo" else None


@flow("MUC: who is no room is still a user")
async def users_beside(world: World) -> None:
    """RS-01: the same gateway, a chat between two in the meantime."""
    entered = await enter(world)
    require(SipUri.parse(f"sip:{entered.room}").host == ROOMS, "a room")
    entered.romeo.in_rooms = False
    # RS-01: a user is called by chat, a=chatroom or not.
    call = await entered.romeo.call("sip:juliet@example.com", call_id="beside-the-room")
    sent = call.session.say("Tête-à-tête")
    await entered.juliet.expect_message("Tête-à-tête", sender=ROMEO, thread="beside-the-room")
    equal(await sent.status(), 200, "answer to the SEND")
    await call.bye()
    await entered.juliet.expect_gone(sender=ROMEO)
    await exchange(entered)
    await go(entered)
    await world.nothing_else()
