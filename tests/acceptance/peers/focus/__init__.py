"""An MSRP chat room as the SIP world has it (RFC 7701): conference focus, switch and roster, with real sockets.

A `Focus` answers for every address of its user's port. A `Room` has members, who came by INVITE through the gateway, and
guests, whom the flow speaks for. `Quirks` make it behave as another program does.
"""

from __future__ import annotations

from .focus import Focus
from .guest import Guest, Heard
from .member import Member
from .quirks import PLAIN, SYLKSERVER, Quirks
from .room import Room

__all__ = ["PLAIN", "SYLKSERVER", "Focus", "Guest", "Heard", "Member", "Quirks", "Room"]
