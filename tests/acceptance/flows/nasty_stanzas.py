"""Stanzas that an XMPP server lets through and that end the stock component library."""

from __future__ import annotations

import asyncio

from ..errors import require
from ..peers.sip.incoming import IncomingInvite, IncomingMessage
from ..peers.sip.user import SipUser
from ..ports import free_port
from ..servers.base import COMPONENT
from ..tap import Tap
from ..world import ROMEO, World
from . import flow
from .plain_chat import exchange, open_from_xmpp

_MUC = "<x xmlns='http://jabber.org/protocol/muc'/>"
_ROOM = f"verona%chat.example.org@{COMPONENT}"
_USER = "<x xmlns='http://jabber.org/protocol/muc#user'>"
_STATUS = "<status code='110'/>"
_INFO = "http://jabber.org/protocol/disco#info"
_DEEP = "<a xmlns='urn:deep'>" + "<a>" * 2_999 + "</a>" * 3_000
_WIDE = "y" * 9_000

NASTY = {
    "an emoji nick": f"<presence to='{_ROOM}/💩🌹'>{_MUC}</presence>",
    "a letter newer than Unicode 3.2": f"<presence to='{_ROOM}/\u0528'>{_MUC}</presence>",
    "<show>online</show>": f"<presence to='{ROMEO}'><show>online</show></presence>",
    "an empty <show/>": f"<presence to='{ROMEO}'><show/></presence>",
    "an unknown presence type": f"<presence to='{ROMEO}' type='sleepy'/>",
    "priority 200": f"<presence to='{ROMEO}'><priority>200</priority></presence>",
    "3,000 nested elements": f"<message to='{ROMEO}' type='chat' id='deep'>{_DEEP}</message>",
    "3,000 nested elements in an iq": f"<iq to='{COMPONENT}' type='get' id='deep'>{_DEEP}</iq>",
    "3,000 nested elements in a presence": f"<presence to='{ROMEO}'>{_DEEP}</presence>",
    "a 9 kB attribute": f"<message to='{ROMEO}' type='chat' id='wide'><a xmlns='urn:wide' b='{_WIDE}'/></message>",
    "a 9 kB id": f"<message to='{ROMEO}' type='chat' id='{_WIDE}'/>",
    "a localpart that ends in a backslash": f"<message to='romeo\\@{COMPONENT}' type='chat' id='b'><body>x</body></message>",
    "a localpart that ends in half an escape": f"<message to='romeo\\4@{COMPONENT}' type='chat' id='b'><body>x</body></message>",
    "a localpart of a backslash": f"<iq to='\\@{COMPONENT}' type='get' id='b'><ping xmlns='urn:xmpp:ping'/></iq>",
    "a localpart of nothing before the percent": f"<message to='%example.net@{COMPONENT}' type='chat' id='b'><body>x</body></message>",
    "an emoji localpart": f"<presence to='🌹%example.net@{COMPONENT}'/>",
    "type='foo'": f"<message to='{ROMEO}' type='foo' id='foo'><body>of type foo</body></message>",
    "an iq without id": f"<iq to='{COMPONENT}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
    "an iq without payload": f"<iq to='{COMPONENT}' type='get' id='bare'/>",
    "an iq with two payloads": f"<iq to='{COMPONENT}' type='get' id='two'><ping xmlns='urn:xmpp:ping'/><a xmlns='b'/></iq>",
    "an iq error without condition": f"<iq to='{COMPONENT}' type='error' id='e'><error/></iq>",
    "an iq result nobody asked for": f"<iq to='{COMPONENT}' type='result' id='unasked'/>",
    "two threads": f"<message to='{ROMEO}' type='chat' id='t'><thread>a</thread><thread>b</thread></message>",
    "an error without condition": f"<message to='{ROMEO}' type='error' id='e'><body>x</body></message>",
    "a groupchat message to a user": f"<message to='{ROMEO}' type='groupchat' id='g'><body>x</body></message>",
    "a wish to enter a room without nick": f"<presence to='{_ROOM}' id='j'>{_MUC}</presence>",
    "a history that is none": f"<presence to='{_ROOM}/%'><x xmlns='http://jabber.org/protocol/muc'><history since='x' maxstanzas='-1'/></x></presence>",
    "a nick that nobody can see": f"<presence to='{_ROOM}/\u2800'>{_MUC}</presence>",
    "an invitation to nobody": f"<message to='{_ROOM}'>{_USER}<invite to='@'/><invite/></x></message>",
    "an invitation to nowhere": f"<message to='{ROMEO}'><x xmlns='jabber:x:conference' jid='@'/></message>",
    "a thousand status codes": f"<presence to='{ROMEO}'>{_USER}{_STATUS * 1_000}</x></presence>",
    "an item that is none": f"<message to='{ROMEO}/n' type='chat' id='i'>{_USER}<item jid='@' role='king'/></x><body/></message>",
    "an answer about a room that nobody asked for": f"<iq to='{COMPONENT}' type='result' id='kind-1'><query xmlns='{_INFO}'/></iq>",
    "a ping to an occupant of no room": f"<iq to='{_ROOM}/n' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>",
    "an empty body": f"<message to='{ROMEO}' type='chat' id='eb'><body/></message>",
}


def _add(name: str, xml: str) -> None:
    async def play(world: World) -> None:
        """DISCO-01, DISCO-05, DISCO-13: sent through the server, neither the link nor the process ends."""
        await _survive(world, {name: xml})

    flow(f"nasty stanza: {name}")(play)


_NAMED = (
    "an emoji nick", "<show>online</show>", "3,000 nested elements", "a 9 kB attribute",
    "a localpart that ends in a backslash", "type='foo'", "an iq without id",
)  # fmt: skip
for _name in _NAMED:
    _add(_name, NASTY[_name])


@flow("nasty stanza: all of them in one chat, and thirty more kinds", limit=90.0)
async def all_of_them(world: World) -> None:
    """DISCO-01, DISCO-05, DISCO-13: one link from beginning to end, a word each way after each."""
    await _survive(world, NASTY)


async def _survive(world: World, nasty: dict[str, str]) -> None:
    tap = Tap(free_port(), world.server.component_port)
    await tap.start()
    try:
        juliet, romeo = await world.start(xmpp_port=tap.port)
        nurse = await world.add_xmpp_user("nurse", "house")
        call = await open_from_xmpp(juliet, romeo, "goes-on")
        for name, xml in nasty.items():
            world.transcript.note(f"nasty: {name}")
            nurse.send(xml)
            await asyncio.sleep(0.15)
            await exchange(juliet, call, ROMEO, "goes-on")
            require(len(tap.attempts) == 1, f"{name}: the link to the server was lost")
            nurse.inbox.clear()
            _drop_what_the_nurse_caused(romeo)
            if not nurse.connected:
                await nurse.reconnect()
        juliet.leave(ROMEO, "goes-on")
        await call.expect_bye()
        await world.nothing_else()
        await world.finish()
        world.gateway_ends_itself()
    finally:
        await tap.close()


def _drop_what_the_nurse_caused(romeo: SipUser) -> None:
    for item in romeo.inbox.waiting():
        by_nurse = isinstance(item, IncomingMessage) and "nurse@" in item.sender
        to_room = isinstance(item, IncomingInvite) and "chat.example.org" in item.request.uri
        require(by_nurse or to_room, f"romeo received {item}")
    romeo.inbox.clear()
