"""Session timers: agreed on, refreshed, and the end of a session that nobody refreshes."""

from __future__ import annotations

import asyncio
import time

from ..errors import equal, require
from ..peers.sip.message import SipMessage
from ..peers.sip.transaction import ServerTransaction
from ..world import JULIET_URI, ROMEO, World
from . import flow
from .plain_chat import OPENING, exchange, open_from_sip

_ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, UPDATE"
#: The shortest interval there may be, in seconds (RFC 4028 §4).
_SHORTEST = 90


@flow("session timer: asked for, 422 answered with more, refreshed by romeo")
async def agreed(world: World) -> None:
    """CHAT-30, SIP-17, SIP-18: 1800 s are offered; a 422 brings the same INVITE with what it wants."""
    juliet, romeo = await world.start()
    romeo.supported = "replaces, timer"
    juliet.say(ROMEO, OPENING, thread="timed")
    first = await romeo.expect_invite()
    require("timer" in _words(first.request, "Supported"), "SIP-17: Supported has timer")
    equal(first.request.one("Session-Expires").split(";")[0], "1800", "interval asked for")
    await first.refuse(422, [("Min-SE", "3600")])
    second = await romeo.expect_invite()
    equal(second.call_id, first.call_id, "SIP-18: Call-ID of the second INVITE")
    equal(second.request.cseq[0], first.request.cseq[0] + 1, "SIP-18: CSeq of the second INVITE")
    equal(second.request.one("Session-Expires").split(";")[0], "3600", "interval asked for after 422")
    equal(second.request.one("Min-SE"), "3600", "Min-SE after 422")
    call = await second.accept(headers=[("Session-Expires", "3600;refresher=uas"), ("Require", "timer")])
    await call.expect(OPENING)
    for method in ("UPDATE", "INVITE"):
        answer = await call.change(
            method,
            b"" if method == "UPDATE" else call.description(setup="passive"),
            [("Session-Expires", "3600;refresher=uac"), ("Supported", "timer")],
        )
        equal(answer.status, 200, f"answer to the refresh by {method}")
        equal(answer.one("Session-Expires"), "1800;refresher=uac", f"agreed by {method}, who did not say Min-SE")
        await exchange(juliet, call, ROMEO, "timed")
    juliet.leave(ROMEO, "timed")
    await call.expect_bye()
    await world.nothing_else()


@flow("session timer: an interval that is too short is refused")
async def too_short(world: World) -> None:
    """CHAT-30: 422 with Min-SE to an INVITE and to a refresh; the session goes on."""
    juliet, romeo = await world.start()
    romeo.supported = "timer"
    response, _ = await romeo.dial(JULIET_URI, headers=[("Session-Expires", "60")])
    equal((response.status, response.one("Min-SE")), (422, str(_SHORTEST)), "answer to an interval of 60 s")
    call = await romeo.call(JULIET_URI, call_id="longer", headers=[("Session-Expires", "90;refresher=uac")])
    response = await call.change("UPDATE", headers=[("Session-Expires", "60"), ("Supported", "timer")])
    equal(response.status, 422, "answer to a refresh with 60 s")
    sent = call.session.say(OPENING)
    await juliet.expect_message(OPENING, sender=ROMEO, thread="longer")
    equal(await sent.status(), 200, "answer to the SEND")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="longer")
    await world.nothing_else()


@flow("session timer: stox refreshes at half the time, and ends what romeo does not refresh", limit=120.0, once=True)
async def runs(world: World) -> None:
    """CHAT-30, CHAT-23: UPDATE where romeo allows it, else re-INVITE with the o-line unchanged; BYE and `gone`."""
    juliet, romeo = await world.start()
    romeo.supported = "timer"
    ours = [("Session-Expires", f"{_SHORTEST};refresher=uas")]
    began = time.monotonic()
    romeo.allow = _ALLOW
    by_update = await romeo.call(JULIET_URI, call_id="by-update", headers=ours)
    romeo.allow = _ALLOW.removesuffix(", UPDATE")
    answer, by_invite = await romeo.dial(JULIET_URI, call_id="by-invite", headers=ours)
    assert by_invite is not None
    equal(answer.one("Session-Expires"), f"{_SHORTEST};refresher=uas", "agreed on")
    neglected, _ = await open_from_sip(
        juliet, romeo, "neglected", headers=[("Session-Expires", f"{_SHORTEST};refresher=uac")]
    )
    by_update.takes_changes = by_invite.takes_changes = True

    async def refresh(method: str, change: ServerTransaction) -> None:
        took = time.monotonic() - began
        require(40.0 < took < 55.0, f"RFC 4028 §10: {method} after {took:.0f} s, half of the interval is 45 s")
        equal(change.request.one("Session-Expires"), f"{_SHORTEST};refresher=uac", f"asked by {method}")

    timer = [("Session-Expires", f"{_SHORTEST};refresher=uac"), ("Require", "timer")]
    change = await by_update.expect_change("UPDATE", timeout=60.0)
    await refresh("UPDATE", change)
    require(not change.request.body, "RFC 4028 §7.4: an UPDATE that only refreshes has no offer")
    await by_update.answer(change, 200, headers=timer)
    change = await by_invite.expect_change("INVITE", timeout=10.0)
    await refresh("INVITE", change)
    equal(_origin(change.request), _origin(answer), "RFC 4028 §7.4: o= of a refresh")
    await by_invite.answer(change, 200, by_invite.description(setup="passive"), timer)
    await neglected.expect_bye(timeout=40.0)
    require(time.monotonic() - began > 55.0, "RFC 4028 §10: BYE before a third of the interval was left")
    await juliet.expect_gone(sender=ROMEO, thread="neglected")
    for call in (by_update, by_invite):
        await call.bye()
    await asyncio.sleep(0.2)
    await world.nothing_else()


def _origin(message: SipMessage) -> str:
    return next(line for line in message.body.decode().splitlines() if line.startswith("o="))


def _words(message: SipMessage, name: str) -> list[str]:
    return [word.strip() for value in message.all(name) for word in value.split(",")]
