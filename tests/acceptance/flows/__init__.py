"""The flows, a file per subject. Each cites the requirements it holds the gateway to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..world import World

Play = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Flow:
    """A named flow, and how long it may take in seconds."""

    name: str
    play: Play
    limit: float


FLOWS: list[Flow] = []


def flow(name: str, *, limit: float = 60.0) -> Callable[[Play], Play]:
    """Puts a function into the list of flows."""

    def add(play: Play) -> Play:
        assert play.__doc__, f"the flow {name!r} cites its requirements in its docstring"
        FLOWS.append(Flow(name, play, limit))
        return play

    return add


def load() -> list[Flow]:
    """All flows, in the order in which they are run."""
    from . import (  # noqa: F401  each import adds its flows
        bodies,
        chat_from_sip,
        chat_from_xmpp,
        configuration,
        discovery,
        endings,
        garbage,
        nasty_stanzas,
        pager,
        refusals,
        restart,
        sipp,
        startup,
        transcripts,
        volume,
    )

    return FLOWS
