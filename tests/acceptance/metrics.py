"""What the gateway tells its operator over HTTP."""

from __future__ import annotations

import asyncio

from .errors import FlowFailed, require

SESSIONS = "stox_sessions_open"


def messages(direction: str, outcome: str) -> str:
    """The name of a counter of messages."""
    return f'stox_messages_total{{direction="{direction}",outcome="{outcome}"}}'


async def get(port: int, path: str) -> tuple[int, str]:
    """Status and body of the answer to a GET."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    finally:
        writer.close()
    return int(head.split()[1]), body


async def until_counted(port: int, name: str, value: int, timeout: float = 10.0) -> None:
    """Returns when `/metrics` shows the value."""
    deadline = asyncio.get_running_loop().time() + timeout
    while (line := await _line(port, name)) != f"{name} {value}":
        if asyncio.get_running_loop().time() > deadline:
            raise FlowFailed(f"/metrics shows {line!r}, expected {value}")
        await asyncio.sleep(0.05)


async def _line(port: int, name: str) -> str:
    status, page = await get(port, "/metrics")
    require(status == 200, f"/metrics answers {status}")
    lines = [line for line in page.splitlines() if line.startswith(f"{name} ")]
    require(len(lines) == 1, f"/metrics has {len(lines)} lines of {name}:\n{page}")
    return lines[0]
