"""What crosses beside plain text: who is writing, receipts, notifications, corrections, other types of body."""

from __future__ import annotations

import asyncio
import re
from xml.sax.saxutils import escape

from ..errors import equal, require
from ..peers import cpim, sdp
from ..peers import stanza as write
from ..world import JULIET_URI, ROMEO, World
from . import flow
from .plain_chat import open_from_sip, open_from_xmpp

_REQUEST = "<request xmlns='urn:xmpp:receipts'/>"


@flow("beside text: who is writing, in CPIM")
async def composing_in_cpim(world: World) -> None:
    """COMP-01, COMP-02, COMP-03, COMP-06: wrapped where text is wrapped; a status ends by itself."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "writing", accept_types=sdp.CPIM_TYPES)
    juliet.state(ROMEO, "composing", "writing")
    got = await call.session.expect("is composing")
    equal(got.content_type, "message/cpim", f"{got.frame}\ntype")
    juliet.say(ROMEO, "text", thread="writing", state="active")
    await call.expect("text")
    await call.session.compose(True, refresh=1).status()
    await juliet.expect_state("composing", sender=ROMEO, thread="writing")
    await juliet.expect_state("active", sender=ROMEO, thread="writing")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="writing")
    await world.nothing_else()


@flow("beside text: receipts in parts, and none after a failure")
async def receipts(world: World) -> None:
    """RCPT-01, RCPT-02, RCPT-03, RCPT-08."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "receipts")
    id = juliet.say(ROMEO, "0123456789", thread="receipts", payload=_REQUEST)
    got = await call.session.expect("0123456789")
    call.session.report(got, byte_range="6-10/10")
    await asyncio.sleep(0.1)
    require(not juliet.inbox.waiting(), "RCPT-03: no receipt for a part")
    call.session.report(got, byte_range="1-5/10")
    await juliet.expect_receipt(id, sender=ROMEO, thread="receipts")
    id = juliet.say(ROMEO, "too much", thread="receipts", payload=_REQUEST)
    call.session.report(await call.session.expect("too much"), 413)
    await juliet.expect_error(id, "policy-violation", "modify")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="receipts")
    await world.nothing_else()


@flow("beside text: disposition notifications, MSRP")
async def notifications(world: World) -> None:
    """RCPT-11, T15: delivered and displayed, once each, From and To swapped."""
    juliet, romeo = await world.start()
    call, sender = await open_from_sip(juliet, romeo, "notified", accept_types=sdp.CPIM_TYPES + " message/imdn+xml")
    asking = cpim.wrap("O, wilt thou leave me so?", romeo.uri, JULIET_URI, asks="positive-delivery, display")
    sent = call.session.send(asking, "message/cpim", text="asking")
    got = await juliet.expect_message("O, wilt thou leave me so?", sender=ROMEO)
    equal(await sent.status(), 200, "answer to the SEND")
    require(got.receipt_asked and got.markable, f"RCPT-11: a receipt and a marker are asked for: {got}")
    for answer, words in ((write.receipt, "delivered"), (write.displayed, "displayed")):
        for _ in range(2):
            juliet.send(answer(sender, got.id or "", "notified"))
        notified = await call.session.inbox.take(words)
        assert notified.cpim is not None
        require(f"<{words}" in notified.text, f"RCPT-11: {words}: {notified.frame}")
        require(f"<message-id>{cpim.ASKED_ID}</message-id>" in notified.text, f"message-id: {notified.frame}")
        require(romeo.uri in notified.cpim["To"] and JULIET_URI in notified.cpim["From"], f"swapped: {notified.frame}")
        equal(notified.frame.get("Failure-Report"), "no", f"{notified.frame}\nFailure-Report")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO)
    await world.nothing_else()


@flow("beside text: disposition notifications, MESSAGE")
async def paged_notifications(world: World) -> None:
    """RCPT-11, IM-07."""
    juliet, romeo = await world.start()
    asking = cpim.wrap("Wilt thou?", romeo.uri, JULIET_URI, asks="positive-delivery").decode()
    response = await romeo.message(JULIET_URI, asking, content_type="message/cpim")
    equal(response.status, 200, "answer to the MESSAGE")
    got = await juliet.expect_message("Wilt thou?", sender=ROMEO, type=None)
    require(got.receipt_asked, f"RCPT-11: a receipt is asked for: {got}")
    juliet.send(write.receipt(got.sender, got.id or "", None, None))
    notified = await romeo.take_message()
    equal(notified.request.get("Content-Type"), "message/cpim", f"{notified.request}\ntype")
    require("<delivered" in notified.text and cpim.ASKED_ID in notified.text, f"RCPT-11: {notified.request}")
    await world.nothing_else()


@flow("beside text: corrections, reactions, links; encrypted messages go back")
async def in_words(world: World) -> None:
    """CHAT-35, SEC-16, XEP-0308, XEP-0444, XEP-0461, XEP-0066."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "words")
    link = "https://example.com/rose.png"
    for body, payload, words in (
        ("Romeo", "<replace xmlns='urn:xmpp:message-correct:0' id='m0'/>", "Correction: Romeo"),
        (None, "<reactions xmlns='urn:xmpp:reactions:0' id='m0'><reaction>🌹</reaction></reactions>", "Reaction: 🌹"),
        ("look", f"<x xmlns='jabber:x:oob'><url>{link}</url></x>", f"look\n{link}"),
        ("> quoted\nanswer", "<reply xmlns='urn:xmpp:reply:0' to='a@b' id='m0'/>", "> quoted\nanswer"),
    ):
        juliet.send(write.message(ROMEO, body, id=write.new_id(), thread="words", payload=payload))
        await call.expect(words)
    id = juliet.say(ROMEO, "[encrypted]", thread="words", payload="<encrypted xmlns='urn:xmpp:omemo:2'/>")
    await juliet.expect_error(id, "not-acceptable", "modify", sender=ROMEO)
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="words")
    await world.nothing_else()


@flow("beside text: HTML and bodies of several parts; what is no text is refused")
async def other_types(world: World) -> None:
    """IM-11, IM-12, CHAT-35, MSRP-22, SEC-18."""
    juliet, romeo = await world.start()
    call = await open_from_xmpp(juliet, romeo, "types")
    page = "<p>Good <b>night</b></p><script>alert(1)</script>&amp; <a href='javascript:x'>parting</a>"
    shown = "Good night\n\n& parting"
    parts = "--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--b--\r\n"
    for content_type, body, text in (
        ("text/html", page, shown),
        ("multipart/alternative; boundary=b", parts, "plain"),
        ("multipart/mixed; boundary=b", parts, "plain\n\nx"),
    ):
        sent = call.session.send(body.encode(), content_type, text=text)
        got = await juliet.expect_message(text, sender=ROMEO, thread="types")
        require("alert" not in escape(str(got)), f"SEC-18: {got}")
        equal(await sent.status(), 200, f"answer to {content_type}")
        response = await romeo.message(JULIET_URI, body, content_type=content_type)
        equal(response.status, 200, f"answer to {content_type}")
        await juliet.inbox.take(text)
    for content_type in ("image/png", "application/pkcs7-mime", "multipart/encrypted; boundary=b"):
        sent = call.session.send(parts.encode(), content_type)
        equal(await sent.status(), 415, f"answer to {content_type}")
        response = await romeo.message(JULIET_URI, parts, content_type=content_type)
        equal(response.status, 415, f"answer to {content_type}")
        require(re.search(r"text/plain", response.get("Accept") or ""), f"IM-12: Accept: {response}")
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="types")
    await world.nothing_else()
