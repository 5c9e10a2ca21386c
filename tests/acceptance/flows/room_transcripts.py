"""Plays the room transcripts between real servers: juliet in a room of the SIP world, romeo in a MUC.

The focus and the MUC act by themselves; what a transcript says of them is what they are prepared to do.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from pathlib import Path

from ..errors import FlowFailed, equal, require
from ..gateway import ROOT
from ..mailbox import Mailbox
from ..peers.focus import Guest, Member, Room
from ..peers.muc import Occupancy, is_subject, item, statuses, user_element
from ..peers.msrp.session import Sent
from ..peers.participant import Participant
from ..peers.sip.message import SipMessage, uri_of
from ..peers.sip.subscription import Notified
from ..peers.stanza import Stanza
from ..servers.base import COMPONENT, ROOMS
from ..world import World
from . import flow
from .transcripts import Step, parse

_FOLDER = ROOT / "tests" / "transcripts" / "rooms"
_WITH_TEXT = re.compile(r"^(.+?): (.*)$")


class InFocus:
    """juliet and the focus of an MSRP room."""

    def __init__(self, world: World, steps: list[Step], name: str) -> None:
        self.world = world
        self.steps = steps
        self.name = name

    async def prepare(self) -> None:
        juliet, focus = await self.world.start_rooms()
        uri = f"sip:{self.name}@chat.example.org"
        self.room: Room = focus.room(uri)
        self.juliet = Occupancy(juliet, f"{self.name}%chat.example.org@{COMPONENT}")
        self.guests: dict[str, Guest] = {}
        self.member: Member | None = None
        self.wishes: deque[str] = deque()
        refused: dict[str, int] = {}
        last = ""
        for step in self.steps:
            if step.receiver == "focus":
                last = step.said
            elif step.sender == "focus" and step.what.isdigit() and last.startswith("NICKNAME: "):
                if int(step.what) >= 300:
                    refused[last.removeprefix("NICKNAME: ")] = int(step.what)
            elif step.sender == "focus" and step.what.isdigit() and last.startswith("REFER"):
                self.room.refer_status = int(step.what)
            elif step.sender == "focus" and step.what == "NOTIFY":
                names, _, self.room.about.subject = step.text.partition("; ")
                for name in names.split(", "):
                    if name != "JuliC":
                        self.guests[name] = self.room.enter(f"sip:{name.lower()}@example.org", name)
        self.room.nickname_status = lambda _, value: refused.get(value.strip('"'), 200)

    async def play(self, step: Step) -> None:
        if step.sender == "juliet":
            self._does(step)
        elif step.receiver == "juliet":
            equal(_told(await self.juliet.take(str(step))), step.said, "what juliet was told")
        elif step.receiver == "focus":
            await self._hears(step)

    def _does(self, step: Step) -> None:
        if step.what == "join":
            self.juliet.ask_to_join(step.text)
        elif step.what == "nick":
            self.juliet.rename(step.text)
        elif step.what == "to all":
            self.juliet.say(step.text)
        elif step.what == "invite":
            self.juliet.invite(step.text)
        elif step.what == "leave":
            self.juliet.leave()
        elif step.what.startswith("to "):
            self.juliet.whisper(step.what.removeprefix("to "), step.text)
        else:
            raise FlowFailed(f"juliet cannot do {step.what!r}")

    async def _hears(self, step: Step) -> None:
        room = self.room
        if step.what == "INVITE, offers a chat room":
            pass  # Its ACK says that it came.
        elif step.what == "ACK":
            self.member = await room.joined.take(step.said)
        elif step.what == "NICKNAME":
            async with asyncio.timeout(8):
                while len(self._member.wishes) <= len(self.wishes):
                    await asyncio.sleep(0.01)
            self.wishes.append(self._member.wishes[len(self.wishes)])
            equal(self.wishes[-1], f'"{step.text}"', "Use-Nickname")
        elif step.what.startswith("SUBSCRIBE"):
            request = await room.subscribers.asked.take(step.said)
            equal(request.get("Expires") == "0", step.what == "SUBSCRIBE, ends", f"end of\n{request}")
        elif step.what == "SEND to all":
            for guest in self.guests.values():
                equal((await guest.expect(step.text)).to, room.uri, "CPIM To")
        elif step.what.startswith("SEND to "):
            guest = self.guests[step.what.removeprefix("SEND to ")]
            equal((await guest.expect(step.text)).to, guest.person.entity, "CPIM To")
        elif step.what.startswith("REFER to "):
            refer = await room.referred.take(step.said)
            equal(uri_of(refer.one("Refer-To")).partition(";")[0], step.what.removeprefix("REFER to "), f"Refer-To of\n{refer}")
        elif step.what == "BYE":
            await self._member.expect_bye()
        else:
            raise FlowFailed(f"the focus cannot await {step.said!r}")

    @property
    def _member(self) -> Member:
        assert self.member is not None
        return self.member

    async def finish(self) -> None:
        await self.world.nothing_else()


class InMuc:
    """romeo and a MUC of the XMPP server's, in which others see what he does."""

    def __init__(self, world: World, steps: list[Step], name: str) -> None:
        self.world = world
        self.steps = steps
        self.name = name

    async def prepare(self) -> None:
        juliet, romeo = await self.world.start()
        nurse = await self.world.add_xmpp_user("nurse")
        room = f"{self.name}@{ROOMS}"
        self.romeo = Participant(romeo, f"sip:{room}", name="Romeo")
        self.juliet = Occupancy(juliet, room)
        self.others: list[Occupancy] = [self.juliet]
        self.guest = Occupancy(nurse, room)
        await self.juliet.create("JuliC", allowinvites="1")
        if any(step.said == "available: Ben" for step in self.steps):
            await self.guest.join("Ben")
            await self.juliet.expect_presence("Ben")
            self.others.append(self.guest)
        for other in self.others:
            if other is self.juliet:
                other.entitle("Today in Verona")
            await other.expect_subject("Today in Verona")
        self.nick = ""
        """What romeo is called."""
        self.unanswered: deque[Sent | asyncio.Future[int] | asyncio.Task[SipMessage]] = deque()
        self.notices: Mailbox[Notified] | None = None
        self.refusals = {
            step.text
            for step, after in zip(self.steps, self.steps[1:], strict=False)
            if step.receiver == "room" and after.said == "error: conflict"
        }

    async def play(self, step: Step) -> None:
        if step.sender == "romeo":
            await self._does(step)
        elif step.receiver == "romeo":
            await self._gets(step)
        elif step.receiver == "room":
            await self._comes_in(step)
        elif step.what.endswith(" to all") and not step.what.startswith(self.nick):
            self.juliet.say(step.text)
            for other in self.others:
                await other.expect_message(step.text, "JuliC")

    async def _does(self, step: Step) -> None:
        if step.what == "INVITE, offers a chat room":
            self.unanswered.append(asyncio.create_task(self.romeo.invite()))
        elif step.what == "NICKNAME":
            self.unanswered.append(self.romeo.ask_nickname(step.text))
        elif step.what == "SUBSCRIBE":
            self.unanswered.append(asyncio.create_task(self.romeo.subscribe()))
        elif step.what == "SEND to all":
            self.unanswered.append(self.romeo.say(step.text))
        elif step.what.startswith("SEND to "):
            self.unanswered.append(self.romeo.whisper(step.what.removeprefix("SEND to "), step.text))
        elif step.what.startswith("REFER to "):
            self.unanswered.append(asyncio.create_task(self._refer(step.what.removeprefix("REFER to "))))
        elif step.what == "BYE":
            self.unanswered.append(asyncio.create_task(self._leave()))
        elif step.what not in ("ACK", "200"):
            raise FlowFailed(f"romeo cannot do {step.said!r}")

    async def _refer(self, target: str) -> SipMessage:
        answer, self.notices = await self.romeo.refer([f"<{target}>"], inside=True)
        return answer

    async def _leave(self) -> int:
        await self.romeo.leave()
        return 200

    async def _gets(self, step: Step) -> None:
        status = step.what.removesuffix(", is focus")
        if status.isdigit():
            answer = self.unanswered.popleft()
            got = await (answer.status() if isinstance(answer, Sent) else answer)
            if isinstance(got, SipMessage):
                if step.what.endswith("is focus"):
                    require(self.romeo.tokens, f"RS-03: the room says what it can do\n{got}")
                got = got.status
            equal(got, int(status), f"answer before {step}")
        elif step.what == "NOTIFY, not yet":
            notified = await self.romeo.subscription.inbox.take(step.said)
            equal((notified.state, notified.request.body), ("active", b""), f"state and body of\n{notified.request}")
        elif step.what == "NOTIFY, ends":
            await self.romeo.until_unwatched("noresource")
        elif step.what == "NOTIFY of the REFER":
            assert self.notices is not None
            notified = await self.notices.take(step.said)
            require(notified.request.body.startswith(b"SIP/2.0 " + step.text.encode()), f"sipfrag of\n{notified.request}")
        elif step.what == "NOTIFY":
            names, _, subject = step.text.partition("; ")
            roster = await self.romeo.until_there(*names.split(", "))
            while roster.subject != subject:
                roster = await self.romeo.next_document(12)
        elif step.what == "SEND from the room to all":
            await self.romeo.expect(step.text, None)
        elif match := re.fullmatch(r"SEND from (\S+) to all", step.what):
            await self.romeo.expect(step.text, match[1])
        else:
            raise FlowFailed(f"romeo cannot await {step.said!r}")

    async def _comes_in(self, step: Step) -> None:
        """What the gateway asked the MUC for, as the others there see it."""
        if step.text in self.refusals and step.what in ("join", "nick"):
            return
        if step.what == "join":
            for other in self.others:
                await other.expect_presence(step.text)
            self.nick = step.text
        elif step.what == "nick":
            for other in self.others:
                await other.renamed(self.nick, step.text, own=False)
            self.nick = step.text
        elif step.what == "leave":
            for other in self.others:
                await other.expect_gone(self.nick)
        elif step.what == "to all":
            for other in self.others:
                await other.expect_message(step.text, self.nick)
        elif step.what == "invite":
            got = await self.guest.inbox.take(step.said)
            invite = user_element(got, "invite")
            require(invite is not None, f"an invitation: {got}")
        elif step.what.startswith("to "):
            await self.juliet.expect_message(step.text, self.nick, type="chat")
        else:
            raise FlowFailed(f"the MUC cannot await {step.said!r}")

    async def finish(self) -> None:
        await self.world.nothing_else()
        for other in reversed(self.others):
            await other.left()


def _told(got: Stanza) -> str:
    """What a room tells, in a transcript's words."""
    nick = got.sender.partition("/")[2]
    if got.error is not None:
        return f"error: {got.error.condition}"
    if got.kind == "message":
        return f"subject: {got.subject or ''}" if is_subject(got) else f"{nick} to all: {got.body}"
    herself = ", herself" if 110 in statuses(got) else ""
    if got.type is None:
        return f"available{herself}: {nick}"
    if 303 in statuses(got):
        return f"renamed{herself}: {nick}, {item(got).nick}"
    return f"unavailable{herself}: {nick}"


def _add(file: Path) -> None:
    async def play(world: World) -> None:
        steps = parse(file, _WITH_TEXT)
        is_msrp = any("focus" in (step.sender, step.receiver) for step in steps)
        player = (InFocus if is_msrp else InMuc)(world, steps, f"verona-{file.stem}")
        await player.prepare()
        for step in steps:
            world.transcript.note(str(step))
            try:
                await player.play(step)
            except FlowFailed as failure:
                raise FlowFailed(f"{file.name}, {step}\n{failure}") from failure
        await player.finish()

    play.__doc__ = file.read_text("utf-8").splitlines()[0].lstrip("# ")
    flow(f"room transcript: {file.stem}")(play)


for _file in sorted(_FOLDER.glob("*.txt")):
    _add(_file)
