"""Somebody in the room who came through the gateway: a dialog and an MSRP session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...errors import FlowFailed
from ...mailbox import PATIENCE, Mailbox
from ..msrp.frame import Frame
from ..msrp.room import RoomSession
from ..msrp.session import Received
from ..sip.call import Call
from ..sip.message import SipMessage
from .document import Endpoint, Person

if TYPE_CHECKING:
    from .room import Room


class Member:
    """One device of a person."""

    def __init__(self, room: Room, uri: str, person: Person, endpoint: Endpoint, session: RoomSession) -> None:
        self.room = room
        self.uri = uri
        """The From of its INVITE."""
        self.person = person
        self.endpoint = endpoint
        self.session = session
        self.nickname: str | None = None
        self.said: Mailbox[Received] = Mailbox(f"{room.name}")
        """What it sent, for flows that look at it: filled only while `records`."""
        self.records = False
        self.wishes: list[str] = []
        """The values of Use-Nickname so far."""
        self.byes: Mailbox[SipMessage] = Mailbox(f"{room.name}")
        self.entered: Mailbox[Member] = Mailbox(f"{room.name}")
        self._call: Call | None = None
        self._gone = asyncio.Event()
        session.on_message = self._said
        session.on_nickname = self._wishes

    async def connected(self) -> bool:
        """Whether the session is there before the gateway has hung up again."""
        bound, gone = (asyncio.ensure_future(one) for one in (self.session.until_bound(), self._gone.wait()))
        await asyncio.wait((bound, gone), return_when=asyncio.FIRST_COMPLETED)
        if self._gone.is_set():
            bound.cancel()
            return False
        gone.cancel()
        await bound
        return True

    @property
    def call(self) -> Call:
        if self._call is None:
            raise FlowFailed(f"the dialog of {self.uri} with {self.room.uri} does not stand yet")
        return self._call

    def stands(self, call: Call) -> None:
        """The dialog is there."""
        self._call = call
        call.on_bye = self._left
        call.on_request = self.room.take_inside(self)

    async def expect_bye(self, timeout: float = PATIENCE) -> SipMessage:
        """The gateway has hung up."""
        return await self.byes.take(f"BYE of {self.uri}", timeout)

    async def throw_out(self, reason: str | None = None) -> None:
        """BYE from the focus."""
        bye = self.call.send("BYE")
        if reason:
            bye.headers.append(("Reason", reason))
        self.room.forget(self)
        user = self.call.user
        user.remove(self.call)
        await user.connect()
        response = await user.transact(bye).answered()
        if response.status != 200:
            raise FlowFailed(f"the gateway answered BYE\n{response}")

    def unasked(self) -> list[str]:
        """What came and no flow has looked at."""
        return [str(bye) for bye in self.byes.waiting()] + [str(received.frame) for received in self.said.waiting()]

    def _said(self, received: Received) -> int | None:
        if self.records:
            self.said.put(received)
        return self.room.said(self, received)

    def _wishes(self, frame: Frame) -> int | None:
        value = frame.get("Use-Nickname") or ""
        self.wishes.append(value)
        return self.room.wishes(self, value, frame)

    def _left(self, bye: SipMessage) -> None:
        self._gone.set()
        self.byes.put(bye)
        self.call.user.remove(self.call)
        self.room.forget(self)
