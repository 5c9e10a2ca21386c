"""The files of `tests/transcripts`, each played between real servers; their README tells how they are written."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import FlowFailed, equal, require
from ..gateway import ROOT
from ..peers import sdp
from ..peers import stanza as write
from ..peers.msrp.session import Received, Sent
from ..peers.sip.call import Call
from ..peers.sip.incoming import IncomingInvite, IncomingMessage
from ..peers.sip.message import SipMessage
from ..peers.sip.transaction import ServerTransaction
from ..peers.sip.user import SipUser
from ..peers.stanza import Stanza, new_id
from ..peers.xmpp_user import XmppUser
from ..servers.base import COMPONENT
from ..world import JULIET_URI, ROMEO, World
from . import flow

_STATES = ("active", "composing", "paused", "inactive", "gone")
_FOLDER = ROOT / "tests" / "transcripts"
_PARTY = "(juliet|romeo|stox|focus|room)"
_STEP = re.compile(rf"^(?:\[?F\d+\]?\s+)?\s*{_PARTY}\s*→\s*{_PARTY}\s+(.*)$")
_WITH_TEXT = re.compile(r"^((?:message|single|SEND|MESSAGE)(?:, [a-z ]+)?): (.*)$")


@dataclass(frozen=True)
class Step:
    """One line: who to whom, what, and the text if it carries one."""

    line: int
    sender: str
    receiver: str
    what: str
    text: str

    @property
    def said(self) -> str:
        """What, as it stands."""
        return f"{self.what}: {self.text}" if self.text else self.what

    def __str__(self) -> str:
        return f"line {self.line}: {self.sender} → {self.receiver}  {self.what} {self.text}".rstrip()


def parse(file: Path, texts: re.Pattern[str] = _WITH_TEXT) -> list[Step]:
    """The steps of a file; `nothing else` must end it. `texts` knows the steps that carry a text."""
    steps = []
    ended = False
    for number, raw in enumerate(file.read_text("utf-8").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        require(not ended, f"{file.name}:{number}: a step after 'nothing else'")
        if line == "nothing else":
            ended = True
            continue
        step = _STEP.match(line)
        if step is None:
            raise FlowFailed(f"{file.name}:{number}: not a step: {raw!r}")
        text = texts.match(step[3])
        what = text[1] if text else re.sub(r" \(.*\)$", "", step[3]).removesuffix(", promise kept").strip()
        steps.append(Step(number, step[1], step[2], what, text[2] if text else ""))
    require(ended, f"{file.name} does not end with 'nothing else'")
    return steps


class Player:
    """Plays one file: does juliet's and romeo's steps, awaits those of stox."""

    def __init__(self, juliet: XmppUser, romeo: SipUser) -> None:
        self.juliet = juliet
        self.romeo = romeo
        self.thread = f"thread-{new_id()}"
        self.romeo_jid = ROMEO
        self.unanswered: list[IncomingInvite | IncomingMessage | Received | ServerTransaction | SipMessage] = []
        """Requests of stox without an answer of romeo, oldest first."""
        self.awaiting: list[Sent | asyncio.Task[SipMessage] | asyncio.Task[None]] = []
        """Requests of romeo without an answer of stox, oldest first."""
        self.fateless: list[tuple[str, str]] = []
        """Id and text of juliet's messages that were neither taken nor given back."""
        self.asked: str | None = None
        """The id of juliet's last message that asked for a receipt."""
        self.asking: Stanza | None = None
        """The last message of stox that asked juliet for one."""
        self.reported: Sent | None = None
        """Romeo's last message that asked for a report."""
        self.reporting: Received | None = None
        """The last message of stox that asked romeo for one."""
        self.version = 1
        """Of romeo's last description."""
        self.origin: str | None = None
        """The o= line of stox in its last answer to a change."""
        self.call: Call | None = None
        self.joining: asyncio.Task[Call] | None = None
        self.refusing: asyncio.Task[None] | None = None
        self.dialling: asyncio.Task[tuple[SipMessage, Call | None]] | None = None
        self.ringing: IncomingInvite | None = None

    async def play(self, step: Step) -> None:
        if step.sender == "juliet":
            self._juliet_does(step)
            await self._until_stox_has_it()
        elif step.sender == "romeo":
            await self._romeo_does(step)
        elif step.receiver == "juliet":
            await self._juliet_awaits(step)
        else:
            await self._romeo_awaits(step)

    def _juliet_does(self, step: Step) -> None:
        if step.what in _STATES:
            self.juliet.state(self.romeo_jid, step.what, self.thread)
            return
        if step.what == "received":
            require(self.asking is not None and self.asking.id, "no receipt was asked for")
            assert self.asking is not None
            self.juliet.send(write.receipt(self.asking.sender, self.asking.id or "", self.thread))
            return
        type = {"message": "chat", "message, receipt asked": "chat", "single": "normal"}[step.what]
        asks = step.what.endswith("receipt asked")
        id = self.juliet.say(
            self.romeo_jid,
            step.text,
            thread=self.thread,
            type=type,
            state="active" if type == "chat" else None,
            payload="<request xmlns='urn:xmpp:receipts'/>" if asks else "",
        )
        if asks:
            self.asked = id
        else:
            self.fateless.append((id, step.text))

    async def _until_stox_has_it(self) -> None:
        """What romeo does next comes later, also where the two ways to stox differ in speed."""
        await self.juliet.ask(COMPONENT, "<ping xmlns='urn:xmpp:ping'/>")
        await asyncio.sleep(0.05)

    async def _romeo_does(self, step: Step) -> None:
        if step.what in ("INVITE, offers MSRP", "INVITE, no offer"):
            self.dialling = asyncio.create_task(self._dial(offers="no" not in step.what))
            self.awaiting.append(asyncio.create_task(self._answer_to_dial()))
        elif step.what.startswith(("re-INVITE, ", "UPDATE, ")):
            method, _, change = step.what.removeprefix("re-").partition(", ")
            self.awaiting.append(asyncio.create_task(self._change(method, change)))
        elif step.what == "connection lost":
            self._open_call().session.drop_connection()
        elif step.what in ("ACK", "ACK, answers MSRP"):
            assert self.dialling is not None
            _, self.call = await self.dialling
        elif step.what == "SEND":
            self.awaiting.append(self._open_call().session.say(step.text))
        elif step.what == "SEND, report asked":
            self.reported = self._open_call().session.say_asking(step.text)
            self.awaiting.append(self.reported)
        elif step.what == "REPORT 200":
            require(self.reporting is not None, "stox asked for no report")
            assert self.reporting is not None
            self._open_call().session.report(self.reporting)
        elif step.what in ("is composing", "is idle"):
            sent = self._open_call().session.compose(step.what == "is composing")
            equal(await sent.status(), 200, "answer to the isComposing document")
        elif step.what == "MESSAGE":
            self.awaiting.append(asyncio.create_task(self.romeo.message(JULIET_URI, step.text)))
        elif step.what == "BYE":
            self.awaiting.append(asyncio.create_task(self._open_call().bye()))
        elif step.what.isdigit():
            await self._romeo_answers(int(step.what))
        else:
            raise FlowFailed(f"romeo cannot do {step.what!r}")

    async def _romeo_answers(self, status: int) -> None:
        require(self.unanswered, "stox waits for no answer of romeo")
        request = self.unanswered[0]
        if status < 200:
            assert isinstance(request, IncomingInvite)
            request.ring()
            await asyncio.sleep(0.15)
            return
        self.unanswered.pop(0)
        if isinstance(request, ServerTransaction):
            call = self._open_call()
            body = call.move(self.romeo).description(setup="passive") if status < 300 else b""
            await call.answer(request, status, body)
        elif isinstance(request, IncomingInvite) and status < 300:
            self.joining = asyncio.create_task(request.accept())
            self.joining.add_done_callback(self._joined)
        elif isinstance(request, IncomingInvite):
            self.refusing = asyncio.create_task(request.refuse(status, [("Allow", "MESSAGE")]))
        elif isinstance(request, IncomingMessage):
            self._fate(request.text, status)
            request.answer(status)
        elif isinstance(request, Received):
            self._fate(request.text, status)
            self._open_call().session.answer(request, status)

    def _fate(self, text: str, status: int) -> None:
        """A message that was taken is not awaited back any more."""
        if status < 300:
            self.fateless.remove(next(message for message in self.fateless if message[1] == text))

    async def _juliet_awaits(self, step: Step) -> None:
        if step.what in _STATES:
            await self.juliet.expect_state(step.what, sender=ROMEO, thread=self.thread)
        elif step.what == "received":
            require(self.asked is not None, "juliet asked for no receipt")
            await self.juliet.expect_receipt(self.asked or "", sender=ROMEO, thread=self.thread)
        elif step.what == "message, receipt asked":
            self.asking = await self.juliet.expect_message(step.text, sender=ROMEO, thread=self.thread)
            require(self.asking.receipt_asked, f"no receipt is asked for: {self.asking}")
        elif step.what == "message":
            got = await self.juliet.expect_message(step.text, sender=ROMEO, thread=self.thread)
            self.romeo_jid = got.sender
        elif step.what == "single":
            await self.juliet.expect_message(step.text, sender=ROMEO, type=None)
        elif step.what.startswith("error: "):
            require(self.fateless, "juliet has no message that could come back")
            id, _ = self.fateless.pop(0)
            got = await self.juliet.inbox.take(f"an error for {id}")
            condition = got.error.condition if got.error else None
            equal((got.id, condition), (id, step.what.removeprefix("error: ")), f"id and condition of {got}")
        else:
            raise FlowFailed(f"juliet cannot await {step.what!r}")

    async def _romeo_awaits(self, step: Step) -> None:
        if step.what == "INVITE, offers MSRP":
            invite = await self.romeo.expect_invite()
            invite.answers_cancel = False
            self.ringing = invite
            self.unanswered.append(invite)
        elif step.what == "re-INVITE, offers MSRP":
            change = await self._open_call().expect_change("INVITE")
            self._open_call().session_peer = sdp.read(change.request.body, "offer").path
            self.unanswered.append(change)
        elif step.what == "ACK":
            await self._ack()
        elif step.what == "SEND":
            received = await self._open_call().session.expect(step.text)
            self.unanswered.append(received)
        elif step.what == "SEND, report asked":
            self.reporting = await self._open_call().session.expect(step.text)
            frame = self.reporting.frame
            equal((frame.get("Success-Report"), frame.get("Failure-Report")), ("yes", "no"), f"{frame}\nreports asked")
        elif step.what == "REPORT 200":
            require(self.reported is not None, "romeo asked for no report")
            assert self.reported is not None
            await self._open_call().session.expect_report(200, self.reported)
        elif step.what in ("is composing", "is idle"):
            await self._open_call().session.expect(step.what)
        elif step.what == "MESSAGE":
            self.unanswered.append(await self.romeo.expect_message(step.text))
        elif step.what == "BYE":
            self.unanswered.append(await self._open_call().expect_bye())
        elif step.what == "CANCEL":
            assert self.ringing is not None
            await self.ringing.expect_cancel()
        elif step.what.isdigit():
            await self._stox_answers(int(step.what))
        else:
            raise FlowFailed(f"romeo cannot await {step.what!r}")

    async def _ack(self) -> None:
        if self.refusing is not None:
            await self.refusing
            self.refusing = None
            return
        assert self.joining is not None
        await self.joining

    async def _stox_answers(self, status: int) -> None:
        require(self.awaiting, "romeo waits for no answer of stox")
        request = self.awaiting.pop(0)
        if isinstance(request, Sent):
            equal(await request.status(), status, "answer to the SEND")
            return
        answer = await request
        equal(answer.status if answer else 200, status, "answer of stox")

    async def _dial(self, *, offers: bool) -> tuple[SipMessage, Call | None]:
        call_id = self.thread if self.ringing is None else new_id()
        answer, call = await self.romeo.dial(JULIET_URI, call_id=call_id, offers=offers)
        if call is not None:
            call.takes_changes = True
        return answer, call

    async def _change(self, method: str, change: str) -> SipMessage:
        """re-INVITE or UPDATE of romeo's; where it moves, the new connection is made."""
        call = self._open_call()
        if change == "moves":
            call.move(self.romeo)
        more = {"on hold": ["a=sendonly"], "resumes": ["a=sendrecv"]}.get(change, [])
        if change != "unchanged":
            self.version += 1
        offer = call.description(setup="actpass", version=self.version, more=more)
        if change == "without MSRP":
            offer = re.sub(rb"m=message \d+", b"m=message 0", offer)
        response = await call.change(method, offer)
        equal(response.status, 200, f"answer to the {method}")
        if change == "without MSRP":
            require(b"m=message 0 " in response.body, f"RFC 3264 §6: the line is declined\n{response}")
            return response
        answer = sdp.read(response.body, "answer")
        origin = next(line for line in response.body.decode().splitlines() if line.startswith("o="))
        if change == "unchanged":
            require(origin in (self.origin, self.origin or origin), "CHAT-31: o= of an answer that changes nothing")
        if change == "on hold":
            require(b"a=recvonly" in response.body, f"RFC 3264 §6.1: sendonly is answered with recvonly\n{response}")
        self.origin = origin
        if change == "moves":
            call.session.peer_path = answer.path
            await self.romeo.msrp.connect(call.session)
        return response

    async def _answer_to_dial(self) -> SipMessage:
        assert self.dialling is not None
        return (await self.dialling)[0]

    def _joined(self, joining: asyncio.Task[Call]) -> None:
        if not joining.cancelled() and joining.exception() is None:
            self.call = joining.result()
            self.call.takes_changes = True

    def _open_call(self) -> Call:
        require(self.call is not None, "there is no call")
        assert self.call is not None
        return self.call


def _add(file: Path) -> None:
    async def play(world: World) -> None:
        juliet, romeo = await world.start()
        romeo.message_status = None
        romeo.msrp.statuses = lambda _: None
        player = Player(juliet, romeo)
        for step in parse(file):
            world.transcript.note(str(step))
            try:
                await player.play(step)
            except FlowFailed as failure:
                raise FlowFailed(f"{file.name}, {step}\n{failure}") from failure
        require(not player.fateless, f"messages of juliet without a fate: {player.fateless}")
        await world.nothing_else()

    play.__doc__ = file.read_text("utf-8").splitlines()[0].lstrip("# ")
    flow(f"transcript: {file.stem}")(play)


for _file in sorted(_FOLDER.glob("*.txt")):
    _add(_file)
