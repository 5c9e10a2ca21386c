"""message/cpim as T13 writes it (RFC 3862)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from ..errors import ProtocolViolation


#: What a message that asks for notifications is called.
ASKED_ID = "34jk324j"


def wrap(text: str, sender: str, to: str, asks: str | None = None) -> bytes:
    """A text as a peer that prefers CPIM sends it. `asks`: for which notifications (RFC 5438)."""
    imdn = (
        f"NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: {ASKED_ID}\r\nimdn.Disposition-Notification: {asks}\r\n"
        if asks
        else ""
    )
    return (
        f"From: <{sender}>\r\nTo: <{to}>\r\nDateTime: 2026-01-01T12:00:00Z\r\n{imdn}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    ).encode()


def build(
    text: str, sender: str, to: Sequence[str], *, when: datetime | None = None, headers: Sequence[str] = (),
    content_type: str | None = "text/plain; charset=utf-8",
) -> bytes:  # fmt: skip
    """A text as it goes through a room; `sender` and `to` are From and To values, `when` is now unless given."""
    lines = [f"From: {sender}", *(f"To: {one}" for one in to), f"DateTime: {stamp(when)}", *headers, ""]
    lines += [f"Content-Type: {content_type}", ""] if content_type else [""]
    return "\r\n".join([*lines, text]).encode()


def stamp(when: datetime | None) -> str:
    return (when or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def address(value: str) -> tuple[str, str]:
    """The display name and the URI of a From or To value."""
    match = re.fullmatch(r'(?:"((?:[^"\\]|\\.)*)" *|([^<"]*?) *)<([^>]+)>(?:;\S*)?', value.strip())
    if not match:
        raise ProtocolViolation("RFC 3862 §3.1: a display name and a URI in angle brackets", value)
    return re.sub(r"\\(.)", r"\1", match[1] or "") or match[2] or "", match[3]


def unwrap(data: bytes) -> tuple[dict[str, str], str, bytes]:
    """The CPIM headers, the content's type and the content of the gateway's document, checked by T13."""
    shown = data.decode("utf-8", "replace")

    def ask(condition: object, rule: str) -> None:
        if not condition:
            raise ProtocolViolation(rule, shown)

    head, first, rest = data.partition(b"\r\n\r\n")
    mime, second, body = rest.partition(b"\r\n\r\n")
    ask(first and second, "RFC 3862 §2: headers, empty line, MIME headers, empty line, body")
    headers = dict(_header(line) for line in head.decode().split("\r\n"))
    ask(re.fullmatch(r"(?:[^<]* )?<sips?:[^>]+>", headers.get("From", "")), "RFC 3862 §3.1, T13: From: <sip:…>")
    ask(re.fullmatch(r"(?:[^<]* )?<sips?:[^>]+>", headers.get("To", "")), "RFC 3862 §3.2, T13: To: <sip:…>")
    ask(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", headers.get("DateTime", "")),
        "RFC 3862 §3.4, T13: DateTime",
    )
    types = [line for line in mime.decode().split("\r\n") if line.lower().startswith("content-type:")]
    ask(len(types) == 1, "RFC 3862 §2: one Content-Type in the MIME part")
    content_type = types[0].partition(":")[2].strip()
    is_utf8 = re.search(r"text/plain; *charset=\"?utf-8\"?", content_type, re.I)
    ask(is_utf8 or not content_type.lower().startswith("text/"), "T13: text/plain; charset=utf-8")
    return headers, content_type, body


def _header(line: str) -> tuple[str, str]:
    name, separator, value = line.partition(": ")
    if not separator:
        raise ProtocolViolation("RFC 3862 §2.1: a header is 'Name: value'", line)
    return name, value
