"""Everything over TLS: SIP and MSRP, both directions; and certificates that are not what they should be."""

from __future__ import annotations

import re

from ..errors import equal, require
from ..peers import sdp
from ..servers.base import COMPONENT, DOMAIN
from ..world import JULIET_URI, ROMEO, World
from . import flow
from .plain_chat import OPENING, exchange, open_from_sip, open_from_xmpp


@flow("secure: a chat from juliet, SIP and MSRP over TLS")
async def from_xmpp(world: World) -> None:
    """SEC-01, SEC-07: nothing in the clear; the certificate of the MSRP connection is the one that SIP named."""
    juliet, romeo = await world.start_secure()
    for setup, thread in (("passive", "he waits"), ("active", "he connects")):
        call = await open_from_xmpp(juliet, romeo, thread, setup=setup)
        await exchange(juliet, call, ROMEO, thread)
        juliet.leave(ROMEO, thread)
        await call.expect_bye()
    await world.nothing_else()


@flow("secure: a chat and a message from romeo, SIP and MSRP over TLS")
async def from_sip(world: World) -> None:
    """SEC-01, SEC-02, SEC-07: his certificate is asked for and is for his domain."""
    juliet, romeo = await world.start_secure()
    for setup in ("actpass", "passive"):
        call, sender = await open_from_sip(juliet, romeo, f"he is {setup}", setup=setup)
        await exchange(juliet, call, sender, f"he is {setup}")
        await call.bye()
        await juliet.expect_gone(sender=ROMEO, thread=f"he is {setup}")
    equal(romeo.gateway_domains, [DOMAIN, COMPONENT, "127.0.0.1"], "domains of the gateway's certificate")
    answer = await romeo.message(JULIET_URI, "Good night")
    equal(answer.status, 200, "answer to MESSAGE")
    await juliet.expect_message("Good night", sender=ROMEO, type=None)
    await world.nothing_else()


@flow("secure: no certificate for the domain that was asked for")
async def wrong_domain(world: World) -> None:
    """SEC-01, CORE-21: nothing is sent, juliet is told, the operator finds one line that says what is wrong."""
    juliet, romeo = await world.start_secure(romeo=["sip:montague.example", "DNS:example.net"])
    await _goes_back(world, juliet_says=[(OPENING, "chat"), ("alone", "normal")])
    told = _lines(world, r"no TLS with the peer")
    require(told, "SEC-01: no line about the certificate in the log")
    require(all("example.net" in line for line in told), f"SEC-01: the line names the domain:\n{told[0]}")
    equal(romeo.unasked(), [], "what romeo received")
    await world.nothing_else()


@flow("secure: a certificate nobody vouches for")
async def wrong_authority(world: World) -> None:
    """SEC-01, SEC-02: fails closed, towards romeo and from him."""
    juliet, romeo = await world.start_secure(vouched=False)
    await _goes_back(world, juliet_says=[(OPENING, "chat")])
    equal(len(_lines(world, "no TLS with the peer")), 1, "lines about his certificate")
    # With TLS 1.3 he learns of the refusal only when he reads.
    await romeo.connect()
    await romeo.until_disconnected()
    require(_lines(world, "(?i)certificate|UnknownIssuer"), "a line about the connection that was refused")
    equal(juliet.inbox.waiting(), [], "what juliet received")
    await world.nothing_else()


@flow("secure: the MSRP certificate is not the one that SIP named")
async def wrong_fingerprint(world: World) -> None:
    """SEC-07: closed at once, before a word is sent; juliet is told, romeo gets BYE."""
    juliet, romeo = await world.start_secure()
    id = juliet.say(ROMEO, OPENING, thread="forged")
    invite = await romeo.expect_invite()
    assert romeo.identity is not None
    forged = romeo.identity.fingerprint[:-2] + ("00" if romeo.identity.fingerprint[-2:] != "00" else "01")
    romeo.msrp.told_fingerprint = forged
    call = await invite.accept()
    await call.expect_bye()
    await juliet.expect_error(id, "remote-server-not-found", "cancel", sender=ROMEO)
    equal(call.session.inbox.waiting(), [], "what was sent to the wrong peer")
    equal(len(_lines(world, "no TLS with the peer")), 1, "lines about the certificate")
    await world.nothing_else()


@flow("secure: nothing falls back to the clear")
async def no_downgrade(world: World) -> None:
    """SEC-07: an offer of plain MSRP is refused."""
    _, romeo = await world.start_secure()
    clear = sdp.write("msrp://127.0.0.1:2855/in-the-clear-abcdefgh;tcp", setup="actpass")
    response, _ = await romeo.dial(JULIET_URI, body=clear)
    equal(response.status, 488, "answer to an offer in the clear")
    await world.nothing_else()


@flow("secure: a certificate does not speak for another domain")
async def other_domain(world: World) -> None:
    """SEC-02, SEC-03: 403, and juliet hears nothing."""
    juliet, _ = await world.start_secure(proxy="proxy.example.net", romeo=["sip:proxy.example.net"])
    assert world.certificates is not None
    iago = await world.add_sip_user("iago", "tls", world.certificates.issue("iago", "sip:venice.example"))
    answer = await iago.message(JULIET_URI, "I am not what I am")
    equal(answer.status, 403, "From of example.net with the certificate of venice.example")
    equal(juliet.inbox.waiting(), [], "what juliet received")
    await world.nothing_else()


async def _goes_back(world: World, juliet_says: list[tuple[str, str]]) -> None:
    juliet = world.xmpp_users[0]
    for text, type in juliet_says:
        id = juliet.say(ROMEO, text, thread=f"refused {type}", type=type)
        error = await juliet.expect_error(id, "remote-server-not-found", "cancel", sender=ROMEO)
        assert error.error is not None
        require("certificate" in (error.error.text or ""), f"CORE-21: juliet hears what is wrong: {error.error.text}")


def _lines(world: World, pattern: str) -> list[str]:
    return [line for line in world.gateway.log().splitlines() if re.search(pattern, line)]
