"""The session descriptions of chats and rooms: written as a peer would, read by mappings T11 and T12."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ProtocolViolation

PLAIN_TYPES = "text/plain application/im-iscomposing+xml"
CPIM_TYPES = "message/cpim text/plain application/im-iscomposing+xml"
WRAPPED_TYPES = "text/plain text/html application/im-iscomposing+xml"
ROOM_TYPES = "message/cpim"
CHATROOM = "a=chatroom:nickname private-messages"
_PROTOCOLS = {"msrp": "TCP/MSRP", "msrps": "TCP/TLS/MSRP"}


@dataclass(frozen=True)
class ChatMedia:
    """The MSRP line of a description."""

    host: str
    port: int
    path: str
    setup: str | None
    accept_types: list[str]
    accept_wrapped_types: list[str]
    max_size: int | None
    fingerprint: str | None
    chatroom: list[str] | None
    """What a room can do, or who wants to be in one; None in chats between two."""


def write(
    path: str, *, setup: str, accept_types: str = PLAIN_TYPES, version: int = 1, fingerprint: str | None = None,
    more: Sequence[str] = (), name: str = "-", wrapped: str = WRAPPED_TYPES,
) -> bytes:  # fmt: skip
    """The tests' own offer or answer."""
    host, port = re.match(r"msrps?://([^:/]+):(\d+)/", path).groups()  # type: ignore[union-attr]
    lines = [
        "v=0",
        f"o=- 2890844526 {version} IN IP4 {host}",
        f"s={name}",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=message {9 if setup == 'active' else port} {_PROTOCOLS[path.partition(':')[0]]} *",
        f"a=accept-types:{accept_types}",
        f"a=accept-wrapped-types:{wrapped}",
        f"a=path:{path}",
        f"a=setup:{setup}",
        *([f"a=fingerprint:{fingerprint}"] if fingerprint else []),
        *more,
        "",
    ]
    return "\r\n".join(lines).encode()


def audio_offer(host: str, port: int) -> bytes:
    """What a telephone offers: no chat at all."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    ).encode()


def read(data: bytes, kind: str, *, room: bool = False) -> ChatMedia:
    """Reads the gateway's `offer` or `answer` and checks every line of mapping T11, or T12 for a `room`."""
    text = data.decode("utf-8", "replace")

    def ask(condition: object, rule: str) -> None:
        if not condition:
            raise ProtocolViolation(f"{kind}: {rule}", text)

    ask(text.endswith("\r\n") and "\n" not in text.replace("\r\n", ""), "RFC 4566 §5: lines end in CRLF")
    lines = text.split("\r\n")[:-1]
    ask(all(re.match(r"^[a-z]=", line) for line in lines), "RFC 4566 §5: every line is <letter>=<value>")
    session = [line for line in lines[: next((i for i, x in enumerate(lines) if x.startswith("m=")), len(lines))]]
    order = "".join(line[0] for line in session if line[0] != "a")
    ask(re.fullmatch(r"vosc?t", order), f"RFC 4566 §5: session lines v o s (c) t, got {order}")
    ask(lines[0] == "v=0", "RFC 4566 §5.1: v=0")
    ask(re.fullmatch(r"o=- \d+ \d+ IN IP[46] \S+", lines[1]), "CHAT-05, T11: o=- <id> <version> IN IP4 <host>")
    ask(lines[2] == "s=-", "CHAT-05, T11: s=-")
    ask("t=0 0" in session, "CHAT-05, T11: t=0 0")
    media_lines = [line for line in lines if line.startswith("m=")]
    media_match = [m for line in media_lines if (m := re.fullmatch(r"m=message (\d+) (TCP(/TLS)?/MSRP) \*", line))]
    ask(len(media_match) == 1, "RFC 4975 §8.1: one line m=message <port> TCP/MSRP *")
    port = int(media_match[0][1])
    section = _section_of(lines, media_match[0][0])
    connections = [line for line in session + section if line.startswith("c=")]
    ask(len(connections) >= 1, "RFC 4566 §5.7: c=")
    connection = re.fullmatch(r"c=IN IP[46] (\S+)", connections[-1])
    ask(connection, "RFC 4566 §5.7: c=IN IP4 <host>")
    assert connection is not None
    attributes: dict[str, str] = {}
    for line in section:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            ask(name not in attributes, f"a={name} is double")
            attributes[name] = value
    ask("path" in attributes, "RFC 4975 §8.2: a=path")
    path = re.fullmatch(r"msrps?://([A-Za-z0-9.\-]+|\[[0-9a-f:.]+\]):(\d+)/([A-Za-z0-9._~+=-]+);tcp", attributes["path"])
    scheme = attributes["path"].partition(":")[0]
    ask(_PROTOCOLS.get(scheme) == media_match[0][2], "SEC-07: the protocol of m= and the scheme of a=path agree")
    ask(("fingerprint" in attributes) == (scheme == "msrps"), "SEC-07: a=fingerprint where there is TLS")
    ask(path, "RFC 4975 §6, MSRP-01: a=path is one URI msrp://host:port/id;tcp")
    assert path is not None
    ask(path[1] == connection[1], "CHAT-05, T11: c= is the host of the path")
    ask(port in (int(path[2]), 9 if kind == "answer" else int(path[2])), "RFC 4975 §8.1: m= port is that of the path")
    ask(len(path[3]) >= 14, "MSRP-01: the session id has at least 80 random bits")
    ask("accept-types" in attributes, "RFC 4975 §8.6: a=accept-types")
    accept_types = attributes["accept-types"].split(" ")
    ask(accept_types[0] == "message/cpim", "MSRP-22: message/cpim is first in accept-types")
    if room:
        ask(accept_types == ["message/cpim"], "RFC 7701 §5.2, T12: accept-types is message/cpim alone")
        ask("chatroom" in attributes, "RFC 7701 §8, T12: a=chatroom")
        ask("text/plain" in attributes.get("accept-wrapped-types", "").split(), "T12: accept-wrapped-types has text/plain")
    else:
        ask("text/plain" in accept_types, "MSRP-21: accept-types has text/plain")
        ask("chatroom" not in attributes, "CHAT-05, T11: no a=chatroom")
    if kind == "offer":
        ask(attributes.get("setup") == "actpass", "MSRP-06: an offer has a=setup:actpass")
    else:
        ask(attributes.get("setup") in ("active", "passive"), "MSRP-06: an answer has a=setup:active or passive")
    ask(attributes.get("max-size", "").isdigit(), "CHAT-05, T11: a=max-size")
    return ChatMedia(
        host=path[1],
        port=int(path[2]),
        path=attributes["path"],
        setup=attributes.get("setup"),
        accept_types=accept_types,
        accept_wrapped_types=attributes.get("accept-wrapped-types", "").split(),
        max_size=int(attributes["max-size"]),
        fingerprint=attributes.get("fingerprint"),
        chatroom=attributes["chatroom"].split(" ") if "chatroom" in attributes else None,
    )


def _section_of(lines: list[str], media_line: str) -> list[str]:
    section: list[str] = []
    inside = False
    for line in lines:
        if line.startswith("m="):
            inside = line == media_line
        elif inside:
            section.append(line)
    return section
