"""Invitations into rooms of the XMPP server, from either side (RFC 7702 §6.5, T19)."""

from __future__ import annotations

from ..errors import equal, require
from ..peers import sdp
from ..peers.msrp.room import RoomSession
from ..peers.muc import Occupancy, user_element
from ..peers.participant import Participant
from ..peers.sip.incoming import IncomingInvite
from ..peers.sip.message import parameter, uri_of
from ..world import JULIET_URI, ROMEO, World
from . import flow
from .rooms import enter, go, prepare


@flow("MUC: he invites somebody")
async def refers(world: World) -> None:
    """RS-30: REFER, in and out of the dialog, is a mediated invitation."""
    entered = await enter(world, watches=False, allowinvites="1")
    him, there = entered.him, entered.there
    nurse = await world.add_xmpp_user("nurse")
    for inside in (True, False):
        # RS-30: accepted, one NOTIFY, the end.
        _, notices = await him.refer(["<sip:nurse@example.com>"], inside=inside)
        notice = await notices.take("NOTIFY")
        equal(notice.request.body.strip(), b"SIP/2.0 100 Trying", "RS-30: sipfrag")
        equal((notice.state, notice.reason), ("terminated", "noresource"), "RS-30: Subscription-State")
        # RS-30: the invitation.
        got = await nurse.inbox.take("the invitation")
        require(user_element(got, "invite") is not None, f"RS-30: an invitation: {got}")
        equal(got.sender, entered.room, "RS-30: from the room")
    # RS-30: what cannot be.
    response, _ = await him.refer([], inside=True, accept_status=())
    equal(response.status, 400, "RS-30: no Refer-To")
    response, _ = await him.refer(
        ["<sip:nurse@example.com>", "<sip:mercutio@example.com>"], inside=True, accept_status=()
    )
    equal(response.status, 400, "RS-30: two")
    response, _ = await him.refer(["<sip:nurse@example.com;method=BYE>"], inside=True, accept_status=())
    equal(response.status, 403, "RS-30: another method")
    there.inbox.clear()
    await go(entered)


@flow("MUC: she invites him, and he comes")
async def invited(world: World) -> None:
    """RS-31, RS-03: mediated and direct; the gateway calls as a focus."""
    there, romeo, room = await prepare(world)
    romeo.in_rooms = True
    for ask in (there.invite, there.invite_directly):
        ask(ROMEO, "Wilt thou come?")
        # RS-31: the call of the room.
        invite = await romeo.expect_invite()
        _check(invite, room)
        him = await _accept(romeo_invite=invite, room=room)
        equal(await him.nickname("Romeo"), 200, "RS-31: answer to NICKNAME")
        await there.expect_presence("Romeo")
        sent = him.say("Here I am")
        await there.expect_message("Here I am", "Romeo")
        equal(await sent.status(), 200, "answer to the SEND")
        him.session.inbox.clear()  # the second time there is the history of the first
        await him.leave()
        await there.expect_gone("Romeo")
    await there.left()
    await world.nothing_else()


@flow("MUC: she invites him, and he declines")
async def declined(world: World) -> None:
    """RS-31: 603 and 486 of the SIP user decline a mediated invitation, and only that."""
    there, romeo, room = await prepare(world)
    romeo.in_rooms = True
    for status in (603, 486):
        there.invite(ROMEO, "Wilt thou come?")
        invite = await romeo.expect_invite()
        await invite.refuse(status)
        # RS-31: declined.
        got = await there.take("the decline")
        require(user_element(got, "decline") is not None, f"RS-31: {got}")
    there.invite_directly(ROMEO)
    invite = await romeo.expect_invite()
    await invite.refuse(603)
    await world.nothing_else()
    await there.left()


def _check(invite: IncomingInvite, room: str) -> None:
    request = invite.request
    equal(uri_of(request.one("From")), f"sip:{room}", "RS-31: From")
    equal(request.uri, "sip:romeo@example.net", "RS-31: Request-URI")
    require(parameter(request.one("Contact"), "isfocus") is not None, f"RS-31: Contact has isfocus:\n{request}")
    # Some servers' rooms say who invites by the address, others by the place in the room.
    inviters = (JULIET_URI, f"sip:{room};gr=JuliC")
    require(uri_of(request.one("Referred-By")) in inviters, f"RS-31: Referred-By:\n{request}")


async def _accept(romeo_invite: IncomingInvite, room: str) -> Participant:
    user = romeo_invite.user
    session = user.msrp.open_as(RoomSession)
    body = sdp.write(session.path, setup="passive", accept_types=sdp.ROOM_TYPES, more=[sdp.CHATROOM])
    call = await romeo_invite.accept(accept_types=sdp.ROOM_TYPES, session=session, body=body)
    him = Participant(user, f"sip:{room}")
    him.called(call)
    await session.until_bound()
    return him


@flow("MUC: an invitation to somebody who is nowhere")
async def nowhere(world: World) -> None:
    """RS-31: an error of the SIP side is a decline as well, and the room stands."""
    there, romeo, room = await prepare(world)
    romeo.in_rooms = True
    there.invite(ROMEO)
    invite = await romeo.expect_invite()
    await invite.refuse(404)
    got = await there.take("what became of it")
    require(got.kind == "message", f"RS-31: {got}")
    nurse = Occupancy(await world.add_xmpp_user("nurse"), room)
    await nurse.join("Nurse")
    await nurse.left()
    there.inbox.clear()
