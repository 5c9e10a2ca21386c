"""Many messages in one session, many sessions at once."""

from __future__ import annotations

import asyncio

from ..errors import equal, require
from ..peers.sip.call import Call
from ..peers.sip.incoming import IncomingInvite
from ..servers.base import COMPONENT
from ..world import JULIET_URI, ROMEO, World
from . import flow
from .plain_chat import open_from_xmpp

_BURST = 500
_SESSIONS = 100


@flow("volume: 500 messages in a burst, both directions at once")
async def burst(world: World) -> None:
    """CHAT-07, CHAT-12, CHAT-14, MSRP-02, MSRP-25: once each and in order."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "burst")
    for number in range(_BURST):
        juliet.say(ROMEO, f"juliet {number}", thread="burst")
    sent = [call.session.say(f"romeo {number}") for number in range(_BURST)]
    for number in range(_BURST):
        await call.session.expect(f"juliet {number}", timeout=30.0)
    for number in range(_BURST):
        await juliet.expect_message(f"romeo {number}", sender=ROMEO, thread="burst", timeout=30.0)
    for number, message in enumerate(sent):
        equal(await message.status(30.0), 200, f"answer to SEND {number}")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="burst")
    await world.nothing_else()


@flow("volume: 100 sessions at once, opened by juliet")
async def sessions_from_xmpp(world: World) -> None:
    """CHAT-20, CHAT-39, MSRP-05: each with its own peer, thread and messages; then 100 times BYE."""
    juliet, romeo = await world.start()
    calls: dict[str, Call] = {}

    async def accept(invite: IncomingInvite) -> None:
        invite.ring()
        setup = "active" if len(calls) % 2 else "passive"
        calls[invite.request.uri] = await invite.accept(setup=setup)

    romeo.on_invite = accept
    peers = {number: f"user{number}%example.net@{COMPONENT}" for number in range(_SESSIONS)}
    for number, to in peers.items():
        juliet.say(to, f"hello {number}", thread=f"many-{number}")
    async with asyncio.timeout(30):
        while len(calls) < _SESSIONS:
            world.require_clean()
            await asyncio.sleep(0.02)
    require(len({call.call_id for call in calls.values()}) == _SESSIONS, "each session has its own Call-ID")
    for number in peers:
        call = calls[f"sip:user{number}@example.net"]
        await call.expect(f"hello {number}", timeout=20.0)
        call.session.say(f"hello back {number}")
    answers = {}
    for _ in peers:
        got = await juliet.inbox.take("the answers of a hundred", 20.0)
        answers[got.sender.partition("/")[0]] = (got.body, got.thread)
    equal(answers, {to: (f"hello back {number}", f"many-{number}") for number, to in peers.items()}, "answers")
    for number, to in peers.items():
        juliet.leave(to, f"many-{number}")
    for call in list(calls.values()):
        await call.expect_bye(timeout=20.0)
    await world.nothing_else()


@flow("volume: 100 sessions at once, opened from SIP")
async def sessions_from_sip(world: World) -> None:
    """CHAT-15, CHAT-16, CHAT-39, MSRP-05: a hundred Call-IDs, a hundred threads."""
    juliet, romeo = await world.start("tcp")
    calls = await asyncio.gather(*(romeo.call(JULIET_URI, call_id=f"sip-{number}") for number in range(_SESSIONS)))
    sent = [call.session.say(f"from {call.call_id}") for call in calls]
    senders = {}
    for _ in calls:
        got = await juliet.inbox.take("the messages of a hundred", 20.0)
        equal(got.body, f"from {got.thread}", "text and thread")
        senders[got.thread] = got.sender
    equal(set(senders), {call.call_id for call in calls}, "threads")
    for message in sent:
        equal(await message.status(20.0), 200, "answer to the SEND")
    for call in calls:
        juliet.say(senders[call.call_id], f"to {call.call_id}", thread=call.call_id)
    for call in calls:
        await call.expect(f"to {call.call_id}", timeout=20.0)
    for call in calls:
        await call.bye()
    gone = {(await juliet.expect_gone(sender=ROMEO)).thread for _ in calls}
    equal(gone, set(senders), "threads of `gone`")
    await world.nothing_else()
