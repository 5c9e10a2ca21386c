"""What a peer received and nobody has looked at yet."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from .errors import FlowFailed

Item = TypeVar("Item")

#: How long an expected thing may take, in seconds; generous because the machine may be busy.
PATIENCE = 8.0


class Mailbox(Generic[Item]):
    """A queue that fails the flow when what it waits for does not come."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._items: deque[Item] = deque()
        self._arrived = asyncio.Event()

    def put(self, item: Item) -> None:
        self._items.append(item)
        self._arrived.set()

    async def take(self, what: str, timeout: float = PATIENCE) -> Item:
        """The oldest item; `what` names it in the failure."""
        try:
            async with asyncio.timeout(timeout):
                while not self._items:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise FlowFailed(f"{self.owner} waited {timeout:g} s for {what}; nothing came") from None
        return self._items.popleft()

    def waiting(self) -> list[Item]:
        """What is there, left where it is."""
        return list(self._items)

    def clear(self) -> None:
        self._items.clear()
