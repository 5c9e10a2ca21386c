"""Somebody in the room who did not come through the gateway: the flow speaks and hears for him."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import equal
from ...mailbox import PATIENCE, Mailbox
from .document import Person

if TYPE_CHECKING:
    from .room import Room


@dataclass(frozen=True)
class Heard:
    """A message as it was written in the room."""

    text: str
    sender: str
    """The URI of CPIM From."""
    name: str
    """The display name there."""
    to: str
    """The URI of CPIM To."""
    headers: dict[str, str]


class Guest:
    """Hears everything that the others write to the room or to him."""

    def __init__(self, room: Room, person: Person) -> None:
        self.room = room
        self.person = person
        self.name = person.nickname or person.display_name or person.entity
        self.inbox: Mailbox[Heard] = Mailbox(self.name)

    @property
    def address(self) -> str:
        """What CPIM From says of him."""
        return self.room.address_of(self.person, None)

    def say(self, text: str) -> None:
        """To everybody."""
        self.room.spread(text, self.person, self.address, session=None)

    def whisper(self, to: str, text: str) -> None:
        """To the person with that URI alone."""
        self.room.hand(text, self.person, self.address, to, session=None)

    def rename(self, nickname: str) -> None:
        self.person.nickname = nickname
        self.room.changed([self.person])

    def leave(self) -> None:
        self.room.leave(self)

    async def expect(self, text: str, timeout: float = PATIENCE) -> Heard:
        """The next message he hears is this."""
        got = await self.inbox.take(f"{text!r} in the room", timeout)
        equal(got.text, text, f"{self.name} heard {got}\ntext")
        return got
