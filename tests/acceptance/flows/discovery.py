"""What clients and servers ask of a component."""

from __future__ import annotations

from ..errors import equal, require
from ..peers.stanza import Stanza
from ..servers.base import COMPONENT
from ..world import ROMEO, World
from . import flow

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


def _result(answer: Stanza) -> Stanza:
    equal(answer.type, "result", f"type of {answer}")
    return answer
