"""Who somebody is: passwords both ways, and what trusted networks assert."""

from __future__ import annotations

import re

from ..errors import equal, require
from ..peers.sip import digest
from ..peers.sip.message import SipMessage
from ..servers.base import COMPONENT
from ..world import JULIET_URI, ROMEO, World
from . import flow
from .plain_chat import OPENING

_PASSWORD = "wherefore art thou"
_OWN = {"credentials": [{"realm": "Montague house", "user": "gateway", "password": _PASSWORD}]}


@flow("identity: stox proves itself with its password, to proxy and user")
async def proves_itself(world: World) -> None:
    """SIP-15, SIP-18, SEC-08: 407 and 401 are answered once, with CSeq + 1 and the same Call-ID; a nonce that has become
    stale is renewed; the password is in no log."""
    juliet, romeo = await world.start(config={"sip": _OWN})
    juliet.say(ROMEO, OPENING, thread="proven")
    first = await romeo.expect_invite()
    await first.refuse(407, [("Proxy-Authenticate", digest.challenge("Montague house"))])
    second = await romeo.expect_invite()
    equal(second.call_id, first.call_id, "SIP-18: Call-ID of the second INVITE")
    equal(second.request.cseq[0], first.request.cseq[0] + 1, "SIP-18: CSeq of the second INVITE")
    _require_right(second.request, "Proxy-Authorization")
    call = await second.accept()
    await call.expect(OPENING)
    juliet.leave(ROMEO, "proven")
    await call.expect_bye()

    romeo.message_status = None
    juliet.say(ROMEO, "alone", type="normal")
    message = await romeo.expect_message("alone")
    challenges = [digest.challenge("Montague house", stale=stale, algorithm="MD5") for stale in (False, True)]
    for challenge in challenges:
        message.answer(401, [("WWW-Authenticate", challenge)])
        message = await romeo.expect_message("alone")
        _require_right(message.request, "Authorization")
        nonce = digest.parameters(message.request.one("Authorization"))["nonce"]
        equal(nonce, digest.parameters(challenge)["nonce"], "nonce of the answer")
    message.answer(200)
    require(_PASSWORD not in world.gateway.log(), "SEC-08: the password is in the log")
    await world.nothing_else()


@flow("identity: no password, or a wrong one")
async def not_accepted(world: World) -> None:
    """SIP-15, CORE-21: what is challenged in vain comes back as T9 says; nothing is tried for ever."""
    juliet, romeo = await world.start(config={"sip": _OWN})
    romeo.message_status = None
    id = juliet.say(ROMEO, "to strangers", type="normal")
    message = await romeo.expect_message("to strangers")
    message.answer(401, [("WWW-Authenticate", digest.challenge("Capulet house"))])
    await juliet.expect_error(id, "not-authorized", "auth", sender=ROMEO)
    id = juliet.say(ROMEO, "with a wrong one", type="normal")
    for _ in range(2):
        message = await romeo.expect_message("with a wrong one")
        message.answer(407, [("Proxy-Authenticate", digest.challenge("Montague house"))])
    await juliet.expect_error(id, "registration-required", "auth", sender=ROMEO)
    await world.nothing_else()


@flow("identity: romeo proves himself, others are not taken for him")
async def asks_for_proof(world: World) -> None:
    """SIP-16, CORE-12, SEC-03: 401 before a MESSAGE and an INVITE; a wrong password is 401, somebody else's name 403."""
    users = [{"address": f"{name}@example.net", "password": f"{name}'s"} for name in ("romeo", "paris")]
    juliet, romeo = await world.start(config={"sip": {"users": users}})

    async def challenge(number: int = 0) -> str:
        refused = await romeo.message(JULIET_URI, "nobody hears this", proof=False)
        equal(refused.status, 401, "answer to a MESSAGE without a proof")
        return refused.all("WWW-Authenticate")[number]

    async def prove(user: str, password: str, number: int = 0) -> None:
        asked = await challenge(number)
        romeo.proof = lambda method, uri: digest.answer(asked, method, uri, user, password)

    algorithms = [digest.parameters(await challenge(number))["algorithm"] for number in (0, 1)]
    equal(algorithms, ["SHA-256", "MD5"], "RFC 8760 §2.3: the best algorithm first")
    for number, algorithm in enumerate(algorithms):
        await prove("romeo", "romeo's", number)
        equal((await romeo.message(JULIET_URI, "It is I")).status, 200, f"answer to a proof by {algorithm}")
        await juliet.expect_message("It is I", sender=ROMEO, type=None)
    for user, password, status in (("romeo", "paris's", 401), ("nobody", "romeo's", 401), ("paris", "paris's", 403)):
        await prove(user, password)
        answer = await romeo.message(JULIET_URI, "It is I")
        equal(answer.status, status, f"answer to the proof of {user} with {password} for a From of romeo")
    await prove("romeo", "romeo's")
    call = await romeo.call(JULIET_URI, call_id="proven-call")
    sent = call.session.say(OPENING)
    await juliet.expect_message(OPENING, sender=ROMEO, thread="proven-call")
    equal(await sent.status(), 200, "answer to the SEND")
    romeo.proof = None
    await call.bye()
    await juliet.expect_gone(sender=ROMEO, thread="proven-call")
    await world.nothing_else()


@flow("identity: a trusted network says who it is")
async def asserted(world: World) -> None:
    """CORE-12, SEC-15: P-Asserted-Identity goes before From; who wants privacy stays unknown."""
    juliet, romeo = await world.start(config={"sip": {"trusted": ["127.0.0.0/8"]}})
    romeo.extra = [("P-Asserted-Identity", '"Romeo" <sip:montague@example.org>')]
    answer = await romeo.message(JULIET_URI, "whatever From says")
    equal(answer.status, 200, "answer to MESSAGE")
    sender = f"montague%example.org@{COMPONENT}"
    await juliet.expect_message("whatever From says", sender=sender, type=None)
    juliet.say(sender, "so it is you", type="normal")
    got = await romeo.expect_message("so it is you")
    equal(got.request.uri, "sip:montague@example.org", "Request-URI of the answer")
    call = await romeo.call(JULIET_URI, call_id="asserted")
    sent = call.session.say(OPENING)
    await juliet.expect_message(OPENING, sender=sender, thread="asserted")
    equal(await sent.status(), 200, "answer to the SEND")
    await call.bye()
    await juliet.expect_gone(sender=sender, thread="asserted")
    romeo.extra += [("Privacy", "id")]
    equal((await romeo.message(JULIET_URI, "incognito")).status, 200, "answer to MESSAGE")
    got = await juliet.expect_message("incognito", type=None)
    require(re.fullmatch(rf"anonymous-[0-9a-f]+%anonymous\.invalid@{COMPONENT}", got.sender), f"SEC-15: {got.sender}")
    await world.nothing_else()


@flow("identity: nobody else is believed, and strangers are refused")
async def not_asserted(world: World) -> None:
    """CORE-12, SEC-03: without trusted networks an assertion is nothing; from outside of them every request is 403."""
    juliet, romeo = await world.start()
    romeo.extra = [("P-Asserted-Identity", "<sip:montague@example.org>")]
    equal((await romeo.message(JULIET_URI, "I say so")).status, 200, "answer to MESSAGE")
    await juliet.expect_message("I say so", sender=ROMEO, type=None)
    await world.gateway.terminate()
    world.make_gateway(config={"sip": {"trusted": ["192.0.2.0/24"]}})
    await world.gateway.start()
    equal((await romeo.message(JULIET_URI, "let me in")).status, 403, "answer to a stranger's MESSAGE")
    response, _ = await romeo.dial(JULIET_URI)
    equal(response.status, 403, "answer to a stranger's INVITE")
    await world.nothing_else()


def _require_right(request: SipMessage, header: str) -> None:
    authorization = request.one(header)
    values = digest.parameters(authorization)
    equal((values["username"], values["uri"]), ("gateway", request.uri), f"name and URI in\n{authorization}")
    require(digest.is_right(authorization, request.method, _PASSWORD), f"RFC 7616 §3.4.1: response of\n{authorization}")


@flow("identity: only for some")
async def allowed(world: World) -> None:
    """SEC-04: whom the operator does not name hears `forbidden`, and cannot be reached; the others notice nothing."""
    juliet, romeo = await world.start(config={"xmpp": {"allowed": ["juliet@example.com"]}})
    nurse = await world.add_xmpp_user("nurse", "house")
    for type in ("chat", "normal"):
        id = nurse.say(ROMEO, "commend me to thy lady", type=type)
        await nurse.expect_error(id, "forbidden", "auth", sender=ROMEO)
    for target, status in (("sip:nurse@example.com", 403), (JULIET_URI, 200)):
        answer = await romeo.message(target, "Ay, a thousand times")
        equal(answer.status, status, f"answer to a MESSAGE to {target}")
    await juliet.expect_message("Ay, a thousand times", sender=ROMEO, type=None)
    juliet.say(ROMEO, OPENING, type="normal")
    await romeo.expect_message(OPENING)
    equal(nurse.inbox.waiting(), [], "what the nurse received")
    await world.nothing_else()
