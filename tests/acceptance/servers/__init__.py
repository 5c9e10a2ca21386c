"""Private XMPP servers: own data folder, loopback only, free ports."""

from __future__ import annotations

from pathlib import Path

from .base import XmppServer
from .ejabberd import Ejabberd
from .prosody import Prosody

SERVERS: dict[str, type[XmppServer]] = {"prosody": Prosody, "ejabberd": Ejabberd}


def make_server(kind: str, folder: Path) -> XmppServer:
    return SERVERS[kind](folder)
