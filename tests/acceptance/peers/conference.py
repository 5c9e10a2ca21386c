"""What a participant knows of a room: the gateway's conference documents, checked and applied (RFC 4575 §4.6, T16)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from ..errors import ProtocolViolation

_CONFERENCE = "{urn:ietf:params:xml:ns:conference-info}"
_XCON = "{urn:ietf:params:xml:ns:xcon-conference-info}"
#: The order of elements in the schema (RFC 4575 §5).
_ORDER = {
    "conference-info": (
        "conference-description", "host-info", "conference-state", "users", "sidebars-by-ref", "sidebars-by-val",
    ),
    "conference-description": (
        "display-text", "subject", "free-text", "keywords", "conf-uris", "service-uris", "maximum-user-count",
        "available-media",
    ),
    "conference-state": ("user-count", "active", "locked"),
    "users": ("user",),
    "user": ("display-text", "associated-aors", "roles", "languages", "cascaded-focus", "endpoint"),
    "endpoint": (
        "display-text", "referred", "status", "joining-method", "joining-info", "disconnection-method",
        "disconnection-info", "media", "call-info",
    ),
    "media": ("display-text", "type", "label", "src-id", "status"),
    "roles": ("entry",),
    "associated-aors": ("entry",),
    "entry": ("uri", "display-text", "purpose", "modified"),
}  # fmt: skip


@dataclass(frozen=True)
class Occupant:
    """A user element."""

    entity: str
    nickname: str | None
    display_text: str | None
    roles: tuple[str, ...]
    aors: tuple[str, ...]
    statuses: tuple[str, ...]
    """Of its endpoints."""


@dataclass
class Roster:
    """The copy of the room that documents keep up to date."""

    uri: str
    version: int | None = None
    subject: str | None = None
    count: int | None = None
    by_entity: dict[str, Occupant] = field(default_factory=dict)
    complete: bool = False
    documents: list[str] = field(default_factory=list)
    """Every one that came, by its state."""

    @property
    def nicknames(self) -> set[str]:
        return {occupant.nickname or "" for occupant in self.by_entity.values()}

    def named(self, nickname: str) -> Occupant | None:
        return next((one for one in self.by_entity.values() if one.nickname == nickname), None)

    def apply(self, body: bytes) -> None:
        shown = body.decode("utf-8", "replace")

        def ask(condition: object, rule: str) -> None:
            if not condition:
                raise ProtocolViolation(rule, shown)

        ask(body.startswith(b"<?xml"), "RS-17: an XML declaration")
        root = ET.fromstring(body)
        ask(root.tag == f"{_CONFERENCE}conference-info", "RFC 4575 §5.1: the root and its namespace")
        ask(root.get("entity") == self.uri, f"RS-17: the entity is {self.uri}")
        _check_order(root, shown)
        state, version = root.get("state", "full"), int(root.get("version", "-1"))
        ask(state in ("full", "partial", "deleted"), "RFC 4575 §5.1: state")
        ask(version == (self.version or 0) + 1, f"RS-17: the version after {self.version}")
        ask(state != "partial" or self.complete, "RFC 4575 §4.4: a full document comes before a partial one")
        self.version = version
        self.documents.append(state)
        subject = root.find(f"{_CONFERENCE}conference-description/{_CONFERENCE}subject")
        if subject is not None:
            self.subject = subject.text or ""
        count = root.findtext(f"{_CONFERENCE}conference-state/{_CONFERENCE}user-count")
        if count is not None:
            self.count = int(count)
        users = root.find(f"{_CONFERENCE}users")
        if state == "full" or (users is not None and users.get("state", "full") == "full"):
            self.by_entity.clear()
        for user in users if users is not None else ():
            entity = user.get("entity", "")
            ask(entity.startswith(f"{self.uri};gr="), "RS-17, T16: a user's entity is sip:room;gr=nick")
            if user.get("state") == "deleted":
                ask(entity in self.by_entity, "RS-18: who is said to leave was there")
                del self.by_entity[entity]
            else:
                self.by_entity[entity] = _occupant(user, entity, shown)
        self.complete = self.complete or state == "full"
        ask(self.count is None or self.count == len(self.by_entity), f"T16: user-count is {len(self.by_entity)}")


def _occupant(user: ET.Element, entity: str, shown: str) -> Occupant:
    nickname, display_text = user.get(f"{_XCON}nickname"), user.findtext(f"{_CONFERENCE}display-text")
    if nickname is None or nickname != display_text:
        raise ProtocolViolation("T16: the nickname is xcon:nickname and display-text, both", shown)
    for endpoint in user.findall(f"{_CONFERENCE}endpoint"):
        media = endpoint.findall(f"{_CONFERENCE}media")
        if not media or any(one.get("id") is None for one in media):
            raise ProtocolViolation("T16: an endpoint has media with an id", shown)
        if media[0].findtext(f"{_CONFERENCE}type") != "message":
            raise ProtocolViolation("T16: the media's type is message", shown)
    path = f"{_CONFERENCE}associated-aors/{_CONFERENCE}entry/{_CONFERENCE}uri"
    return Occupant(
        entity,
        nickname,
        display_text,
        tuple(entry.text or "" for entry in user.findall(f"{_CONFERENCE}roles/{_CONFERENCE}entry")),
        tuple(uri.text or "" for uri in user.findall(path)),
        tuple(user.findtext(f"{_CONFERENCE}status") or "" for user in user.findall(f"{_CONFERENCE}endpoint")),
    )


def _check_order(element: ET.Element, shown: str) -> None:
    name = element.tag.removeprefix(_CONFERENCE)
    children = [child.tag.removeprefix(_CONFERENCE) for child in element if child.tag.startswith(_CONFERENCE)]
    order = _ORDER.get(name)
    if order is not None:
        if not set(children) <= set(order):
            raise ProtocolViolation(f"RFC 4575 §5: what may stand in {name}: {children}", shown)
        if children != sorted(children, key=order.index):
            raise ProtocolViolation(f"RFC 4575 §5: the order in {name}: {children}", shown)
    for child in element:
        _check_order(child, shown)
