"""The XMPP server dies in the middle of a chat, and comes back."""

from __future__ import annotations

import asyncio
from collections import Counter

from ..errors import FlowFailed, require
from ..peers.msrp.session import Sent
from ..peers.sip.call import Call
from ..peers.xmpp_user import XmppUser
from ..ports import free_port
from ..tap import Tap
from ..world import ROMEO, World
from . import flow
from .plain_chat import exchange, open_from_xmpp

_PAUSE = 0.004


@flow("restart: server killed in mid-chat, nothing is lost unsaid", limit=120.0)
async def killed(world: World) -> None:
    """CHAT-38, DISCO-01, DISCO-13, and the promise: each message arrives or is given back, none arrives twice.

    Counted is what the gateway answers for: the messages that reached it, and those that the server has not
    provably taken from it. What the server had in hand when it was killed is the server's.
    """
    tap = Tap(free_port(), world.server.component_port)
    await tap.start()
    try:
        juliet, romeo = await world.start(xmpp_port=tap.port)
        call = await open_from_xmpp(juliet, romeo, "survives")
        from_juliet: list[str] = []
        from_romeo: list[Sent] = []
        talking = asyncio.Event()
        speakers = [
            asyncio.create_task(_juliet_talks(juliet, from_juliet, talking)),
            asyncio.create_task(_romeo_talks(call, from_romeo, talking)),
        ]
        await asyncio.sleep(0.6)
        world.transcript.note("kill -9 of the XMPP server")
        await world.server.kill()
        await asyncio.sleep(0.8)
        await world.server.restart()
        world.transcript.note("the XMPP server runs again")
        await juliet.reconnect()
        await _until_connected(tap, connections=2)
        await asyncio.sleep(0.6)
        talking.set()
        for speaker in speakers:
            await speaker
        statuses = [await sent.status(60.0) for sent in from_romeo]
        require(statuses.count(200) > 50, f"few SENDs were taken: {Counter(statuses)}")
        await _settle(juliet, call)
        await juliet.close()  # what the server put aside while she logged in comes with the next login
        await juliet.connect()
        await _settle(juliet, call)
        _account_for_romeo(from_romeo, statuses, juliet, tap)
        _account_for_juliet(from_juliet, call, juliet, tap)
        juliet.inbox.clear()
        call.session.inbox.clear()
        await exchange(juliet, call, ROMEO, "survives")
        juliet.leave(ROMEO, "survives")
        await call.expect_bye()
        await world.nothing_else()
        await world.finish()
        world.gateway_ends_itself()
    finally:
        await tap.close()


@flow("restart: idle link, the chat goes on after it", limit=90.0)
async def restarted_idle(world: World) -> None:
    """DISCO-01, CHAT-38: the session survives a server restart in which nothing was said."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "waits")
    await world.server.stop()
    await asyncio.sleep(0.5)
    await world.server.restart()
    await juliet.reconnect()
    await _until_linked(juliet)
    await exchange(juliet, call, ROMEO, "waits")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="waits")
    await world.nothing_else()


async def _juliet_talks(juliet: XmppUser, ids: list[str], enough: asyncio.Event) -> None:
    number = 0
    while not enough.is_set():
        if juliet.online:
            ids.append(juliet.say(ROMEO, f"juliet {number}", thread="survives", id=f"juliet-{number}"))
            number += 1
        await asyncio.sleep(_PAUSE)


async def _romeo_talks(call: Call, sent: list[Sent], enough: asyncio.Event) -> None:
    number = 0
    while not enough.is_set():
        sent.append(call.session.say(f"romeo {number}"))
        number += 1
        await asyncio.sleep(_PAUSE)


async def _until_connected(tap: Tap, connections: int) -> None:
    async with asyncio.timeout(30):
        while len(tap.attempts) < connections:
            await asyncio.sleep(0.05)


async def _until_linked(juliet: XmppUser) -> None:
    """Until the component answers again."""
    for _ in range(60):
        answer = await juliet.ask("sip.example.com", "<ping xmlns='urn:xmpp:ping'/>")
        if answer.type == "result":
            return
        await asyncio.sleep(0.25)
    raise FlowFailed("the component did not come back in 15 s")


async def _settle(juliet: XmppUser, call: Call) -> None:
    """Until nothing more arrives for a second."""
    seen = -1
    while seen != (seen := len(juliet.inbox.waiting()) + len(call.session.inbox.waiting())):
        await asyncio.sleep(1.0)


def _account_for_romeo(from_romeo: list[Sent], statuses: list[int], juliet: XmppUser, tap: Tap) -> None:
    read = Counter(stanza.body for stanza in juliet.inbox.waiting() if stanza.error is None)
    twice = {text: count for text, count in read.items() if count > 1}
    require(not twice, f"juliet read some messages more than once: {twice}")
    lost = [
        sent.text
        for sent, status in zip(from_romeo, statuses, strict=True)
        if status == 200 and not read[sent.text] and not tap.server_took(sent.text)
    ]
    require(not lost, f"{len(lost)} messages of romeo were answered 200 and never read: {lost[:20]}")
    live = [s.body for s in juliet.inbox.waiting() if s.error is None and s.body and not s.delayed]
    numbers = [int(text.split()[1]) for text in live]
    require(numbers == sorted(numbers), f"juliet read romeo's messages out of order: {numbers}")


def _account_for_juliet(from_juliet: list[str], call: Call, juliet: XmppUser, tap: Tap) -> None:
    read = Counter(received.text for received in call.session.inbox.waiting())
    twice = {text: count for text, count in read.items() if count > 1}
    require(not twice, f"romeo read some messages more than once: {twice}")
    given_back = {stanza.id for stanza in juliet.inbox.waiting() if stanza.error is not None}
    handed_over = [id for id in tap.message_ids_handed_over() if id in set(from_juliet)]
    require(len(handed_over) > 50, f"only {len(handed_over)} of juliet's messages reached the gateway")
    lost = [id for id in handed_over if not read[id.replace("-", " ")] and id not in given_back]
    require(not lost, f"{len(lost)} messages of juliet reached the gateway and vanished: {lost[:20]}")
    numbers = [int(text.split()[1]) for text in (received.text for received in call.session.inbox.waiting())]
    require(numbers == sorted(numbers), f"romeo read juliet's messages out of order: {numbers}")
