"""The record of a flow: who said what to whom, printed when the flow fails."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_SHOWN_ENTRIES = 160
_SHOWN_BYTES = 3_000


@dataclass
class Transcript:
    """Every message both sides saw, in the order in which they saw them."""

    started: float = field(default_factory=time.monotonic)
    entries: list[tuple[float, str, str]] = field(default_factory=list)

    def add(self, who: str, text: str | bytes) -> None:
        """`who` is like `juliet → stox`; the text is the message as it was on the wire."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        self.entries.append((time.monotonic() - self.started, who, text))

    def note(self, text: str) -> None:
        """What the flow itself did: a server killed, a connection cut."""
        self.add("·", text)

    def render(self) -> str:
        """The last entries, one block each, indented."""
        shown = self.entries[-_SHOWN_ENTRIES:]
        lines = []
        if len(shown) < len(self.entries):
            lines.append(f"    ({len(self.entries) - len(shown)} earlier messages left out)")
        for at, who, text in shown:
            if len(text) > _SHOWN_BYTES:
                text = f"{text[:_SHOWN_BYTES]} … ({len(text)} characters in all)"
            body = "\n".join(f"             {line}" for line in text.rstrip().splitlines())
            lines.append(f"    {at:7.3f}  {who}\n{body}")
        return "\n".join(lines)
