"""A stanza as the XMPP user received it, and the writing of stanzas."""

from __future__ import annotations

import secrets
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

CLIENT = "{jabber:client}"
STANZA_ERRORS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
CHAT_STATES = "{http://jabber.org/protocol/chatstates}"
RECEIPTS = "{urn:xmpp:receipts}"
MARKERS = "{urn:xmpp:chat-markers:0}"
DELAY = "{urn:xmpp:delay}"


@dataclass(frozen=True)
class StanzaError:
    """The error of a stanza: the condition's name, the type attribute, the text."""

    condition: str
    type: str
    text: str | None


@dataclass(frozen=True)
class Stanza:
    """One received stanza; the XML says everything, the properties what flows ask for."""

    xml: ET.Element

    @property
    def kind(self) -> str:
        return self.xml.tag.removeprefix(CLIENT)

    @property
    def sender(self) -> str:
        return self.xml.get("from", "")

    @property
    def to(self) -> str:
        return self.xml.get("to", "")

    @property
    def id(self) -> str | None:
        return self.xml.get("id")

    @property
    def type(self) -> str | None:
        return self.xml.get("type")

    @property
    def body(self) -> str | None:
        return self._text("body")

    @property
    def thread(self) -> str | None:
        return self._text("thread")

    @property
    def subject(self) -> str | None:
        return self._text("subject")

    @property
    def chat_state(self) -> str | None:
        states = [child.tag.removeprefix(CHAT_STATES) for child in self.xml if child.tag.startswith(CHAT_STATES)]
        return states[0] if states else None

    @property
    def receipt_asked(self) -> bool:
        return self.xml.find(f"{RECEIPTS}request") is not None

    @property
    def received(self) -> str | None:
        """The id of the message that this is a receipt for (XEP-0184)."""
        received = self.xml.find(f"{RECEIPTS}received")
        return None if received is None else received.get("id")

    @property
    def markable(self) -> bool:
        return self.xml.find(f"{MARKERS}markable") is not None

    @property
    def displayed(self) -> str | None:
        """The id of the message that this says was seen (XEP-0333)."""
        displayed = self.xml.find(f"{MARKERS}displayed")
        return None if displayed is None else displayed.get("id")

    @property
    def delayed(self) -> bool:
        return self.xml.find(f"{DELAY}delay") is not None

    @property
    def error(self) -> StanzaError | None:
        error = self.xml.find(f"{CLIENT}error")
        if error is None:
            return None
        conditions = [c.tag.removeprefix(STANZA_ERRORS) for c in error if c.tag.startswith(STANZA_ERRORS)]
        names = [name for name in conditions if name != "text"]
        text = error.find(f"{STANZA_ERRORS}text")
        return StanzaError(
            condition=names[0] if names else "",
            type=error.get("type", ""),
            text=None if text is None else text.text or "",
        )

    def _text(self, name: str) -> str | None:
        child = self.xml.find(f"{CLIENT}{name}")
        return None if child is None else child.text or ""

    def __str__(self) -> str:
        try:
            text = ET.tostring(self.xml, encoding="unicode")
        except RecursionError:
            return f"<{self.kind} …nested too deeply to be shown…>"
        return text.replace(' xmlns:ns0="jabber:client"', "").replace("ns0:", "")


def message(
    to: str,
    body: str | None = None,
    *,
    id: str | None = None,
    type: str | None = "chat",
    thread: str | None = None,
    subject: str | None = None,
    payload: str = "",
) -> str:
    """The XML of a message; `payload` is XML that goes in as it stands."""
    attributes = {"to": to, "id": id, "type": type}
    head = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items() if value is not None)
    children = {"subject": subject, "thread": thread, "body": body}
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in children.items() if value is not None)
    return f"<message{head}>{inner}{payload}</message>"


def state(to: str, state: str, thread: str | None) -> str:
    """The XML of a chat state without a message (XEP-0085)."""
    return message(to, thread=thread, payload=f"<{state} xmlns='{CHAT_STATES[1:-1]}'/>")


def receipt(to: str, id: str, thread: str | None, type: str | None = "chat") -> str:
    """The XML of a receipt for the message `id` (XEP-0184)."""
    payload = f"<received xmlns='{RECEIPTS[1:-1]}' id={quoteattr(id)}/>"
    return message(to, id=new_id(), type=type, thread=thread, payload=payload)


def displayed(to: str, id: str, thread: str | None, type: str | None = "chat") -> str:
    """The XML of the notice that the message `id` was seen (XEP-0333)."""
    payload = f"<displayed xmlns='{MARKERS[1:-1]}' id={quoteattr(id)}/>"
    return message(to, id=new_id(), type=type, thread=thread, payload=payload)


def new_id() -> str:
    return f"m{secrets.token_hex(6)}"
