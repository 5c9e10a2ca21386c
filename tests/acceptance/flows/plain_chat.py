"""Steps that many flows share: a chat opened from either side, a word each way."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from ..errors import equal
from ..peers import sdp
from ..peers.sip.call import Call
from ..peers.sip.user import SipUser
from ..peers.xmpp_user import XmppUser
from ..world import JULIET_URI, ROMEO

OPENING = "Art thou not Romeo, and a Montague?"


async def open_from_xmpp(
    juliet: XmppUser, romeo: SipUser, thread: str, *, to: str = ROMEO, setup: str = "passive",
    accept_types: str = sdp.PLAIN_TYPES,
) -> Call:  # fmt: skip
    """Juliet writes, romeo takes the call and reads the message."""
    juliet.say(to, OPENING, thread=thread)
    invite = await romeo.expect_invite()
    call = await invite.accept(setup=setup, accept_types=accept_types)
    await call.expect(OPENING)
    return call


async def open_from_sip(
    juliet: XmppUser, romeo: SipUser, call_id: str, *, setup: str = "actpass", headers: Sequence[tuple[str, str]] = (),
    accept_types: str = sdp.PLAIN_TYPES,
) -> tuple[Call, str]:  # fmt: skip
    """Romeo calls and writes, juliet reads; the call, and the JID romeo has for her."""
    call = await romeo.call(JULIET_URI, call_id=call_id, setup=setup, headers=headers, accept_types=accept_types)
    sent = call.session.say(OPENING)
    got = await juliet.expect_message(OPENING, sender=ROMEO, thread=call_id)
    equal(await sent.status(), 200, "answer to the SEND")
    return call, got.sender


async def exchange(juliet: XmppUser, call: Call, to: str, thread: str) -> None:
    """One message each way in an open chat."""
    mark = secrets.token_hex(3)
    juliet.say(to, f"from juliet {mark}", thread=thread)
    await call.expect(f"from juliet {mark}")
    sent = call.session.say(f"from romeo {mark}")
    await juliet.expect_message(f"from romeo {mark}", sender=to.partition("/")[0], thread=thread)
    equal(await sent.status(), 200, "answer to the SEND")
