"""An XMPP user: slixmpp does the stream, the flow says and sees plain stanzas."""

from __future__ import annotations

import asyncio
import logging
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import slixmpp

from ..errors import FlowFailed, equal, require
from ..mailbox import PATIENCE, Mailbox
from ..transcript import Transcript
from . import stanza as write
from .stanza import CLIENT, Stanza

logging.getLogger("slixmpp").setLevel(logging.CRITICAL)


class XmppUser:
    """A logged-in account. Everything received that no flow asked for stays in `inbox`."""

    def __init__(self, bare: str, password: str, port: int, transcript: Transcript, resource: str = "balcony") -> None:
        self.bare = bare
        self.full = f"{bare}/{resource}"
        self.name = bare.partition("@")[0]
        self.inbox: Mailbox[Stanza] = Mailbox(self.name)
        self.mailboxes: dict[str, Mailbox[Stanza]] = {}
        """Where presences and messages of a bare address go that is a room to somebody."""
        self._password = password
        self._port = port
        self._transcript = transcript
        self._answers: dict[str, asyncio.Future[Stanza]] = {}
        self._stream: _Stream | None = None

    async def connect(self, timeout: float = 10.0) -> None:
        """Logs in and becomes available; returns when the server has shown the own presence back."""
        stream = _Stream(self.full, self._password, self._received)
        self._stream = stream
        stream.connect("127.0.0.1", self._port)
        try:
            async with asyncio.timeout(timeout):
                await stream.was_bound
                self.send("<presence/>")
                await stream.was_seen
        except TimeoutError:
            raise FlowFailed(f"{self.name} could not log in at 127.0.0.1:{self._port}") from None

    async def reconnect(self, attempts: int = 40) -> None:
        """Logs in again after the connection was lost."""
        for _ in range(attempts):
            self.abort()
            try:
                return await self.connect(timeout=2.0)
            except FlowFailed:
                await asyncio.sleep(0.25)
        raise FlowFailed(f"{self.name} could not log in again")

    @property
    def connected(self) -> bool:
        return self._stream is not None and self._stream.is_connected()

    @property
    def online(self) -> bool:
        """Logged in and seen by the server as available."""
        return self.connected and self._stream is not None and self._stream.was_seen.done()

    def plugin(self, name: str) -> Any:
        """An extension as slixmpp implements it, which knows nothing of these tests."""
        assert self._stream is not None
        self._stream.register_plugin(name)
        return self._stream[name]

    def abort(self) -> None:
        if self._stream is not None:
            self._stream.abort()
            self._stream = None

    async def close(self) -> None:
        if self._stream is not None and self._stream.is_connected():
            await self._stream.disconnect(wait=1.0)
        self._stream = None

    def send(self, xml: str) -> None:
        """Sends XML as it stands, however nasty."""
        require(self.connected, f"{self.name} is not connected")
        assert self._stream is not None
        self._transcript.add(f"{self.name} → stox", xml)
        self._stream.send_raw(xml)

    def say(
        self,
        to: str,
        body: str,
        *,
        thread: str | None = None,
        id: str | None = None,
        type: str | None = "chat",
        subject: str | None = None,
        state: str | None = None,
        payload: str = "",
    ) -> str:
        """Sends a message; its id. `state` is a chat state, `payload` XML that goes in as it stands."""
        id = id or write.new_id()
        payload += f"<{state} xmlns='{write.CHAT_STATES[1:-1]}'/>" if state else ""
        self.send(write.message(to, body, id=id, type=type, thread=thread, subject=subject, payload=payload))
        return id

    def state(self, to: str, state: str, thread: str | None) -> None:
        """Tells a chat state without a message (XEP-0085)."""
        self.send(write.state(to, state, thread))

    def leave(self, to: str, thread: str | None) -> None:
        """Leaves the conversation (`gone`)."""
        self.state(to, "gone", thread)

    async def ask(self, to: str, payload: str, type: str = "get", timeout: float = PATIENCE) -> Stanza:
        """An IQ and its answer."""
        id = write.new_id()
        answer: asyncio.Future[Stanza] = asyncio.get_running_loop().create_future()
        self._answers[id] = answer
        self.send(f"<iq type='{type}' to='{to}' id='{id}'>{payload}</iq>")
        try:
            return await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            raise FlowFailed(f"{self.name} got no answer in {timeout:g} s to the IQ {payload}") from None
        finally:
            del self._answers[id]

    async def expect_message(
        self,
        body: str,
        *,
        sender: str | None = None,
        thread: str | None = None,
        type: str | None = "chat",
        timeout: float = PATIENCE,
    ) -> Stanza:
        """The next stanza is this message."""
        got = await self.inbox.take(f"the message {body!r}", timeout)
        equal((got.kind, got.body), ("message", body), f"{self.name} received {got}\nkind and body")
        equal(got.type if got.type != "normal" else None, type, f"type of {got}")
        if sender is not None:
            equal(got.sender.partition("/")[0], sender, f"sender of {got}")
        if thread is not None:
            equal(got.thread, thread, f"thread of {got}")
        return got

    async def expect_receipt(self, id: str, *, sender: str | None = None, thread: str | None = None) -> Stanza:
        """The next stanza is a receipt for the message `id`, and nothing else (RCPT-02)."""
        got = await self.inbox.take(f"a receipt for {id}")
        equal((got.received, got.body, got.chat_state), (id, None, None), f"{self.name} received {got}\nreceipt")
        require(got.id and got.id != id, f"a receipt has an id of its own: {got}")
        if sender is not None:
            equal(got.sender.partition("/")[0], sender, f"sender of {got}")
        if thread is not None:
            equal(got.thread, thread, f"thread of {got}")
        return got

    async def expect_gone(self, *, sender: str | None = None, thread: str | None = None) -> Stanza:
        """The next stanza says that the other side left."""
        return await self.expect_state("gone", sender=sender, thread=thread)

    async def expect_state(self, state: str, *, sender: str | None = None, thread: str | None = None) -> Stanza:
        """The next stanza is this chat state alone (COMP-03)."""
        got = await self.inbox.take(state)
        equal((got.kind, got.chat_state, got.body), ("message", state, None), f"{self.name} received {got}\nchat state")
        equal(got.type, "chat", f"type of {got}")
        if sender is not None:
            equal(got.sender.partition("/")[0], sender, f"sender of {got}")
        if thread is not None:
            equal(got.thread, thread, f"thread of {got}")
        return got

    async def expect_error(
        self, id: str, condition: str, type: str, *, sender: str | None = None, timeout: float = PATIENCE
    ) -> Stanza:
        """The next stanza gives back the message `id`, with this condition and error type."""
        got = await self.inbox.take(f"the error {condition} for {id}", timeout)
        require(got.type == "error" and got.error, f"{self.name} expected an error, received {got}")
        assert got.error is not None
        equal((got.id, got.error.condition, got.error.type), (id, condition, type), f"id, condition and type of {got}")
        if sender is not None:
            equal(got.sender, sender, f"sender of {got}")
        return got

    def _received(self, xml: ET.Element) -> None:
        stanza = Stanza(xml)
        own = stanza.sender in ("", self.bare, self.full)
        if (own and stanza.kind != "message") or not xml.tag.startswith(CLIENT):
            return
        self._transcript.add(f"stox → {self.name}", str(stanza))
        answer = self._answers.get(stanza.id or "")
        if stanza.kind == "iq" and stanza.type in ("result", "error"):
            if answer is not None and not answer.done():
                answer.set_result(stanza)
            return
        self.mailboxes.get(stanza.sender.partition("/")[0], self.inbox).put(stanza)

    def unasked(self) -> list[str]:
        """What came that no flow has looked at."""
        return [str(stanza) for box in (self.inbox, *self.mailboxes.values()) for stanza in box.waiting()]


class _Stream(slixmpp.ClientXMPP):
    """slixmpp with the raw stanzas handed out before anything is made of them."""

    def __init__(self, jid: str, password: str, received: Callable[[ET.Element], None]) -> None:
        super().__init__(jid, password)
        self.enable_direct_tls = False
        self.enable_starttls = False
        self.enable_plaintext = True
        self["feature_mechanisms"].unencrypted_plain = True
        loop = asyncio.get_running_loop()
        self.was_bound: asyncio.Future[None] = loop.create_future()
        self.was_seen: asyncio.Future[None] = loop.create_future()
        self._hand_out = received
        self._own = jid
        self.add_event_handler("session_start", lambda _: _settle(self.was_bound))

    def incoming_filter(self, xml: ET.Element) -> ET.Element:
        if xml.tag == f"{CLIENT}presence" and xml.get("from") == self._own:
            _settle(self.was_seen)
        self._hand_out(xml)
        return xml


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
