"""What became of every message, as its reader and its writer saw it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ...peers.msrp.session import Sent
from ...peers.xmpp_user import XmppUser
from ...tap import Tap

#: What the gateway had for so long before a connection was cut or itself killed, it must account for, in seconds.
_ACCEPTED = 0.1
#: An answer that was given so short a time before a connection was cut may not have been read, in seconds.
_ON_ITS_WAY = 0.3
#: And so long before the gateway was killed it may not have been written to the disk.
_UNWRITTEN = 0.6


@dataclass
class Shown:
    """A message of juliet's as romeo's client got it."""

    path: str
    """Of the MSRP session; the Call-ID of a MESSAGE."""
    message_id: str
    status: int
    at: float
    again: bool
    """It had been there before under the same Message-ID: it is not shown another time (RFC 4975 §5.4)."""
    answered_at: float
    """When the answer leaves."""


@dataclass
class Said:
    """A message of romeo's."""

    text: str
    path: str | None
    """Of the MSRP session; None for a MESSAGE."""
    at: float
    sends: list[Sent] = field(default_factory=list)
    status: int | None = None
    answered_at: float | None = None

    def answered(self, status: int) -> None:
        if self.status != 200:
            self.status, self.answered_at = status, time.monotonic()

    def __str__(self) -> str:
        answer = f"answered {self.status} at {self.answered_at:.3f}" if self.answered_at else "without answer"
        way = f"in {self.path[-13:]}" if self.path else "by MESSAGE"
        return f"{self.text!r} said at {self.at:.3f} {way}{' more than once' if len(self.sends) > 1 else ''}, {answer}"


@dataclass
class Breakage:
    """Something was cut. `paths`: the MSRP sessions that it took; none for the link to the XMPP server."""

    what: str
    at: float
    paths: set[str] = field(default_factory=set)


class Fates:
    """Written down by both users, and by the schedule what it broke."""

    def __init__(self) -> None:
        self.written: dict[str, float] = {}
        """juliet's messages by id, which is their text as well, and when she wrote them."""
        self.shown: dict[str, list[Shown]] = defaultdict(list)
        self.said: list[Said] = []
        self.call_by_path: dict[str, int] = {}
        self.ended_calls: set[int] = set()
        self.breakages: list[Breakage] = []

    def broke(self, what: str, paths: set[str] | None = None) -> None:
        self.breakages.append(Breakage(what, time.monotonic(), paths or set()))

    def broken_since(self, at: float, *whats: str, path: str | None = None) -> bool:
        return any(
            breakage.at > at - _ON_ITS_WAY
            and (breakage.what in whats)
            and (breakage.what != "msrp" or path is None or path in breakage.paths)
            for breakage in self.breakages
        )

    def tally(self, juliet: XmppUser, tap: Tap) -> str:
        """How often what happened."""
        read = Counter(shown.status for all_shown in self.shown.values() for shown in all_shown if not shown.again)
        again = sum(shown.again for all_shown in self.shown.values() for shown in all_shown)
        given_back = sum(stanza.error is not None for stanza in juliet.inbox.waiting())
        return (
            f"juliet wrote {len(self.written)}, {len(tap.handed_over())} reached the gateway, shown {dict(read)}, "
            f"sent again {again}, given back {given_back}; "
            f"romeo said {len(self.said)}, answered {dict(Counter(said.status for said in self.said))}, "
            f"sent again {sum(len(said.sends) > 1 for said in self.said)}; "
            f"broken {dict(Counter(breakage.what for breakage in self.breakages))}"
        )

    def progress(self) -> int:
        """Grows while messages still arrive anywhere."""
        return sum(map(len, self.shown.values())) + sum(said.status is not None for said in self.said)

    def faults(self, juliet: XmppUser, tap: Tap) -> list[str]:
        return [*self._of_juliet(juliet, tap), *self._of_romeo(juliet, tap), *self._of_order(juliet)]

    def _of_juliet(self, juliet: XmppUser, tap: Tap) -> list[str]:
        faults = []
        came_back = {stanza.id for stanza in juliet.inbox.waiting() if stanza.error is not None}
        by_gateway = tap.ids_given_back()
        for message in tap.handed_over():
            if message.id not in self.written:
                continue
            read = [shown for shown in self.shown[message.id] if shown.status == 200 and not shown.again]
            life = f"{message.id!r} reached the gateway at {message.at:.3f}"
            if not read and message.id not in came_back and self._was_taken(message.at, message.ended):
                others = [shown for shown in self.shown[message.id]]
                faults.append(f"{life} and vanished {others or ''}")
            if len(read) > 1 and not all(map(self._is_uncertain, read[:-1])):
                faults.append(f"{life} and romeo read it {len(read)} times: {read}")
            if read and message.id in by_gateway and not all(map(self._is_uncertain, read)):
                faults.append(f"{life}, romeo read it and it was given back: {read}")
        return faults

    def _of_romeo(self, juliet: XmppUser, tap: Tap) -> list[str]:
        faults = []
        read: dict[str, int] = defaultdict(int)
        for stanza in juliet.inbox.waiting():
            if stanza.error is None and stanza.body:
                read[stanza.body] += 1
        for said in self.said:
            times = read[said.text]
            outstanding = [
                breakage.what
                for breakage in self.breakages
                if said.at - _ON_ITS_WAY < breakage.at < (said.answered_at or breakage.at) + _ON_ITS_WAY
            ]
            if said.status == 200 and not times and not tap.server_took(said.text):
                faults.append(f"{said}, and juliet never read it")
            if said.status not in (200, None) and times and not {"link", "gateway"} & set(outstanding):
                faults.append(f"{said}, and juliet read it")
            # He sent again what the gateway could not know to be taken.
            by_himself = times <= len(said.sends) and "link" in outstanding
            if times > 1 and "gateway" not in outstanding and not by_himself:
                faults.append(f"{said}, and juliet read it {times} times")
            if said.status is None and not self._may_stay_unanswered(said):
                faults.append(str(said))
        return faults

    def _of_order(self, juliet: XmppUser) -> list[str]:
        """Within a call, whatever sessions it had one after the other."""
        to_romeo: dict[tuple[int, str], list[tuple[float, int]]] = defaultdict(list)
        for text, all_shown in self.shown.items():
            thread, _, number = text.partition("-")
            for shown in all_shown:
                if not shown.again and shown.path in self.call_by_path:
                    to_romeo[self.call_by_path[shown.path], thread].append((shown.at, int(number)))
        faults = [
            f"call {call}: romeo read what juliet wrote in {thread!r} out of order: {numbers}"
            for (call, thread), seen in to_romeo.items()
            if (numbers := [number for _, number in sorted(seen)]) != sorted(numbers)
        ]
        said_once = {said.text: said for said in self.said if said.path and len(said.sends) == 1}
        to_juliet: dict[int, list[int]] = defaultdict(list)
        for stanza in juliet.inbox.waiting():
            if stanza.error is None and (said := said_once.get(stanza.body or "")):
                to_juliet[self.call_by_path.get(said.path or "", -1)].append(int(said.text.partition("-")[2]))
        return faults + [
            f"call {call}: juliet read what romeo wrote out of order: {numbers}"
            for call, numbers in to_juliet.items()
            if numbers != sorted(numbers)
        ]

    def _was_taken(self, at: float, ended: float | None) -> bool:
        ends = [breakage.at for breakage in self.breakages if breakage.what == "gateway"]
        return all(not end - _ACCEPTED < at < end + _ACCEPTED for end in [*ends, *([ended] if ended else [])])

    def _is_uncertain(self, shown: Shown) -> bool:
        """The gateway may not have got the answer."""
        return any(
            (breakage.what == "gateway" and shown.at <= breakage.at < shown.answered_at + _UNWRITTEN)
            or (shown.path in breakage.paths and shown.at <= breakage.at < shown.answered_at + _ON_ITS_WAY)
            for breakage in self.breakages
        )

    def _may_stay_unanswered(self, said: Said) -> bool:
        if said.path is None:
            return self.broken_since(said.at, "gateway")
        over = self.call_by_path.get(said.path, -1) in self.ended_calls
        return over or self.broken_since(said.at, "gateway", "msrp", path=said.path)
