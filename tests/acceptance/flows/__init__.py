"""The flows, a file per subject. Each cites the requirements it holds the gateway to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module

from ..world import World

Play = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Flow:
    """A named flow, how long it may take in seconds, and whether peers send sound messages only. `once`: it is long, and
    what the XMPP server is makes no difference."""

    name: str
    play: Play
    limit: float
    sound: bool
    once: bool


FLOWS: list[Flow] = []


def flow(name: str, *, limit: float = 60.0, sound: bool = True, once: bool = False) -> Callable[[Play], Play]:
    """Puts a function into the list of flows."""

    def add(play: Play) -> Play:
        assert play.__doc__, f"the flow {name!r} cites its requirements in its docstring"
        FLOWS.append(Flow(name, play, limit, sound, once))
        return play

    return add


#: The files of this folder that hold flows, in the order in which they are run.
_SUBJECTS = (
    "startup",
    "chat_from_xmpp",
    "chat_from_sip",
    "session_timer",
    "secure",
    "identity",
    "transcripts",
    "room_transcripts",
    "bodies",
    "beside_text",
    "pager",
    "refusals",
    "endings",
    "room_join",
    "room_roster",
    "room_messages",
    "room_nick",
    "room_invite",
    "room_end",
    "room_quirks",
    "room_bad_input",
    "muc_join",
    "muc_roster",
    "muc_messages",
    "muc_nick",
    "muc_invite",
    "muc_end",
    "discovery",
    "room_directory",
    "nasty_stanzas",
    "garbage",
    "volume",
    "restart",
    "crash",
    "schedule",
    "sipp",
    "configuration",
)


def load() -> list[Flow]:
    """All flows."""
    for subject in _SUBJECTS:
        import_module(f".{subject}", __name__)
    return FLOWS
