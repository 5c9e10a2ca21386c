"""Both users talk, and whatever can fail fails, in an order drawn at random."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable

from ...errors import FlowFailed, require
from ...peers.sip.user import SipUser
from ...peers.xmpp_user import XmppUser
from ...ports import free_port
from ...tap import Tap
from ...world import ROMEO, World
from .. import flow
from .fates import Fates
from .romeo import Answer, Romeo

#: How long both talk, in seconds.
_LENGTH = 20.0
#: How long what is under way may take to find its fate: longer than any timer of the gateway's, in seconds.
_PATIENCE = 75.0
#: Between two messages of one of them, in seconds: often several at once.
_PAUSES = (0.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.05, 0.3)
_THREADS = ("sun", "moon")


@flow("schedule: both talk, whatever can fail fails at random", limit=180.0)
async def schedule(world: World) -> None:
    """CHAT-38, CHAT-08, CHAT-09, CHAT-10, CHAT-23, CHAT-24, CHAT-26, CHAT-29, MSRP-10, MSRP-11, MSRP-17, RCPT-08, IM-06,
    DISCO-01, and the promise: each message is read or given back, once, whatever happens, and order holds.

    `TESTED_SEED` gives the seed, though the timing is the machine's; `TESTED_HISTORY` prints what was done.
    """
    seed = int(os.environ.get("TESTED_SEED") or random.randrange(1 << 32))
    tap = Tap(free_port(), world.server.component_port)
    await tap.start()
    juliet, user = await world.start(xmpp_port=tap.port)
    played = _Schedule(world, tap, juliet, user, seed)
    try:
        await played.play()
        if os.environ.get("TESTED_HISTORY"):
            print(f"TESTED_SEED={seed}\n{played.history()}")
    except FlowFailed as failure:
        raise FlowFailed(f"TESTED_SEED={seed}: {failure}\n{played.history()}") from failure
    finally:
        played.romeo.close()
        await tap.close()


class _Schedule:
    """One seed: what goes wrong, and how often."""

    def __init__(self, world: World, tap: Tap, juliet: XmppUser, user: SipUser, seed: int) -> None:
        self.world, self.tap, self.juliet, self.user = world, tap, juliet, user
        self.fates = Fates()
        self.romeo = Romeo(user, self.fates, random.Random(f"{seed} romeo"))
        self._rng = random.Random(seed)
        self._talk = random.Random(f"{seed} juliet")
        self._began = time.monotonic()
        self._deeds: list[tuple[float, str]] = []
        deeds: dict[Callable[[], Awaitable[None]], int] = {
            self._cut_msrp: 3,
            self._cut_link: 1,
            self._romeo_hangs_up: 2,
            self._romeo_refuses_calls: 3,
            self._phone_rings: 2,
            self._juliet_leaves: 3,
            self._romeo_refuses_messages: 4,
            self._kill_gateway: 1,
        }
        # Drawn anew for each schedule: some are calm, in some one thing fails over and over.
        self._weight_by_deed = {deed: weight * self._rng.choice([0, 1, 1, 4]) for deed, weight in deeds.items()}
        self._pause = self._rng.choice([0.2, 0.6, 1.5])

    async def play(self) -> None:
        self._note(", ".join(f"{deed.__name__}: {weight}" for deed, weight in self._weight_by_deed.items()))
        talking = [asyncio.create_task(self._juliet_talks()), asyncio.create_task(self._romeo_talks())]
        try:
            await self._go_wrong()
        finally:
            for speaker in talking:
                speaker.cancel()
        for outcome in await asyncio.gather(*talking, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        await self._settle()
        for thread in _THREADS:
            self.juliet.leave(ROMEO, thread)
        await asyncio.sleep(1.0)
        self.world.require_clean()

    def history(self) -> str:
        tally = self.fates.tally(self.juliet, self.tap)
        return "\n".join([f"  {tally}", *(f"    {at:8.3f}  {deed}" for at, deed in self._deeds)])

    async def _juliet_talks(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(self._talk.choice(_PAUSES))
            number += 1
            alone = self._talk.random() < 0.06
            thread = None if alone else self._talk.choice(_THREADS)
            id = f"{thread or 'page'}-{number}"
            self.fates.written[id] = time.monotonic()
            self.juliet.say(ROMEO, id, thread=thread, id=id, type="normal" if alone else "chat")

    async def _romeo_talks(self) -> None:
        while True:
            await asyncio.sleep(self._talk.choice(_PAUSES))
            self.romeo.say()

    async def _go_wrong(self) -> None:
        until = time.monotonic() + _LENGTH
        await asyncio.sleep(0.5)
        while time.monotonic() < until:
            if any(self._weight_by_deed.values()):
                [deed] = self._rng.choices(list(self._weight_by_deed), list(self._weight_by_deed.values()))
                await deed()
            await asyncio.sleep(self._rng.uniform(0.0, self._pause))
            self.world.require_clean()

    async def _settle(self) -> None:
        """Until everything has found its fate and nothing more comes."""
        self.romeo.answers.clear()
        self.romeo.refusals.clear()
        self._note("all goes well again")
        until, before = time.monotonic() + _PATIENCE, -1
        while True:
            await asyncio.sleep(2.0)
            faults = self.fates.faults(self.juliet, self.tap)
            now = self.fates.progress() + len(self.juliet.inbox.waiting())
            if now == before and (not faults or time.monotonic() > until):
                break
            before = now
        shown = "\n".join(faults[:12])
        require(not faults, f"{len(faults)} faults\n{shown}")
        handed_over = [message for message in self.tap.handed_over() if message.id in self.fates.written]
        require(len(handed_over) > 20, f"only {len(handed_over)} of juliet's messages reached the gateway")

    # What goes wrong.

    async def _cut_msrp(self) -> None:
        sessions = [call.session for call in self.romeo.calls if call.session.bound]
        if sessions:
            session, harshly = self._rng.choice(sessions), self._rng.random() < 0.5
            paths = session.cut_connection(harshly=harshly)
            self._broke("msrp", f"MSRP connection of {len(paths)} sessions cut{' harshly' if harshly else ''}", paths)

    async def _cut_link(self) -> None:
        harshly = self._rng.random() < 0.5
        self._broke("link", f"link to the XMPP server cut{' harshly' if harshly else ''}")
        self.tap.cut(harshly=harshly)
        await asyncio.sleep(self._rng.uniform(0.0, 2.0))

    async def _kill_gateway(self) -> None:
        self._broke("gateway", "kill -9 of the gateway")
        await self.world.gateway.program.kill()
        self.romeo.forget_calls()
        await asyncio.sleep(self._rng.choice([0.0, 0.0, 0.7]))
        await self.world.gateway.start(ready=False)

    async def _romeo_hangs_up(self) -> None:
        if self.romeo.calls:
            self._note("romeo hangs up")
            await self.romeo.hang_up(self._rng.choice(self.romeo.calls))

    async def _romeo_refuses_calls(self) -> None:
        status = self._rng.choice([480, 404, 486])
        self._note(f"romeo refuses the next call with {status}")
        self.romeo.answers.append(Answer(self._rng.choice([0.0, 0.5]), status))

    async def _phone_rings(self) -> None:
        rings = self._rng.uniform(0.3, 3.0)
        self._note(f"the next call rings for {rings:.1f} s")
        self.romeo.answers.append(Answer(rings, 200))

    async def _juliet_leaves(self) -> None:
        thread = self._rng.choice(_THREADS)
        self._note(f"juliet leaves {thread!r}")
        self.juliet.leave(ROMEO, thread)

    async def _romeo_refuses_messages(self) -> None:
        statuses = [self._rng.choice([413, 403]) for _ in range(self._rng.randint(1, 3))]
        self._note(f"romeo refuses the next messages with {statuses}")
        self.romeo.refusals.extend(statuses)
        self.romeo.page_refusals.append(480)

    def _broke(self, what: str, text: str, paths: set[str] | None = None) -> None:
        self._note(text)
        self.fates.broke(what, paths)

    def _note(self, text: str) -> None:
        self._deeds.append((time.monotonic(), text))
        self.world.transcript.note(text)
