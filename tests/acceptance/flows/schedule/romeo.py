"""The SIP user's client in a schedule: it takes calls and messages by itself, and fails where it is told to."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from random import Random

from ...errors import FlowFailed, require
from ...peers import sdp
from ...peers.msrp.session import MsrpSession, Received, Sent
from ...peers.sip.call import Call
from ...peers.sip.incoming import IncomingInvite, IncomingMessage
from ...peers.sip.transaction import ServerTransaction
from ...peers.sip.user import SipUser
from ...world import JULIET_URI
from .fates import Fates, Said, Shown

_FOREVER = 3600.0
#: Longer than the gateway may withhold the answer to a MESSAGE, in seconds.
_PAGE_PATIENCE = 45.0


@dataclass(frozen=True)
class Answer:
    """What becomes of an INVITE: how long it rings, in seconds, and the status then."""

    rings: float
    status: int


class Romeo:
    """Shows each message once (RFC 4975 §5.4)."""

    def __init__(self, user: SipUser, fates: Fates, rng: Random) -> None:
        self.answers: deque[Answer] = deque()
        """For the next INVITEs; the others are accepted at once."""
        self.refusals: deque[int] = deque()
        """For the next SENDs; the others are taken."""
        self.page_refusals: deque[int] = deque()
        """For the next MESSAGEs."""
        self.calls: list[Call] = []
        self.slowness = rng.choice([0.0, 0.05, 0.5])
        """How long he may take to answer a SEND, in seconds."""
        self.tasks: set[asyncio.Task[None]] = set()
        self._session_by_path: dict[str, MsrpSession] = {}
        self._user = user
        self._fates = fates
        self._rng = rng
        self._status_by_message: dict[str, int] = {}
        self._number = 0
        self._call_number = 0
        user.on_invite = self._invited
        user.message_status = None
        user.msrp.statuses = self._received
        self._start(self._read_messages())

    # What the schedule asks for.

    def say(self) -> None:
        """In one of the sessions that stand, or sometimes without any."""
        calls = [call for call in self.calls if call.session.bound and not call.session.ended.is_set()]
        self._number += 1
        text = f"romeo-{self._number}"
        if self._rng.random() < 0.08:
            self._start(self._page(text))
        elif calls:
            call = self._rng.choice(calls)
            self._send(call.session, Said(text, call.session.path, time.monotonic()))

    async def hang_up(self, call: Call) -> None:
        since = time.monotonic()
        self._end(call)
        bye = self._user.transact(call.send("BYE"))
        try:
            response = await bye.answered(10.0)
            require(response.status in (200, 481), f"answer to BYE:\n{response}")
        except FlowFailed:
            if not self._fates.broken_since(since, "gateway"):
                raise

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()

    def forget_calls(self) -> None:
        """The gateway knows none of them any more."""
        for call in list(self.calls):
            self._end(call)

    # What comes.

    async def _invited(self, invite: IncomingInvite) -> None:
        since = time.monotonic()
        answer = self.answers.popleft() if self.answers else Answer(0.0, 200)
        try:
            if answer.rings:
                invite.ring()
                await asyncio.wait([asyncio.ensure_future(invite.cancelled.wait())], timeout=answer.rings)
            if invite.cancelled.is_set():
                return
            if answer.status != 200:
                return await invite.refuse(answer.status)
            call = await invite.accept(setup=self._rng.choice(["passive", "passive", "active"]))
        except (FlowFailed, TimeoutError):
            if not self._fates.broken_since(since, "gateway", "msrp"):
                raise
            return
        call.takes_changes = True
        self._call_number += 1
        self._know(call.session, self._call_number)
        self.calls.append(call)
        changing = self._start(self._take_changes(call, self._call_number))
        await call.byes.take("BYE", _FOREVER)
        changing.cancel()
        self._end(call)

    async def _take_changes(self, call: Call, number: int) -> None:
        """A lost connection is made anew, and what was not answered is sent again (MSRP-10, MSRP-11)."""
        while True:
            change = await call.changes.take("re-INVITE", _FOREVER)
            since = time.monotonic()
            try:
                await self._change(call, number, change)
            except (FlowFailed, TimeoutError):
                over = call not in self.calls
                if not over and not self._fates.broken_since(since, "gateway", "msrp"):
                    raise

    async def _change(self, call: Call, number: int, change: ServerTransaction) -> None:
        if change.request.method != "INVITE" or self._rng.random() < 0.2:
            return await call.answer(change, 488)
        offer = sdp.read(change.request.body, "offer")
        before, session = call.session, self._user.msrp.open()
        session.peer_path = offer.path
        session.expects_cpim = before.expects_cpim
        self._know(session, number)
        call.session = session
        await call.answer(change, 200, call.description(setup="passive", version=change.request.cseq[0] + 1))
        await session.until_bound()
        for said in self._fates.said:
            if said.path == before.path and said.status is None:
                said.path = session.path
                self._send(session, said)

    def _know(self, session: MsrpSession, call: int) -> None:
        self._fates.call_by_path[session.path] = call
        self._session_by_path[session.path] = session

    def _received(self, received: Received) -> int | None:
        known = self._status_by_message.get(received.message_id)
        status = known or (self.refusals.popleft() if self.refusals else 200)
        self._status_by_message[received.message_id] = status
        path = received.frame.get("To-Path") or ""
        session = self._session_by_path.get(path)
        delay = self._rng.uniform(0.0, self.slowness) if session else 0.0
        now = time.monotonic()
        shown = Shown(path, received.message_id, status, now, known is not None, now + delay)
        self._fates.shown[received.text].append(shown)
        if session is None or not delay:
            return status
        asyncio.get_running_loop().call_later(delay, session.answer, received, status)
        return None

    async def _read_messages(self) -> None:
        while True:
            got = await self._user.inbox.take("anything", _FOREVER)
            if isinstance(got, IncomingMessage):
                status = self.page_refusals.popleft() if self.page_refusals else 200
                now = time.monotonic()
                shown = Shown(got.call_id, "", status, now, False, now)
                self._fates.shown[got.text].append(shown)
                got.answer(status)

    # What he says.

    def _send(self, session: MsrpSession, said: Said) -> None:
        message_id = said.sends[0].message_id if said.sends else None
        if not said.sends:
            self._fates.said.append(said)
        sent: Sent = session.send(said.text.encode(), "text/plain", text=said.text, message_id=message_id)
        said.sends.append(sent)
        sent.answers[0].add_done_callback(partial(_note_answer, said))

    async def _page(self, text: str) -> None:
        said = Said(text, None, time.monotonic())
        self._fates.said.append(said)
        try:
            said.answered((await self._user.message(JULIET_URI, text, timeout=_PAGE_PATIENCE)).status)
        except FlowFailed:
            pass  # it stays without an answer, which is looked at in the end

    def _end(self, call: Call) -> None:
        if call in self.calls:
            self.calls.remove(call)
            self._fates.ended_calls.add(self._fates.call_by_path[call.session.path])

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._user.violations.append(error)


def _note_answer(said: Said, answer: asyncio.Future[int]) -> None:
    if not answer.cancelled():
        said.answered(answer.result())
