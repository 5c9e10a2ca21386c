"""Nothing vanishes: what cannot be delivered comes back as the sender's own kind of error."""

from __future__ import annotations

import asyncio
from functools import partial

from ..errors import equal, require
from ..peers.msrp.session import Received
from ..ports import free_port
from ..servers.base import DOMAIN
from ..world import ROMEO, World
from . import flow
from .plain_chat import OPENING, open_from_xmpp

#: SIP status to condition and error type, mapping T9 and T7.
_BY_STATUS = {
    404: ("item-not-found", "cancel"),
    480: ("recipient-unavailable", "wait"),
    486: ("recipient-unavailable", "wait"),
    603: ("recipient-unavailable", "wait"),
    403: ("forbidden", "auth"),
    500: ("internal-server-error", "cancel"),
}
#: MSRP status to condition and error type, mapping T10 and T7.
_BY_MSRP_STATUS = {
    400: ("bad-request", "modify"),
    403: ("forbidden", "auth"),
    413: ("policy-violation", "modify"),
    408: ("remote-server-timeout", "wait"),
}
NOBODY = f"nobody@{DOMAIN}"


def _add_invite(status: int) -> None:
    async def play(world: World) -> None:
        """CHAT-09, CORE-21, T7, T9: one error per message that waited; the next message tries again."""
        juliet, romeo = await world.start()
        condition, type = _BY_STATUS[status]
        first = juliet.say(ROMEO, OPENING, thread="refused")
        invite = await romeo.expect_invite()
        second = juliet.say(ROMEO, "and now?", thread="refused")
        await asyncio.sleep(0.2)
        await invite.refuse(status)
        for id in (first, second):
            await juliet.expect_error(id, condition, type, sender=ROMEO)
        again = juliet.say(ROMEO, "once more", thread="refused")
        await (await romeo.expect_invite()).refuse(status)
        await juliet.expect_error(again, condition, type, sender=ROMEO)
        await world.nothing_else()

    flow(f"refused: INVITE by {status}")(play)


for _status in _BY_STATUS:
    _add_invite(_status)


@flow("refused: MESSAGE by 404, 480, 486, 603 …")
async def message_refused(world: World) -> None:
    """IM-06, CORE-21, T7, T9: the error carries the id of the message."""
    juliet, romeo = await world.start()
    romeo.message_status = None
    for status, (condition, type) in _BY_STATUS.items():
        id = juliet.say(ROMEO, f"try {status}", type="normal")
        (await romeo.expect_message(f"try {status}")).answer(status)
        await juliet.expect_error(id, condition, type, sender=ROMEO)
    await world.nothing_else()


@flow("refused: SEND by 400, 403, 408, 413; the session stays")
async def send_refused(world: World) -> None:
    """RCPT-08, MSRP-17, MSRP-20, T10: the error carries the id of the message."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "refused-sends")
    for status, (condition, type) in _BY_MSRP_STATUS.items():
        call.session.statuses = partial(_always, status)
        id = juliet.say(ROMEO, f"try {status}", thread="refused-sends")
        await call.expect(f"try {status}")
        await juliet.expect_error(id, condition, type, sender=ROMEO)
    call.session.statuses = lambda _: 200
    juliet.say(ROMEO, "and this one arrives", thread="refused-sends")
    await call.expect("and this one arrives")
    juliet.leave(ROMEO, "refused-sends")
    await call.expect_bye()
    await world.nothing_else()


def _always(status: int, _: Received) -> int:
    return status


@flow("refused: nobody listens for SIP")
async def sip_connection_refused(world: World) -> None:
    """CORE-16, T9 local causes: connection refused by all targets, for a chat and for a pager message."""
    proxy = f"sip:127.0.0.1:{free_port()};transport=tcp"
    juliet, _ = await world.start("tcp", config={"sip": {"outbound_proxy": proxy}})
    chat = juliet.say(ROMEO, OPENING, thread="unreachable")
    await juliet.expect_error(chat, "remote-server-not-found", "cancel", sender=ROMEO)
    pager = juliet.say(ROMEO, OPENING, type="normal")
    await juliet.expect_error(pager, "remote-server-not-found", "cancel", sender=ROMEO)
    await world.nothing_else()


@flow("refused: nobody listens at romeo's MSRP path")
async def msrp_connection_refused(world: World) -> None:
    """CHAT-06, CHAT-29, MSRP-10: the messages come back, the call is ended with BYE."""
    juliet, romeo = await world.start()
    id = juliet.say(ROMEO, OPENING, thread="no-msrp-there")
    invite = await romeo.expect_invite()
    call = await invite.accept(refuse_msrp=True)
    got = await juliet.inbox.take(f"an error for {id}", 20.0)
    require(got.error is not None and got.id == id, f"expected an error for {id}, got {got}")
    assert got.error is not None
    require(
        (got.error.condition, got.error.type)
        in {("remote-server-not-found", "cancel"), ("recipient-unavailable", "wait")},
        f"condition and type of {got}",
    )
    await call.expect_bye()
    romeo.inbox.clear()  # MSRP-10 allows one re-INVITE before the BYE; it was refused with 488
    await world.nothing_else()


@flow("refused: silence: no answer to INVITE, MESSAGE, SEND", limit=90.0)
async def silence(world: World) -> None:
    """SIP-03 (timers B and F), RCPT-08, T9, T10: each ends in remote-server-timeout."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "silent-msrp")
    call.session.statuses = lambda _: None
    send = juliet.say(ROMEO, "no 200 to this", thread="silent-msrp")
    await call.expect("no 200 to this")
    romeo.deaf = True
    component = ROMEO.partition("@")[2]
    chat = juliet.say(f"tybalt%example.net@{component}", OPENING, thread="silent-sip")
    pager = juliet.say(f"mercutio%example.net@{component}", OPENING, type="normal")
    waiting = {send, chat, pager}
    while waiting:
        got = await juliet.inbox.take(f"errors for {waiting}", 40.0)
        require(got.error is not None and got.id in waiting, f"expected an error for one of {waiting}, got {got}")
        assert got.error is not None
        equal((got.error.condition, got.error.type), ("remote-server-timeout", "wait"), f"condition and type of {got}")
        waiting.discard(got.id or "")
    romeo.deaf = False
    juliet.leave(ROMEO, "silent-msrp")
    await call.expect_bye()
    await world.nothing_else()


@flow("refused: unknown XMPP user, MESSAGE")
async def message_to_nobody(world: World) -> None:
    """IM-05, CORE-20, CORE-22, T8: service-unavailable of the server becomes 403."""
    _, romeo = await world.start()
    response = await romeo.message(f"sip:{NOBODY}", "are you there?")
    equal(response.status, 403, "answer to the MESSAGE")
    await world.nothing_else()


@flow("refused: unknown XMPP user, SEND")
async def send_to_nobody(world: World) -> None:
    """CHAT-37, T10: service-unavailable of the server becomes 403, as the answer to that SEND."""
    _, romeo = await world.start()
    call = await romeo.call(f"sip:{NOBODY}", call_id="to-nobody")
    equal(await call.session.say("are you there?").status(), 403, "answer to the SEND")
    await asyncio.sleep(0.3)
    if call.byes.waiting():  # the gateway may end a session with nobody in it
        await call.expect_bye()
    else:
        await call.bye()
    await world.nothing_else()
