"""Which addresses are rooms: what both sides are told before anybody enters."""

from __future__ import annotations

from ..errors import equal
from ..peers.sip.dialog import new_tag
from ..peers.sip.outgoing import OutgoingInvite
from ..peers.sip.transaction import ServerTransaction
from ..peers.stanza import Stanza
from ..servers.base import COMPONENT, ROOMS
from ..world import World
from . import flow

_INFO = "http://jabber.org/protocol/disco#info"
_PING = "<ping xmlns='urn:xmpp:ping'/>"
_VERONA = f"verona%chat.example.org@{COMPONENT}"
_MERCUTIO = f"mercutio%example.org@{COMPONENT}"


@flow("room directory: a SIP user cannot enter a room that is not there")
async def no_such_room(world: World) -> None:
    """RS-01, RS-05: the MUC service is asked before the INVITE is answered, and once for two at the same time."""
    _, romeo = await world.start()
    target = f"sip:nowhere-at-all@{ROOMS}"
    invites = [OutgoingInvite(romeo, target, accept_types="message/cpim") for _ in range(2)]
    for invite in invites:
        await invite.send()
    for invite in invites:
        response, call = await invite.finished()
        equal((response.status, call), (404, None), "RS-05: answer to an INVITE for a room that is not there")
    await world.nothing_else()


@flow("room directory: whom an XMPP user asks what they are")
async def asked_before(world: World) -> None:
    """DISCO-03, RX-33: OPTIONS tells a conference from a user; nobody is in a room that nobody has entered."""
    juliet, romeo = await world.start()
    asked: list[str] = []

    def answer(transaction: ServerTransaction) -> bool:
        request = transaction.request
        if request.method != "OPTIONS":
            return False
        asked.append(request.uri)
        is_room = "chat.example.org" in request.uri
        contact = f"<{romeo.contact_uri}>" + (";isfocus" if is_room else "")
        transaction.respond(200, "OK", tag=new_tag(), headers=[("Contact", contact)])
        return True

    romeo.on_request = answer
    for _ in range(2):
        room = await juliet.ask(_VERONA, f"<query xmlns='{_INFO}'/>")
        equal(_identities(room), {("conference", "text")}, f"DISCO-03: {room}")
        user = await juliet.ask(_MERCUTIO, f"<query xmlns='{_INFO}'/>")
        equal(_identities(user), {("account", "registered")}, f"DISCO-03: {user}")
    equal(asked, ["sip:verona@chat.example.org", "sip:mercutio@example.org"], "who was asked, each of them once")
    absent = await juliet.ask(f"{_VERONA}/Juliet", _PING)
    equal(absent.error.condition if absent.error else None, "not-acceptable", f"RX-33: {absent}")
    present = await juliet.ask(f"{_MERCUTIO}/house", _PING)
    equal(present.type, "result", f"DISCO-06: {present}")
    for namespace in ("http://jabber.org/protocol/muc#owner", "http://jabber.org/protocol/muc#admin"):
        refused = await juliet.ask(_VERONA, f"<query xmlns='{namespace}'/>")
        equal(refused.error.condition if refused.error else None, "not-allowed", f"RX-34: {refused}")
    await world.nothing_else()


def _identities(answer: Stanza) -> set[tuple[str | None, str | None]]:
    equal(answer.type, "result", f"type of {answer}")
    return {(e.get("category"), e.get("type")) for e in answer.xml.iter(f"{{{_INFO}}}identity")}
