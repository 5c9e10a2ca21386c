"""What clients and servers ask of a component."""

from __future__ import annotations

from ..errors import equal, require
from ..metrics import SESSIONS, get, messages, until_counted
from ..peers.stanza import Stanza
from ..ports import free_port
from ..servers.base import COMPONENT
from ..world import ROMEO, World
from . import flow
from .plain_chat import exchange, open_from_xmpp

_INFO = "http://jabber.org/protocol/disco#info"
_ITEMS = "http://jabber.org/protocol/disco#items"
_VERSION = "jabber:iq:version"


@flow("discovery: info, items, ping, version; unknown IQs are answered")
async def discovery(world: World) -> None:
    """DISCO-02, DISCO-03, DISCO-04, DISCO-05, DISCO-06."""
    juliet, _ = await world.start()
    info = _result(await juliet.ask(COMPONENT, f"<query xmlns='{_INFO}'/>"))
    identities = {(e.get("category"), e.get("type")) for e in info.xml.iter(f"{{{_INFO}}}identity")}
    require(("gateway", "simple") in identities, f"DISCO-02: identity gateway/simple, got {identities}")
    features = {e.get("var") for e in info.xml.iter(f"{{{_INFO}}}feature")}
    for feature in (_INFO, _ITEMS, "urn:xmpp:ping", _VERSION):
        require(feature in features, f"DISCO-02: feature {feature}, got {features}")
    for address in (COMPONENT, ROMEO):
        _result(await juliet.ask(address, "<ping xmlns='urn:xmpp:ping'/>"))
        _result(await juliet.ask(address, f"<query xmlns='{_ITEMS}'/>"))
    _result(await juliet.ask(ROMEO, f"<query xmlns='{_INFO}'/>"))
    version = _result(await juliet.ask(COMPONENT, f"<query xmlns='{_VERSION}'/>"))
    equal(version.xml.findtext(f".//{{{_VERSION}}}name"), "stox", "DISCO-06: name")
    require(version.xml.findtext(f".//{{{_VERSION}}}version"), "DISCO-06: version")
    for address in (COMPONENT, ROMEO, f"{ROMEO}/orchard"):
        for type in ("get", "set"):
            answer = await juliet.ask(address, "<query xmlns='urn:nobody:knows'/>", type)
            error = answer.error
            require(error, f"DISCO-05: expected an error, got {answer}")
            assert error is not None
            equal((error.condition, error.type), ("service-unavailable", "cancel"), f"DISCO-05: {answer}")
            equal(answer.sender, address, "the answer comes from whom was asked")
    await world.nothing_else()


@flow("discovery: health, and what is counted, over HTTP")
async def counted(world: World) -> None:
    """DISCO-12: sessions that are open, and messages in each direction, handed on and given back."""
    port = free_port()
    juliet, romeo = await world.start(config={"admin": {"listen": f"127.0.0.1:{port}"}})
    for path in ("/healthz", "/readyz"):
        equal((await get(port, path))[0], 200, f"status of {path}")
    await until_counted(port, SESSIONS, 0)
    call = await open_from_xmpp(juliet, romeo, "counted")
    await until_counted(port, SESSIONS, 1)
    await exchange(juliet, call, ROMEO, "counted")
    await until_counted(port, messages("xmpp_to_sip", "delivered"), 2)
    await until_counted(port, messages("sip_to_xmpp", "delivered"), 1)
    romeo.message_status = 404
    id = juliet.say(ROMEO, "to nobody", type="normal", thread="refused")
    await romeo.expect_message("to nobody")
    await juliet.expect_error(id, "item-not-found", "cancel", sender=ROMEO)
    await until_counted(port, messages("xmpp_to_sip", "refused"), 1)
    await until_counted(port, messages("sip_to_xmpp", "refused"), 0)
    juliet.leave(ROMEO, "counted")
    await call.expect_bye()
    await until_counted(port, SESSIONS, 0)
    await world.nothing_else()


def _result(answer: Stanza) -> Stanza:
    equal(answer.type, "result", f"type of {answer}")
    return answer


@flow("discovery: addresses of SIP users, last activity, vCards, the gateway as a contact")
async def addresses(world: World) -> None:
    """DISCO-06, DISCO-07, DISCO-08, DISCO-10."""
    juliet, _ = await world.start()
    gateway = "jabber:iq:gateway"
    prompt = _result(await juliet.ask(COMPONENT, f"<query xmlns='{gateway}'/>"))
    require(prompt.xml.findtext(f".//{{{gateway}}}prompt"), f"DISCO-07: a prompt: {prompt}")
    entered = f"<query xmlns='{gateway}'><prompt>sip:romeo@example.net</prompt></query>"
    answer = _result(await juliet.ask(COMPONENT, entered, "set"))
    equal(answer.xml.findtext(f".//{{{gateway}}}jid"), ROMEO, f"DISCO-07: {answer}")
    entered = f"<query xmlns='{gateway}'><prompt>http://example.net</prompt></query>"
    refused = await juliet.ask(COMPONENT, entered, "set")
    equal(refused.error.condition if refused.error else None, "not-acceptable", f"DISCO-07: {refused}")
    last = _result(await juliet.ask(COMPONENT, "<query xmlns='jabber:iq:last'/>"))
    query = last.xml.find("{jabber:iq:last}query")
    require(query is not None and query.get("seconds", "").isdigit(), f"DISCO-06: seconds: {last}")
    card = _result(await juliet.ask(ROMEO, "<vCard xmlns='vcard-temp'/>"))
    equal(card.xml.findtext(".//{vcard-temp}URL"), "sip:romeo@example.net", f"DISCO-10: {card}")
    # Somebody whom no other flow knows: the server keeps what he subscribes to.
    mercutio = await world.add_xmpp_user("mercutio")
    mercutio.send(f"<presence to='{COMPONENT}' type='subscribe'/>")
    seen: set[tuple[str | None, str]] = set()
    while not seen >= {("subscribe", COMPONENT), (None, COMPONENT)}:
        got = await mercutio.inbox.take("the presence of the gateway")
        if got.kind == "presence":
            seen.add((got.type, got.sender))
