"""Free loopback ports, below the range the kernel hands to outgoing connections."""

from __future__ import annotations

import random
import socket

#: SIP and MSRP have a range of their own, so that a capture can be confined to it. Both ends included.
SIGNALLING = (20_000, 25_999)
_OTHER = (26_000, 31_999)
_given: set[int] = set()


def free_port() -> int:
    """A port that neither TCP nor UDP uses on 127.0.0.1 and that was not given out before."""
    return _free_port(_OTHER)


def signalling_port() -> int:
    """Likewise, for SIP or MSRP."""
    return _free_port(SIGNALLING)


def _free_port(ends: tuple[int, int]) -> int:
    for _ in range(1_000):
        port = random.randint(*ends)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise RuntimeError("no free loopback port found")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
