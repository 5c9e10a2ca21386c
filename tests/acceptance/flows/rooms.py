"""Steps that the flows of rooms share: an XMPP user in a room of the SIP world, a SIP user in a room of the server."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ..errors import equal
from ..gateway import Settings
from ..peers.focus import PLAIN, Focus, Member, Quirks, Room
from ..peers.muc import Arrival, Occupancy
from ..peers.participant import Participant
from ..peers.sip.user import SipUser
from ..peers.xmpp_user import XmppUser
from ..servers.base import COMPONENT, ROOMS
from ..world import World

#: A room of the SIP world, and how XMPP writes it.
VERONA = "sip:verona@chat.example.org"
VERONA_JID = f"verona%chat.example.org@{COMPONENT}"
BENVOLIO = "sip:benvolio@example.org"
MERCUTIO = "sip:mercutio@example.org"


@dataclass
class Joined:
    """Juliet is in a room of the SIP world."""

    juliet: XmppUser
    focus: Focus
    room: Room
    there: Occupancy
    member: Member
    arrival: Arrival


async def join(
    world: World, *guests: tuple[str, str], nick: str = "JuliC", quirks: Quirks = PLAIN, transport: str = "udp",
    config: Settings | None = None,
) -> Joined:  # fmt: skip
    """Everything starts, and juliet joins a room with these guests (URI, nickname)."""
    juliet, focus = await world.start_rooms(quirks, transport=transport, config=config)
    room = focus.room(VERONA)
    for uri, nickname in guests:
        room.enter(uri, nickname)
    there = Occupancy(juliet, VERONA_JID)
    arrival = await there.join(nick)
    return Joined(juliet, focus, room, there, await room.next_member(), arrival)


async def leave(joined: Joined) -> None:
    """Juliet leaves, and nothing is left."""
    joined.there.leave()
    await joined.member.expect_bye()
    # RX-28: her own unavailable presence ends it.
    await joined.there.expect_gone(joined.there.nick, statuses={110})


def new_room() -> str:
    """A room of the server's that no other flow knows."""
    return f"garden-{secrets.token_hex(4)}@{ROOMS}"


@dataclass
class Entered:
    """Juliet is in a room of the server, and romeo has come through the gateway."""

    juliet: XmppUser
    romeo: SipUser
    room: str
    there: Occupancy
    him: Participant


async def prepare(world: World, *, config: Settings | None = None, **options: str) -> tuple[Occupancy, SipUser, str]:
    """Everything starts, and juliet has made a room; `options` are of muc#roomconfig."""
    juliet, romeo = await world.start(config=config)
    room = new_room()
    there = Occupancy(juliet, room)
    await there.create("JuliC", **options)
    return there, romeo, room


async def enter(world: World, *, watches: bool = True, config: Settings | None = None, **options: str) -> Entered:
    """Romeo enters her room as `Romeo`; she has seen him come. With `watches` he knows the roster."""
    there, romeo, room = await prepare(world, config=config, **options)
    him = Participant(romeo, f"sip:{room}")
    await him.enter("Romeo")
    await there.expect_presence("Romeo")
    if watches:
        await him.watch()
        await him.until_there("JuliC", "Romeo")
    return Entered(there.user, romeo, room, there, him)


async def go(entered: Entered) -> None:
    """Romeo leaves, and she sees it."""
    await entered.him.leave()
    if entered.him.watches:
        await entered.him.until_unwatched()
    await entered.there.expect_gone("Romeo")
    await entered.there.left()


async def exchange(entered: Entered) -> None:
    """A word each way."""
    mark = secrets.token_hex(3)
    sent = entered.him.say(f"from romeo {mark}")
    await entered.there.expect_message(f"from romeo {mark}", "Romeo")
    equal(await sent.status(), 200, "answer to the SEND")
    id = entered.there.say(f"from juliet {mark}")
    await entered.there.expect_message(f"from juliet {mark}", entered.there.nick, id=id)
    await entered.him.expect(f"from juliet {mark}", entered.there.nick)
