"""An XMPP user enters a chat room of the SIP world (RFC 7702 §5.1 to §5.4)."""

from __future__ import annotations

import asyncio

from slixmpp import JID

from ..errors import equal, require
from ..peers import sdp
from ..peers.focus import Room
from ..peers.focus.member import Member
from ..peers.muc import MUC, Occupancy, item, statuses
from ..peers.sip.message import SipUri, uri_of
from ..world import JULIET_URI, World
from . import flow
from .rooms import BENVOLIO, VERONA, VERONA_JID, Joined, join, leave

_NO_MUC = "recipient-unavailable"
_REFUSALS = (
    (404, "item-not-found", "cancel"),
    (403, "forbidden", "auth"),
    (486, "recipient-unavailable", "wait"),
    (603, "recipient-unavailable", "wait"),
    (488, "not-acceptable", "modify"),
    (503, "service-unavailable", "wait"),
)


def _add(transport: str, setup: str) -> None:
    async def play(world: World) -> None:
        """RX-01, RX-03, RX-05, RX-11, RX-13, RX-14, RX-19, RX-20, RX-21, RX-24, RX-28, T12, T13: in, a word each way, out."""
        await _visit(world, transport, setup)

    flow(f"room: she enters, a word each way, she leaves ({transport.upper()}, room {setup})")(play)


_add("udp", "passive")
_add("tcp", "active")


async def _visit(world: World, transport: str, setup: str) -> None:
    juliet, focus = await world.start_rooms(transport=transport)
    room = focus.room(VERONA)
    room.setup = setup
    room.about.subject = "The feast of Capulet"
    benvolio = room.enter(BENVOLIO, "Ben")
    there = Occupancy(juliet, VERONA_JID)
    arrival = await there.join("JuliC")
    member = await room.next_member()
    # RX-01, T12: the INVITE is for the room, from her address, with a Contact of her device.
    invite = member.call.invite.request if member.call.invite else None
    assert invite is not None
    equal(invite.uri, VERONA, "RX-01: Request-URI")
    equal(uri_of(invite.one("To")), VERONA, "RX-01: To")
    equal(uri_of(invite.one("From")), JULIET_URI, "RX-01: From")
    equal(SipUri.parse(uri_of(invite.one("Contact"))).parameters.get("gr"), "balcony", "RX-01: gr in Contact")
    offer = sdp.read(invite.body, "offer", room=True)
    equal(set(offer.chatroom or ()), {"nickname", "private-messages"}, "RX-01: a=chatroom")
    # RX-05: the nickname, quoted.
    equal(member.wishes, ['"JuliC"'], "RX-05: Use-Nickname")
    # RX-11: a subscription of its own.
    asked = await room.subscribers.asked.take("SUBSCRIBE")
    require(asked.call_id != invite.call_id, "RX-11: a dialog of its own")
    # RX-03, RX-13: who was there, then herself, then the subject.
    equal(set(arrival.others), {"Ben"}, "RX-03: occupants")
    equal(item(arrival.others["Ben"]).role, "participant", "RX-13: role")
    equal(item(arrival.others["Ben"]).affiliation, "none", "RX-13: affiliation")
    equal(
        item(arrival.others["Ben"]).jid, f"benvolio%example.org@{VERONA_JID.partition('@')[2]}", "RX-13: jid of an AOR"
    )
    equal(there.nick, "JuliC", "RX-03: her nickname")
    # RX-19: the room's subject.
    equal(arrival.subject, "The feast of Capulet", "RX-19: subject")
    # RX-20, T13: what she says, in CPIM.
    id = there.say("Good pilgrim, you do wrong your hand too much")
    heard = await benvolio.expect("Good pilgrim, you do wrong your hand too much")
    equal((heard.sender, heard.to), (JULIET_URI, VERONA), "RX-20: CPIM From and To")
    # RX-21: reflected with its id.
    await there.expect_message("Good pilgrim, you do wrong your hand too much", "JuliC", id=id)
    # RX-24: what another says.
    benvolio.say("Away, begone; the sport is at the best.")
    await there.expect_message("Away, begone; the sport is at the best.", "Ben")
    # RX-28: she leaves.
    await leave(Joined(juliet, focus, room, there, member, arrival))
    await world.nothing_else()


@flow("room: without a nickname, and presence that is no join")
async def no_join(world: World) -> None:
    """RX-02."""
    juliet, focus = await world.start_rooms()
    there = Occupancy(juliet, VERONA_JID)
    # RX-02: a join needs a nickname.
    id = there.ask_to_join(None)
    got = await there.expect_error("jid-malformed", id=id, kind="presence")
    equal(got.error.type if got.error else None, "modify", "RX-02: type of the error")
    # RX-02: presence without the muc element never joins.
    juliet.send(f"<presence to='{VERONA_JID}/JuliC'/>")
    await there.expect_gone("JuliC", statuses={110, 307, 333})
    equal(focus.rooms, {}, "RX-02: the focus hears nothing")
    await world.nothing_else()


def _add_refusal(status: int, condition: str, type: str) -> None:
    async def play(world: World) -> None:
        """RX-09, T18: from the occupant she wished to be, with the join's id and its muc element."""
        juliet, focus = await world.start_rooms()
        focus.room(VERONA).invite_status = status
        there = Occupancy(juliet, VERONA_JID)
        id = there.ask_to_join("JuliC")
        await focus.invites.take("INVITE")
        # RX-09: the error.
        got = await there.expect_error(condition, id=id, kind="presence", nick="JuliC")
        equal(got.error.type if got.error else None, type, f"T18: type of {got}")
        require(got.xml.find(f"{{{MUC}}}x") is not None, f"RX-09: the muc element comes back: {got}")
        await world.nothing_else()

    flow(f"room: the focus answers {status}, she reads {condition}")(play)


for _refusal in _REFUSALS:
    _add_refusal(*_refusal)


@flow("room: somebody who is no room")
async def no_room(world: World) -> None:
    """RX-04: neither isfocus nor chatroom in the 200, or no CPIM: ACK, BYE, and there is no such room."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    there = Occupancy(juliet, VERONA_JID)
    room.is_focus, room.tokens = False, ""
    # RX-04: a plain user took the call.
    await _is_no_room(there, room)
    # RX-04: a focus whose sessions do not take CPIM.
    room.is_focus, room.tokens, room.accept_types = True, "nickname", "text/plain"
    await _is_no_room(there, room)
    await world.nothing_else()


async def _is_no_room(there: Occupancy, room: Room) -> None:
    id = there.ask_to_join("JuliC")
    await there.expect_error("item-not-found", id=id, kind="presence", nick="JuliC")
    member = await room.joined.take("the INVITE")
    await _hung_up(member)


async def _hung_up(member: Member) -> None:
    await member.expect_bye()


@flow("room: a room with a password")
async def password(world: World) -> None:
    """RX-10: the password answers the challenge of the focus; without it she is asked for one."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    room.password = "cornet-à-piston"
    there = Occupancy(juliet, VERONA_JID)
    # RX-10: no password.
    id = there.ask_to_join("JuliC")
    await there.expect_error("not-authorized", id=id, kind="presence", nick="JuliC")
    # RX-10: a wrong one.
    id = there.ask_to_join("JuliC", password="guess")
    await there.expect_error("not-authorized", id=id, kind="presence", nick="JuliC")
    # RX-10: the right one, never logged.
    await there.join("JuliC", password="cornet-à-piston")
    member = await room.next_member()
    require("cornet" not in world.gateway.log(), "RX-10: passwords are not logged")
    there.leave()
    await member.expect_bye()
    await there.expect_gone("JuliC", statuses={110})
    focus.invites.clear()
    await world.nothing_else()


@flow("room: the focus refuses to tell who is there, and she is in nevertheless")
async def subscription_refused(world: World) -> None:
    """RX-18: the join is completed with herself; others are learnt from what they say."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    room.subscribers.status = 403
    benvolio = room.enter(BENVOLIO, "Ben")
    there = Occupancy(juliet, VERONA_JID)
    # RX-18: she alone, and an empty subject.
    arrival = await there.join("JuliC")
    equal((set(arrival.others), arrival.subject), (set(), ""), "RX-18: what the join brings")
    member = await room.next_member()
    # RX-18, RX-25: who speaks is there.
    benvolio.say("I am here, too")
    await there.until_there("JuliC", "Ben")
    await there.expect_message("I am here, too", "Ben")
    there.leave()
    await member.expect_bye()
    await there.expect_gone("JuliC", statuses={110})
    await world.nothing_else()


@flow("room: the focus never tells who is there")
async def no_notify(world: World) -> None:
    """RX-18: after `room.roster_wait` (10 s) the join is completed without the others."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    room.subscribers.silent = True
    there = Occupancy(juliet, VERONA_JID)
    # RX-18: it takes ten seconds.
    began = asyncio.get_running_loop().time()
    arrival = await there.join("JuliC", timeout=16.0)
    took = asyncio.get_running_loop().time() - began
    require(8.0 < took < 14.0, f"RX-18: joined after {took:.1f} s")
    equal(set(arrival.others), set(), "RX-18: nobody else")
    member = await room.next_member()
    there.leave()
    await member.expect_bye()
    await there.expect_gone("JuliC", statuses={110})
    await world.nothing_else()


@flow("room: she joins again while she is there")
async def joins_again(world: World) -> None:
    """RX-33: the roster, herself and the subject once more, without another INVITE; a ping is answered by who is there."""
    joined = await join(world, (BENVOLIO, "Ben"))
    # RX-33: a ping to herself.
    equal((await joined.there.ping()).type, "result", "RX-33: answer to the ping")
    # RX-33: the same again.
    arrival = await joined.there.join("JuliC")
    equal(set(arrival.others), {"Ben"}, "RX-33: occupants")
    equal(len(joined.room.members), 1, "RX-33: no INVITE")
    await leave(joined)
    # RX-33: who is not there is told so.
    answer = await joined.there.ping()
    equal(answer.error.condition if answer.error else None, "not-acceptable", "RX-33: answer to the ping")
    await world.nothing_else()


@flow("room: two of her devices")
async def two_devices(world: World) -> None:
    """RX-32: each has its own dialog; both get everything, and the last to leave says goodbye."""
    joined = await join(world, (BENVOLIO, "Ben"))
    benvolio = joined.room.guests[0]
    chamber = await world.add_xmpp_user("juliet", "chamber")
    await asyncio.sleep(0.1)
    joined.juliet.inbox.clear()
    chamber.inbox.clear()
    there = Occupancy(chamber, VERONA_JID)
    # RX-32: the same nickname, which the room grants her twice.
    arrival = await there.join("JuliC")
    equal(there.nick, "JuliC", "RX-32: one nickname")
    require(110 in statuses(arrival.own), "RX-32: her own presence") if arrival.own else None
    second = await joined.room.next_member()
    benvolio.say("Ladies")
    await there.expect_message("Ladies", "Ben")
    await joined.there.expect_message("Ladies", "Ben")
    # RX-21, RX-32: what one device says, both read.
    there.say("It is but one lady")
    await benvolio.expect("It is but one lady")
    await there.expect_message("It is but one lady", "JuliC")
    await joined.there.expect_message("It is but one lady", "JuliC")
    there.leave()
    await second.expect_bye()
    await there.expect_gone("JuliC")
    await leave(joined)
    await world.nothing_else()


@flow("room: a client that others have written")
async def other_client(world: World) -> None:
    """RX-03, RX-13, RX-19, RX-33: slixmpp's own XEP-0045 and XEP-0410 find a room like any other."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    room.about.subject = "The feast"
    room.enter(BENVOLIO, "Ben")
    rooms, pings = juliet.plugin("xep_0045"), juliet.plugin("xep_0410")
    # RX-03, RX-19: the join, the occupants, the subject.
    own, subject, occupants, _ = await rooms.join_muc_wait(JID(VERONA_JID), "JuliC", timeout=10)
    equal(str(own["from"]), f"{VERONA_JID}/JuliC", "RX-03: herself")
    equal(subject["subject"], "The feast", "RX-19: subject")
    equal(str(occupants[0]["from"]), f"{VERONA_JID}/Ben", "RX-13: occupants")
    equal(set(rooms.get_roster(JID(VERONA_JID))), {"Ben", "JuliC"}, "RX-13: roster")
    member = await room.next_member()
    # RX-33: the self-ping of XEP-0410.
    equal((await pings.send_self_ping(JID(f"{VERONA_JID}/JuliC"))).name, "JOINED", "RX-33: self-ping")
    # RX-28: the end.
    rooms.leave_muc(JID(VERONA_JID), "JuliC")
    await member.expect_bye()
