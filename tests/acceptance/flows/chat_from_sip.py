"""Chats that the SIP user begins (RFC 7573 §5)."""

from __future__ import annotations

import asyncio

from ..errors import equal, require
from ..peers import sdp
from ..peers.stanza import new_id
from ..servers.base import COMPONENT
from ..world import JULIET_URI, ROMEO, World
from . import flow
from .plain_chat import OPENING, exchange, open_from_sip

_WAYS = (
    ("UDP, offer actpass", "udp", "actpass", JULIET_URI),
    ("TCP, offer passive: stox connects", "tcp", "passive", JULIET_URI),
    ("UDP, offer active, hosted address", "udp", "active", f"sip:juliet%40example.com@{COMPONENT}"),
)


def _add(name: str, transport: str, setup: str, target: str) -> None:
    async def play(world: World) -> None:
        """CHAT-14..18, CHAT-23, CORE-01, CORE-02, MSRP-05..07, MSRP-11, SIP-03..05, T11: accepted at once, no
        stanza before the first message, Call-ID as thread, her answers come back, BYE becomes `gone`."""
        await _chat(world, transport, setup, target)

    flow(f"chat from SIP: {name}")(play)


for _way in _WAYS:
    _add(*_way)


async def _chat(world: World, transport: str, setup: str, target: str) -> None:
    juliet, romeo = await world.start(transport)
    call_id = f"742507no.{new_id()}"
    call = await romeo.call(target, call_id=call_id, subject="not for her window", setup=setup)
    await asyncio.sleep(0.2)
    require(not juliet.inbox.waiting(), "CHAT-15: the INVITE alone brings her no stanza")
    first = call.session.say("I take thee at thy word:")
    got = await juliet.expect_message("I take thee at thy word:", sender=ROMEO, thread=call_id)
    equal(await first.status(), 200, "answer to the SEND")
    equal(got.to.partition("/")[0], juliet.bare, "CHAT-18: to her, no device is known yet")
    equal(got.id, first.transactions[-1], "CHAT-14: the id is the transaction's")
    equal(got.subject, None, "CHAT-16: Subject of the INVITE is not shown")
    juliet.say(got.sender, "What man art thou?", thread=call_id)
    await call.expect("What man art thou?")
    second = call.session.say("By a name I know not how to tell thee")
    got = await juliet.expect_message("By a name I know not how to tell thee", sender=ROMEO, thread=call_id)
    equal(await second.status(), 200, "answer to the SEND")
    equal(got.to, juliet.full, "CHAT-18: to the device that wrote")
    chunked = call.session.send(
        b"My name, dear saint, is hateful to myself", "text/plain", chunks=[3, 11], text="chunked"
    )
    got = await juliet.expect_message("My name, dear saint, is hateful to myself", sender=ROMEO, thread=call_id)
    equal(await chunked.status(), 200, "answer to the chunks")
    equal(got.id, chunked.transactions[-1], "CHAT-14: the id is that of the completing chunk")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread=call_id)
    await world.nothing_else()


@flow("chat from SIP: CPIM both ways, she leaves")
async def cpim(world: World) -> None:
    """CHAT-12, CHAT-24, MSRP-22, MSRP-23, T13: a peer that prefers CPIM; her `gone` ends it with BYE."""
    juliet, romeo = await world.start()
    call = await romeo.call(JULIET_URI, call_id="cpim-chat", accept_types=sdp.CPIM_TYPES)
    sent = call.session.say("wrapped ☂", wrapped_from=romeo.uri, wrapped_to=JULIET_URI)
    got = await juliet.expect_message("wrapped ☂", sender=ROMEO, thread="cpim-chat")
    equal(await sent.status(), 200, "answer to the SEND")
    juliet.say(got.sender, "wrapped again ☔", thread="cpim-chat")
    received = await call.session.expect("wrapped again ☔")
    require(received.cpim and "juliet@example.com" in received.cpim["From"], "T13: From names juliet")
    juliet.leave(got.sender, "cpim-chat")
    await call.expect_bye()
    await world.nothing_else()


@flow("chat from SIP: an ended call without a word leaves no trace")
async def nothing_said(world: World) -> None:
    """CHAT-15, CHAT-23: `gone` only if a message was exchanged."""
    _, romeo = await world.start()
    call = await romeo.call(JULIET_URI, call_id="silent-call")
    await call.bye()
    await world.nothing_else()


@flow("chat from SIP: her own thread becomes the session's")
async def alias(world: World) -> None:
    """CHAT-22: a client that ignores the thread and answers in another one does not open a second session."""
    juliet, romeo = await world.start()
    call, sender = await open_from_sip(juliet, romeo, "asked-in-this")
    juliet.say(sender, "answered in another", thread="her-own-thread")
    await call.expect("answered in another")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO)
    await world.nothing_else()


@flow("chat from SIP: two calls at once, one MSRP port")
async def two_calls(world: World) -> None:
    """CHAT-39, MSRP-05: sessions on the one listening port stay apart."""
    juliet, romeo = await world.start()
    first, sender = await open_from_sip(juliet, romeo, "call-one")
    second, _ = await open_from_sip(juliet, romeo, "call-two", setup="passive")
    await exchange(juliet, second, sender, "call-two")
    await exchange(juliet, first, sender, "call-one")
    await first.bye()
    await juliet.expect_gone(sender=ROMEO, thread="call-one")
    await exchange(juliet, second, sender, "call-two")
    juliet.leave(sender, "call-two")
    await second.expect_bye()
    await world.nothing_else()


@flow("chat from SIP: OPTIONS is answered, audio is not")
async def options_and_audio(world: World) -> None:
    """SIP-08; T11 and RFC 3261 §21.4.26: what is no chat gets 488."""
    _, romeo = await world.start()
    answer = await romeo.options(JULIET_URI)
    equal(answer.status, 200, "answer to OPTIONS")
    require(answer.all("Allow"), "SIP-08: 200 to OPTIONS has Allow")
    response, _ = await romeo.dial(JULIET_URI, body=sdp.audio_offer("127.0.0.1", 40_000))
    equal(response.status, 488, "answer to an offer of audio")
    await world.nothing_else()


@flow("chat from SIP: written while she is away, read at her return")
async def offline(world: World) -> None:
    """CHAT-15, CHAT-18: to the bare JID, so that her server keeps it for her."""
    juliet, romeo = await world.start(with_juliet=False)
    call = await romeo.call(JULIET_URI, call_id="while-away")
    sent = call.session.say(OPENING)
    equal(await sent.status(), 200, "answer to the SEND")
    await juliet.connect()
    await juliet.expect_message(OPENING, sender=ROMEO, thread="while-away")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="while-away")
    await world.nothing_else()
