"""Invitations into rooms of the SIP world, from either side (RFC 7702 §5.7, T19)."""

from __future__ import annotations

import asyncio

from ..errors import equal, require
from ..peers.muc import Occupancy, user_element
from ..peers.sip.message import uri_of
from ..world import JULIET_URI, World
from . import flow
from .rooms import BENVOLIO, VERONA, VERONA_JID, join, leave

_HECATE = "hecate%chat.example.org@sip.example.com"


@flow("room: she invites somebody")
async def invites(world: World) -> None:
    """RX-30, T19: REFER, and what the focus tells of it."""
    joined = await join(world)
    there, room = joined.there, joined.room
    # RX-30: the REFER.
    there.invite(_HECATE, "come to the feast")
    refer = await room.referred.take("REFER")
    target = uri_of(refer.one("Refer-To"))
    equal(target.partition(";")[0], "sip:hecate@chat.example.org", "RX-30: Refer-To")
    equal(uri_of(refer.one("Referred-By")), JULIET_URI, "RX-30: Referred-By")
    require("message/sipfrag" in (refer.get("Accept") or ""), f"RX-30: Accept:\n{refer}")
    # RX-30: success is told by the roster alone.
    room.enter("sip:hecate@chat.example.org", "Hecate")
    await there.expect_presence("Hecate")
    # RX-30: declined.
    for status in ("603 Decline", "486 Busy Here"):
        room.refer_result = f"SIP/2.0 {status}"
        there.invite(_HECATE)
        await room.referred.take("REFER")
        got = await there.take("the decline")
        decline = user_element(got, "decline")
        require(decline is not None, f"RX-30: a decline: {got}")
        assert decline is not None
        equal((decline.get("from"), got.sender), (_HECATE, there.room), f"RX-30: {got}")
    # RX-30: failed.
    room.refer_result = "SIP/2.0 404 Not Found"
    id = there.invite(_HECATE)
    await room.referred.take("REFER")
    await there.expect_error("item-not-found", id=id, kind="message")
    # RX-30: refused.
    room.refer_status = 403
    id = there.invite(_HECATE)
    await room.referred.take("REFER")
    await there.expect_error("forbidden", id=id, kind="message")
    await leave(joined)


@flow("room: the focus calls her in, and she comes")
async def called(world: World) -> None:
    """RX-31: 180, an invitation from the room, 200 when she joins; that dialog is her membership."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    room.enter(BENVOLIO, "Ben")
    there = Occupancy(juliet, VERONA_JID)
    # RX-31: an invitation.
    call = await focus.invite(room, JULIET_URI, BENVOLIO)
    got = await there.inbox.take("the invitation")
    invitation = user_element(got, "invite")
    require(invitation is not None, f"RX-31: a mediated invitation: {got}")
    assert invitation is not None
    equal(got.sender, there.room, f"RX-31: from the room: {got}")
    require("benvolio%example.org" in (invitation.get("from") or ""), f"RX-31: the inviter: {got}")
    await asyncio.wait_for(call.transaction.rang.wait(), 8.0)
    equal(call.transaction.provisional[-1].status, 180, "RX-31: it rings")
    # RX-31: she joins.
    there.ask_to_join("JuliC")
    response, member = await focus.admitted(room, call)
    equal(response.status, 200, "RX-31: answer to the INVITE")
    assert member is not None
    arrival = await there.arrive()
    equal(set(arrival.others), {"Ben"}, "RX-31: occupants")
    equal(len(room.members), 1, "RX-31: one dialog")
    room.joined.clear()
    id = there.say("I come anon")
    await there.expect_message("I come anon", "JuliC", id=id)
    await room.guests[0].expect("I come anon")
    there.leave()
    await member.expect_bye()
    await there.expect_gone("JuliC", statuses={110})
    await world.nothing_else()


@flow("room: the focus calls her in, and she declines")
async def declines(world: World) -> None:
    """RX-31: 603."""
    juliet, focus = await world.start_rooms()
    room = focus.room(VERONA)
    there = Occupancy(juliet, VERONA_JID)
    call = await focus.invite(room, JULIET_URI, BENVOLIO)
    got = await there.inbox.take("the invitation")
    invitation = user_element(got, "invite")
    assert invitation is not None
    # RX-31: her decline is the answer.
    there.decline(invitation.get("from") or "", "I am asleep")
    response, _ = await focus.admitted(room, call)
    equal(response.status, 603, "RX-31: answer to the INVITE")
    await world.nothing_else()
