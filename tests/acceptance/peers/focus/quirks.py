"""In what rooms differ from the letter of RFC 7701, RFC 4575 and RFC 6665."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quirks:
    """Without any, a room is as the RFCs describe it."""

    server: str | None = None
    """What Server and s= say."""
    contact_user: str | None = None
    """The user part of the focus's Contact, if it is not the room's."""
    subscribed_by_contact: bool = True
    """Whether its Contact can be subscribed to, too; otherwise 480."""
    subscriptions_refused_at_first: int = 0
    """How many subscriptions of each room are answered 480, as if it were not there yet."""
    full_documents_only: bool = False
    shared_versions: bool = False
    """Versions count what is written for anybody: each subscriber sees gaps, and begins at 2 or later."""
    plain_roster: bool = False
    """Only display-text names the nickname, and there are no roles."""
    escaped_conference: bool = False
    """conf-uris has the room percent-encoded whole."""
    silent_end: bool = False
    """The last NOTIFY has neither body nor reason."""
    nicknames_as_written: bool = False
    """Quotes of Use-Nickname are taken for a part of the nickname."""
    nickname_per_session: bool = False
    """A user's second session cannot have the nickname of the first."""
    asks_reports: bool = False
    """Copies ask for REPORTs, and nobody minds if they never come."""
    bare_line_feeds: bool = False
    """The MIME part of CPIM has LF where CRLF belongs, and its charset is spelt utf8."""
    counts_characters: bool = False
    """Byte-Range counts letters."""
    unquoted_names: bool = False
    """Display names in CPIM have no quotes, and To names the room."""
    welcomes: bool = False
    """A text of the room's greets everybody who comes."""
    tells_comings: bool = False
    """Who comes and goes is told as texts, marked as status."""
    keeps_history: bool = False
    """Who comes gets the last 20 messages with their first DateTime."""
    no_chunks: bool = False
    """A message in several pieces ends the connection."""
    loses_private: bool = False
    """Private messages are answered 200 and go nowhere."""
    minds_from: bool = False
    """What is not from the URI of the INVITE's From is answered 200 and goes nowhere."""
    echoes: bool = False
    """The sender gets a copy, too."""
    wrapped_types: str = "text/plain text/html"
    more_tokens: str = ""
    """Of a=chatroom."""
    no_refer_inside: bool = False
    """REFER inside the INVITE dialog ends in a NOTIFY with 500."""


PLAIN = Quirks()

SYLKSERVER = Quirks(
    server="SylkServer-6.6.1",
    contact_user="sylkserver",
    subscribed_by_contact=False,
    full_documents_only=True,
    shared_versions=True,
    plain_roster=True,
    escaped_conference=True,
    silent_end=True,
    nicknames_as_written=True,
    nickname_per_session=True,
    asks_reports=True,
    bare_line_feeds=True,
    counts_characters=True,
    unquoted_names=True,
    welcomes=True,
    tells_comings=True,
    keeps_history=True,
    no_chunks=True,
    loses_private=True,
    minds_from=True,
    wrapped_types="*",
    more_tokens=" com.ag-projects.screen-sharing com.ag-projects.zrtp-sas",
    no_refer_inside=True,
)
"""As that program was seen on the wire."""
