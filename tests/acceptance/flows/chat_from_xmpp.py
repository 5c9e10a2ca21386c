"""Chats that the XMPP user begins (RFC 7573 §4)."""

from __future__ import annotations

import asyncio

from ..errors import equal, require
from ..peers import sdp
from ..peers.sip.message import SipUri, uri_of
from ..peers.stanza import new_id
from ..world import ROMEO, ROMEO_ESCAPED, World
from . import flow
from .plain_chat import OPENING, exchange, open_from_xmpp

_WAYS = (
    ("percent address, UDP, romeo passive", ROMEO, "udp", "passive", sdp.PLAIN_TYPES),
    ("XEP-0106 address, TCP, romeo active", ROMEO_ESCAPED, "tcp", "active", sdp.PLAIN_TYPES),
    ("percent address, TCP, romeo passive, CPIM", ROMEO, "tcp", "passive", sdp.CPIM_TYPES),
    ("XEP-0106 address, UDP, romeo active, CPIM only", ROMEO_ESCAPED, "udp", "active", "message/cpim"),
)


def _add(name: str, to: str, transport: str, setup: str, accept_types: str) -> None:
    async def play(world: World) -> None:
        """CHAT-01..07, CHAT-12, CHAT-18, CHAT-24, CORE-01, CORE-08, CORE-10, CORE-11, MSRP-03, MSRP-06, MSRP-07,
        SIP-03..05, T4, T11: the whole way from her first message to her leaving."""
        await _chat(world, to, transport, setup, accept_types)

    flow(f"chat from XMPP: {name}")(play)


for _way in _WAYS:
    _add(*_way)


async def _chat(world: World, to: str, transport: str, setup: str, accept_types: str) -> None:
    juliet, romeo = await world.start(transport)
    thread = f"711609sa.{new_id()}"
    juliet.say(to, OPENING, thread=thread)
    invite = await romeo.expect_invite()
    equal(invite.call_id, thread, "CHAT-03: Call-ID is the thread")
    equal(invite.request.uri, "sip:romeo@example.net", "CHAT-02: Request-URI")
    equal(uri_of(invite.request.one("To")), "sip:romeo@example.net", "CHAT-02: To")
    equal(invite.caller, "sip:juliet@example.com", "CHAT-02: From")
    equal(invite.request.cseq, (1, "INVITE"), "CHAT-02: CSeq")
    equal(invite.request.one("Max-Forwards"), "70", "CHAT-02: Max-Forwards")
    contact = SipUri.parse(uri_of(invite.request.one("Contact")))
    equal(contact.parameters.get("gr"), "balcony", "CORE-08, CORE-10: gr in Contact")
    require(invite.subject, "CHAT-02: there is a Subject")
    invite.ring()
    written_meanwhile = ["Call me but love", "and I'll be new baptized", "Henceforth I never will be Romeo"]
    for text in written_meanwhile:
        juliet.say(to, text, thread=thread)
    await asyncio.sleep(0.2)
    call = await invite.accept(setup=setup, accept_types=accept_types)
    for text in [OPENING, *written_meanwhile]:
        await call.expect(text)
    answer = call.session.say("Neither, fair saint, if either thee dislike.")
    got = await juliet.expect_message("Neither, fair saint, if either thee dislike.", sender=to, thread=thread)
    equal(await answer.status(), 200, "answer to the SEND")
    equal(got.to, juliet.full, "CHAT-18: to the device that wrote")
    equal(got.id, answer.transactions[-1], "CHAT-14: the id is the transaction's")
    await exchange(juliet, call, to, thread)
    juliet.leave(to, thread)
    await call.expect_bye()
    await world.nothing_else()


@flow("chat from XMPP: her subject becomes Subject")
async def subject(world: World) -> None:
    """CHAT-02, T4: the first message's subject; CHAT-23 without a word from romeo."""
    juliet, romeo = await world.start()
    juliet.say(ROMEO, OPENING, thread="with-a-subject", subject="A rose by any other name")
    invite = await romeo.expect_invite()
    equal(invite.subject, "A rose by any other name", "Subject")
    call = await invite.accept()
    await call.expect(OPENING)
    juliet.leave(ROMEO, "with-a-subject")
    await call.expect_bye()
    await world.nothing_else()


@flow("chat from XMPP: romeo hangs up, she reads gone; she writes again")
async def romeo_hangs_up(world: World) -> None:
    """CHAT-23, CHAT-26, CHAT-03: BYE is answered and becomes `gone`; the same thread goes on in a new dialog."""
    juliet, romeo = await world.start()
    first = await open_from_xmpp(juliet, romeo, "thread-that-returns")
    await exchange(juliet, first, ROMEO, "thread-that-returns")
    await first.bye()
    await juliet.expect_gone(sender=ROMEO, thread="thread-that-returns")
    second = await open_from_xmpp(juliet, romeo, "thread-that-returns")
    require(second.call_id != first.call_id, "CHAT-26: a new dialog has a new Call-ID")
    await exchange(juliet, second, ROMEO, "thread-that-returns")
    await second.bye()
    await juliet.expect_gone(sender=ROMEO, thread="thread-that-returns")
    await world.nothing_else()


@flow("chat from XMPP: threads that are no Call-ID, and none at all")
async def odd_threads(world: World) -> None:
    """CHAT-03, CHAT-04, CHAT-21: a fresh Call-ID, and the replies in the thread she sees."""
    juliet, romeo = await world.start()
    odd = "a thread; with spaces, <&> and ü"
    call = await open_from_xmpp(juliet, romeo, odd)
    require(call.call_id != odd, "CHAT-03: not a legal Call-ID")
    await exchange(juliet, call, ROMEO, odd)
    juliet.leave(ROMEO, odd)
    await call.expect_bye()

    to = f"benvolio%example.net@{ROMEO.partition('@')[2]}"
    juliet.say(to, OPENING)
    invite = await romeo.expect_invite()
    call = await invite.accept()
    await call.expect(OPENING)
    call.session.say("Part, fools!")
    got = await juliet.expect_message("Part, fools!", sender=to)
    equal(got.thread, call.call_id, "CHAT-04: the thread that stox made is the Call-ID")
    juliet.say(to, "without a thread again")
    await call.expect("without a thread again")
    await call.bye()
    await juliet.expect_gone(sender=to, thread=call.call_id)
    await world.nothing_else()


@flow("chat from XMPP: two SIP users, one thread value")
async def one_thread_two_peers(world: World) -> None:
    """CHAT-20, CHAT-39: sessions are told apart by both users and the thread."""
    juliet, romeo = await world.start()
    other = f"benvolio%example.net@{ROMEO.partition('@')[2]}"
    first = await open_from_xmpp(juliet, romeo, "shared")
    second = await open_from_xmpp(juliet, romeo, "shared", to=other)
    require(first.call_id != second.call_id, "CHAT-20: each session has its own Call-ID")
    await exchange(juliet, second, other, "shared")
    await exchange(juliet, first, ROMEO, "shared")
    await first.bye()
    await juliet.expect_gone(sender=ROMEO, thread="shared")
    await exchange(juliet, second, other, "shared")
    await second.bye()
    await juliet.expect_gone(sender=other, thread="shared")
    await world.nothing_else()


@flow("chat from XMPP: she leaves while it rings")
async def leaves_while_ringing(world: World) -> None:
    """CHAT-10, SIP-09: CANCEL after a provisional response; nothing she wrote vanishes."""
    juliet, romeo = await world.start()
    id = juliet.say(ROMEO, OPENING, thread="too-late")
    invite = await romeo.expect_invite()
    invite.ring()
    await asyncio.sleep(0.2)
    juliet.leave(ROMEO, "too-late")
    await invite.expect_cancel()
    await juliet.expect_error(id, "recipient-unavailable", "wait", sender=ROMEO)
    await world.nothing_else()


@flow("chat from XMPP: she changes the device in mid-chat")
async def changes_device(world: World) -> None:
    """CHAT-18, CHAT-19: the session goes on, answers follow to the device that wrote last."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "two-devices")
    chamber = await world.add_xmpp_user("juliet", "chamber")
    await asyncio.sleep(0.1)
    juliet.inbox.clear()
    chamber.inbox.clear()
    chamber.say(ROMEO, "from the chamber", thread="two-devices")
    await call.expect("from the chamber")
    call.session.say("I hear thee")
    got = await chamber.expect_message("I hear thee", sender=ROMEO, thread="two-devices")
    equal(got.to, chamber.full, "CHAT-18: to the device that wrote last")
    await call.bye()
    await chamber.expect_gone(sender=ROMEO, thread="two-devices")
    await world.nothing_else()
