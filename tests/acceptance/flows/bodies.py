"""Texts arrive byte for byte, in both directions and both modes."""

from __future__ import annotations

from ..errors import equal
from ..peers import sdp
from ..peers.sip.user import SipUser
from ..peers.xmpp_user import XmppUser
from ..world import JULIET_URI, ROMEO, World
from . import flow
from .plain_chat import open_from_xmpp

TEXTS = (
    "🌹 a rose 👩‍👩‍👧‍👦 by any other name 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "first line\nsecond line\n\nfourth line",
    "a line that ends\n",
    "<body>&amp; <&> \"quoted\" 'too' ]]> <![CDATA[x]]> &#x10;",
    "שלום \u202eעולם\u202c مرحبا بالعالم \u200f",
    "e\u0301 is not é, nor ﬁ fi, nor \u212b Å",
    "  spaces around \t tab  ",
    "-------d93kswow$\nMSRP d93kswow 200 OK\nTo-Path: msrp://x",
    "Content-Length: 0\n\nBYE sip:x SIP/2.0",
    "1",
)
LONG = "Ωμέγα 🌹 " * 400


@flow("bodies: MSRP, plain text")
async def msrp_plain(world: World) -> None:
    """CHAT-12, CHAT-14, MSRP-02, MSRP-03, MSRP-16, IM-13: Byte-Range counts bytes, nothing is changed."""
    await _over_msrp(world, sdp.PLAIN_TYPES)


@flow("bodies: MSRP, CPIM")
async def msrp_cpim(world: World) -> None:
    """MSRP-23, T13: the same inside message/cpim."""
    await _over_msrp(world, sdp.CPIM_TYPES)


@flow("bodies: pager MESSAGE")
async def pager(world: World) -> None:
    """IM-01, IM-03: Content-Length counts bytes, nothing is changed."""
    juliet, romeo = await world.start()
    for text in TEXTS:
        juliet.say(ROMEO, text, type="normal")
        await romeo.expect_message(text)
        await _message(romeo, juliet, text)
    await world.nothing_else()


@flow("bodies: pager MESSAGE over TCP, too long for UDP")
async def pager_long(world: World) -> None:
    """IM-03, SIP-01: a MESSAGE from SIP may be long on a stream."""
    juliet, romeo = await world.start("tcp")
    await _message(romeo, juliet, LONG)
    await world.nothing_else()


async def _message(romeo: SipUser, juliet: XmppUser, text: str) -> None:
    response = await romeo.message(JULIET_URI, text)
    equal(response.status, 200, "answer to the MESSAGE")
    await juliet.expect_message(text, sender=ROMEO, type=None)


async def _over_msrp(world: World, accept_types: str) -> None:
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "bodies", accept_types=accept_types)
    wrapping = {"wrapped_from": romeo.uri, "wrapped_to": JULIET_URI} if accept_types == sdp.CPIM_TYPES else {}
    for text in (*TEXTS, LONG):
        juliet.say(ROMEO, text, thread="bodies")
        await call.expect(text)
        sent = call.session.say(text, **wrapping)
        await juliet.expect_message(text, sender=ROMEO, thread="bodies")
        equal(await sent.status(), 200, "answer to the SEND")
    for cut in range(1, 4):
        text = "שלום 🌹"
        juliet.say(ROMEO, text, thread="bodies")
        await call.expect(text)
        call.session.send(text.encode(), "text/plain", chunks=[cut, 3], text=text)
        await juliet.expect_message(text, sender=ROMEO, thread="bodies")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="bodies")
    await world.nothing_else()
