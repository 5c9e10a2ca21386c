"""How a flow fails."""

from __future__ import annotations


class FlowFailed(AssertionError):
    """Something else happened than the flow asked for."""


class ProtocolViolation(FlowFailed):
    """The gateway sent something its RFC forbids; says which rule and shows the message."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}\n--- offending message ---\n{message}")


def require(condition: object, text: str) -> None:
    """Fails the flow with `text` unless the condition holds."""
    if not condition:
        raise FlowFailed(text)


def equal(got: object, expected: object, what: str) -> None:
    """Fails the flow unless both are equal, showing both."""
    if got != expected:
        raise FlowFailed(f"{what}:\n  expected {expected!r}\n  got      {got!r}")
