"""Conference documents (RFC 4575) as the room writes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from .quirks import Quirks

TYPE = "application/conference-info+xml"
_CONFERENCE = "urn:ietf:params:xml:ns:conference-info"
_XCON = "urn:ietf:params:xml:ns:xcon-conference-info"


@dataclass
class Endpoint:
    """A device in the room."""

    entity: str
    status: str = "connected"
    disconnection: str | None = None


@dataclass
class Person:
    """Somebody in the room, with any number of devices."""

    entity: str
    display_name: str | None = None
    nickname: str | None = None
    roles: list[str] = field(default_factory=lambda: ["participant"])
    endpoints: list[Endpoint] = field(default_factory=list)
    aors: list[str] = field(default_factory=list)


@dataclass
class Description:
    """What is told of the room itself."""

    entity: str
    subject: str | None = None


def full(about: Description, persons: Iterable[Person], version: int, quirks: Quirks) -> bytes:
    """Everything."""
    persons = list(persons)
    users = "".join(_user(person, "full", quirks) for person in persons)
    return _document(
        about, "full", version,
        _description(about, quirks)
        + f"<conference-state><user-count>{len(persons)}</user-count><active>true</active></conference-state>"
        + f'<users state="full">{users}</users>',
    )  # fmt: skip


def partial(
    about: Description, changed: Iterable[Person], gone: Iterable[str], count: int, version: int, quirks: Quirks
) -> bytes:
    """Who is there anew or changed, and the entities of who left; `count` are there now."""
    users = "".join(_user(person, "full", quirks) for person in changed)
    users += "".join(f'<user entity={quoteattr(entity)} state="deleted"/>' for entity in gone)
    return _document(
        about, "partial", version,
        f"<conference-state><user-count>{count}</user-count></conference-state>"
        f'<users state="partial">{users}</users>',
    )  # fmt: skip


def retitled(about: Description, version: int, quirks: Quirks) -> bytes:
    """The subject has changed."""
    return _document(about, "partial", version, _description(about, quirks))


def deleted(about: Description, version: int) -> bytes:
    """The room is no more."""
    return _document(about, "deleted", version, "")


def _document(about: Description, state: str, version: int, inner: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<conference-info xmlns="{_CONFERENCE}" xmlns:xcon="{_XCON}" entity={quoteattr(about.entity)} '
        f'state="{state}" version="{version}">{inner}</conference-info>\n'
    ).encode()


def _description(about: Description, quirks: Quirks) -> str:
    subject = "" if about.subject is None else f"<subject>{escape(about.subject)}</subject>"
    if not quirks.escaped_conference:
        return f"<conference-description>{subject}</conference-description>"
    uri = f"sip%3A{quote(about.entity.removeprefix('sip:'), safe='')}"
    return (
        f"<conference-description><display-text>Ad-hoc conference</display-text>{subject or '<subject/>'}"
        "<free-text>Hosted by SylkServer</free-text><conf-uris><entry>"
        f"<uri>{uri}</uri><purpose>participation</purpose></entry></conf-uris></conference-description>"
        "<host-info><web-page>http://sylkserver.com</web-page></host-info>"
    )


def _user(person: Person, state: str, quirks: Quirks) -> str:
    name = person.nickname or person.display_name
    nickname = ""
    if person.nickname is not None and not quirks.plain_roster:
        nickname = f" xcon:nickname={quoteattr(person.nickname)}"
    inner = f"<display-text>{escape(name)}</display-text>" if name else ""
    if person.aors:
        entries = "".join(f"<entry><uri>{escape(aor)}</uri></entry>" for aor in person.aors)
        inner += f"<associated-aors>{entries}</associated-aors>"
    if person.roles and not quirks.plain_roster:
        inner += f"<roles>{''.join(f'<entry>{escape(role)}</entry>' for role in person.roles)}</roles>"
    inner += "".join(_endpoint(endpoint, number) for number, endpoint in enumerate(person.endpoints, 1))
    return f'<user entity={quoteattr(person.entity)} state="{state}"{nickname}>{inner}</user>'


def _endpoint(endpoint: Endpoint, number: int) -> str:
    method = f"<disconnection-method>{endpoint.disconnection}</disconnection-method>" if endpoint.disconnection else ""
    return (
        f'<endpoint entity={quoteattr(endpoint.entity)} state="full"><status>{endpoint.status}</status>{method}'
        f'<media id="{number}"><type>message</type><status>sendrecv</status></media></endpoint>'
    )
