"""The gateway itself is killed, and started again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from ..errors import equal, require
from ..metrics import SESSIONS, until_counted
from ..peers.sip.call import Call
from ..peers.sip.user import SipUser
from ..peers.xmpp_user import XmppUser
from ..ports import free_port
from ..world import ROMEO, World
from . import flow
from .plain_chat import exchange, open_from_xmpp

#: Between two messages of a burst, in seconds.
_PAUSE = 0.003

#: What the gateway has had for so long before it is killed, it must account for, in seconds.
_ACCEPTED = 0.1

#: After so long the gateway has noted which Call-IDs its dialogs had, in seconds.
_NOTED = 1.2


@flow("crash: killed while the SIP user's phone rings", limit=60.0)
async def ringing(world: World) -> None:
    """CHAT-08, CHAT-38, CORE-06: what waited for the answer is delivered after the restart, in its order."""
    juliet, romeo = await world.start()
    texts = [f"before the crash {number}" for number in range(5)]
    for text in texts:
        juliet.say(ROMEO, text, thread="rings")
    invite = await romeo.expect_invite()
    invite.ring()
    await asyncio.sleep(_ACCEPTED)
    await _crash(world)
    call = await (await romeo.expect_invite(timeout=15.0)).accept(setup="passive")
    for text in texts:
        await call.expect(text)
    juliet.say(ROMEO, "after the crash", thread="rings")
    await call.expect("after the crash")
    juliet.leave(ROMEO, "rings")
    await call.expect_bye()
    await world.nothing_else()


@flow("crash: killed, and the SIP user is gone meanwhile", limit=60.0)
async def refused(world: World) -> None:
    """CHAT-09, CHAT-38: what cannot be delivered after the restart is given back."""
    juliet, romeo = await world.start()
    first = juliet.say(ROMEO, "one", thread="gone")
    second = juliet.say(ROMEO, "two", thread="gone")
    (await romeo.expect_invite()).ring()
    await asyncio.sleep(_ACCEPTED)
    await _crash(world)
    await (await romeo.expect_invite(timeout=15.0)).refuse(404)
    await juliet.expect_error(first, "item-not-found", "cancel", sender=ROMEO)
    await juliet.expect_error(second, "item-not-found", "cancel", sender=ROMEO)
    # What went back is not tried again by the next process.
    await asyncio.sleep(_ACCEPTED)
    await world.gateway.program.kill()
    await world.gateway.start(ready=False)
    await world.gateway.until_ready(times=3)
    await world.nothing_else(silence=1.0)


@flow("crash: killed in the middle of a burst", limit=90.0)
async def burst(world: World) -> None:
    """CHAT-38 and the promise: each message that was accepted is read or given back."""
    juliet, romeo = await world.start()
    calls = [await open_from_xmpp(juliet, romeo, "bursts")]
    said_at: dict[str, float] = {}
    talking = asyncio.create_task(_talk(juliet, said_at, 300))
    answering = asyncio.create_task(_take_calls(romeo, calls))
    await asyncio.sleep(0.5)
    killed_at = time.monotonic()
    await _crash(world)
    await talking
    read: Counter[str] = Counter()
    given_back: set[str] = set()
    seen = -1
    while seen != (seen := sum(read.values()) + len(given_back)):
        await asyncio.sleep(1.5)
        read = Counter(got.text for call in calls for got in call.session.inbox.waiting())
        given_back = {stanza.id or "" for stanza in juliet.inbox.waiting() if stanza.error is not None}
    answering.cancel()
    accepted = [id for id, at in said_at.items() if at < killed_at - _ACCEPTED]
    require(len(accepted) > 50, f"only {len(accepted)} messages were said before the crash")
    lost = [id for id in accepted if not read[id] and id not in given_back]
    require(not lost, f"{len(lost)} of {len(accepted)} accepted messages vanished: {lost[:20]}")
    twice = [id for id in accepted if read[id] > 1]
    require(not twice, f"romeo read some messages twice: {twice}")
    juliet.inbox.clear()


@flow("crash: killed or stopped in mid-chat, nothing stale is left", limit=60.0)
async def stale(world: World) -> None:
    """DISCO-14, IM-16, CHAT-03: the dialog of before is unknown to the next process, and the thread goes on in a new session
    with a Call-ID of its own. A stop ends the session on both sides."""
    port = free_port()
    juliet, romeo = await world.start(config={"admin": {"listen": f"127.0.0.1:{port}"}})
    call = await open_from_xmpp(juliet, romeo, "stale")
    await exchange(juliet, call, ROMEO, "stale")
    equal(call.call_id, "stale", "Call-ID of the first session")
    await until_counted(port, SESSIONS, 1)
    await asyncio.sleep(_NOTED)
    await _crash(world)
    await until_counted(port, SESSIONS, 0)
    message = call.send("MESSAGE")
    message.headers.append(("Content-Type", "text/plain;charset=UTF-8"))
    message.body = b"to a ghost"
    for request in (message, call.send("BYE")):
        response = await romeo.transact(request).answered()
        equal(response.status, 481, f"answer to {request.method} in the dialog of before")
    romeo.drop(call)
    call = await open_from_xmpp(juliet, romeo, "stale")
    require(call.call_id != "stale", "CHAT-03: the session after the crash has the Call-ID of the one before")
    await exchange(juliet, call, ROMEO, "stale")
    await world.gateway.terminate()
    await call.expect_bye()
    await juliet.expect_gone(sender=ROMEO, thread="stale")
    await world.gateway.start(ready=False)
    await world.gateway.until_ready(times=3)
    call = await open_from_xmpp(juliet, romeo, "stale")
    juliet.leave(ROMEO, "stale")
    await call.expect_bye()
    await until_counted(port, SESSIONS, 0)
    await world.nothing_else()


async def _crash(world: World) -> None:
    world.transcript.note("kill -9 of the gateway")
    await world.gateway.program.kill()
    await world.gateway.start(ready=False)
    await world.gateway.until_ready(times=2)
    world.transcript.note("the gateway runs again")


async def _talk(juliet: XmppUser, said_at: dict[str, float], count: int) -> None:
    for number in range(count):
        id = f"burst-{number}"
        juliet.say(ROMEO, id, thread="bursts", id=id)
        said_at[id] = time.monotonic()
        await asyncio.sleep(_PAUSE)


async def _take_calls(romeo: SipUser, calls: list[Call]) -> None:
    while True:
        calls.append(await (await romeo.expect_invite(timeout=60.0)).accept(setup="passive"))
