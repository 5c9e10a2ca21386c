"""Pager mode: MESSAGE both ways, and as the way out when the peer has no MSRP (RFC 7572)."""

from __future__ import annotations

import asyncio

from ..errors import equal, require
from ..peers.sip.message import SipUri, parameter, uri_of
from ..world import JULIET_URI, ROMEO, ROMEO_ESCAPED, World
from . import flow


def _add(transport: str) -> None:
    async def from_xmpp(world: World) -> None:
        """IM-01, IM-02, CORE-08, CORE-10, T3: type normal becomes one MESSAGE; 200 brings her nothing."""
        juliet, romeo = await world.start(transport)
        for type in ("normal", None):
            juliet.say(ROMEO, "Wherefore art thou?", type=type, thread=f"pager-{type}", subject="A question")
            message = await romeo.expect_message("Wherefore art thou?")
            request = message.request
            equal(request.uri, "sip:romeo@example.net", "T3: Request-URI")
            equal(uri_of(request.one("To")), "sip:romeo@example.net", "T3: To")
            sender = SipUri.parse(message.sender)
            equal((sender.user, sender.host), ("juliet", "example.com"), "T3: From")
            equal(sender.parameters.get("gr"), "balcony", "CORE-10: gr in the From URI of a MESSAGE")
            equal(message.call_id, f"pager-{type}", "T3: Call-ID is the thread")
            equal(message.subject, "A question", "T3: Subject")
            content_type = request.one("Content-Type").replace(" ", "").lower()
            equal(content_type, "text/plain;charset=utf-8", "IM-01: Content-Type")
            equal(request.one("Max-Forwards"), "70", "T3: Max-Forwards")
        await world.nothing_else()

    async def from_sip(world: World) -> None:
        """IM-03, IM-04, T3: MESSAGE becomes a message without type to the bare JID, answered 200."""
        juliet, romeo = await world.start(transport)
        response = await romeo.message(JULIET_URI, "Neither, fair saint", call_id="pager", subject="An answer")
        equal(response.status, 200, "IM-04: answer to the MESSAGE")
        got = await juliet.expect_message("Neither, fair saint", sender=ROMEO, thread="pager", type=None)
        equal(got.subject, "An answer", "T3: subject")
        equal(got.to, juliet.bare, "IM-03: to the bare JID")
        require(got.id, "T3: the message has an id")
        await world.nothing_else()

    flow(f"pager: from XMPP, {transport.upper()}")(from_xmpp)
    flow(f"pager: from SIP, {transport.upper()}")(from_sip)


for _transport in ("udp", "tcp"):
    _add(_transport)


@flow("pager: one MESSAGE at a time, same thread same dialog-id")
async def one_at_a_time(world: World) -> None:
    """IM-07, IM-08: the next waits for the answer; same Call-ID, same From tag, higher CSeq."""
    juliet, romeo = await world.start()
    romeo.message_status = None
    for text in ("one", "two", "three"):
        juliet.say(ROMEO, text, type="normal", thread="in-a-row")
    seen: list[tuple[str | None, int]] = []
    for text in ("one", "two", "three"):
        message = await romeo.expect_message(text)
        await asyncio.sleep(0.15)
        require(not romeo.inbox.waiting(), "IM-07: a second MESSAGE while the first is unanswered")
        equal(message.call_id, "in-a-row", "Call-ID")
        seen.append((parameter(message.request.one("From"), "tag"), message.request.cseq[0]))
        message.answer(200)
    require(len({tag for tag, _ in seen}) == 1, f"IM-08: one From tag, got {seen}")
    numbers = [number for _, number in seen]
    require(numbers == sorted(set(numbers)), f"IM-08: CSeq rises, got {numbers}")
    await world.nothing_else()


@flow("pager: what makes a MESSAGE too large goes by a session")
async def too_large(world: World) -> None:
    """IM-10: no request is larger than 1300 bytes, whatever her device is called."""
    _, romeo = await world.start(with_juliet=False)
    device = "balcony" * 9
    juliet = await world.add_xmpp_user("juliet", device)
    juliet.say(ROMEO, "x" * 690, type="normal", thread="large")
    request = (await romeo.expect_message("x" * 690)).request
    require(device in request.one("From"), f"CORE-10: gr in\n{request}")
    size = len(request.encode())
    require(1000 < size <= 1300, f"the request has {size} bytes:\n{request}")
    juliet.say(ROMEO, "x" * 710, type="normal", thread="larger")
    call = await (await romeo.expect_invite()).accept()
    await call.expect("x" * 710)
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="larger")
    await world.nothing_else()


@flow("pager: mode = message sends chat as MESSAGE")
async def mode_message(world: World) -> None:
    """The contract's chat.mode; IM-19: what romeo answers stays in her chat window."""
    juliet, romeo = await world.start(config={"chat": {"mode": "message"}})
    juliet.say(ROMEO, "without MSRP", thread="pager-chat")
    await romeo.expect_message("without MSRP")
    response = await romeo.message(JULIET_URI, "as you like it")
    equal(response.status, 200, "answer to the MESSAGE")
    await juliet.expect_message("as you like it", sender=ROMEO, thread="pager-chat", type="chat")
    await world.nothing_else()


def _add_fallback(status: int) -> None:
    async def play(world: World) -> None:
        """CHAT-11, IM-19, IM-09: what waits goes by MESSAGE in order, the peer is remembered, answers stay in the chat;
        no MESSAGE has the Call-ID that the INVITE had."""
        await _fallback(world, status)

    flow(f"pager: automatic fallback after {status} to the INVITE")(play)


for _status in (488, 405, 415, 501):
    _add_fallback(_status)


async def _fallback(world: World, status: int) -> None:
    juliet, romeo = await world.start()
    juliet.say(ROMEO_ESCAPED, "first", thread="no-msrp")
    invite = await romeo.expect_invite()
    juliet.say(ROMEO_ESCAPED, "second", thread="no-msrp")
    await asyncio.sleep(0.2)
    headers = {405: [("Allow", "MESSAGE")], 415: [("Accept", "text/plain")]}
    await invite.refuse(status, headers.get(status))
    call_ids = {(await romeo.expect_message(text)).call_id for text in ("first", "second")}
    juliet.say(ROMEO_ESCAPED, "third, at once by MESSAGE", thread="no-msrp")
    call_ids.add((await romeo.expect_message("third, at once by MESSAGE")).call_id)
    require(len(call_ids) == 1, f"IM-08: one Call-ID, got {call_ids}")
    require(invite.call_id not in call_ids, "IM-09: the Call-ID of the INVITE is used again")
    response = await romeo.message(JULIET_URI, "an answer", call_id=call_ids.pop())
    equal(response.status, 200, "answer to the MESSAGE")
    await juliet.expect_message("an answer", sender=ROMEO_ESCAPED, thread="no-msrp", type="chat")
    await world.nothing_else()
