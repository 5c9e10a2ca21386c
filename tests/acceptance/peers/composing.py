"""isComposing documents (RFC 3994) as T14 has them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from ..errors import ProtocolViolation
from .msrp.frame import Frame

_NAMESPACE = "{urn:ietf:params:xml:ns:im-iscomposing}"


def write(active: bool, refresh: int | None = None) -> bytes:
    """The tests' own document."""
    interval = f"<refresh>{refresh}</refresh>" if refresh is not None else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">\n'
        f"<state>{'active' if active else 'idle'}</state><contenttype>text/plain</contenttype>{interval}</isComposing>"
    ).encode()


def read(document: str, frame: Frame) -> str:
    """The gateway's document: `is composing` or `is idle`."""

    def ask(condition: object, rule: str) -> None:
        if not condition:
            raise ProtocolViolation(rule, str(frame))

    ask(frame.get("Failure-Report") == "no", "COMP-12: nobody waits for the answer to a status message")
    root = ET.fromstring(document.encode())
    names = [child.tag.removeprefix(_NAMESPACE) for child in root]
    order = ["state", "lastactive", "contenttype", "refresh"]
    ask(root.tag == f"{_NAMESPACE}isComposing", "RFC 3994 §6.1: the root element")
    ask(names == sorted(names, key=order.index), "T14: state, lastactive, contenttype, refresh")
    state = root.findtext(f"{_NAMESPACE}state") or ""
    ask(state in ("active", "idle"), "RFC 3994 §3.4: active or idle")
    refresh = root.findtext(f"{_NAMESPACE}refresh")
    is_long = refresh is None or (re.fullmatch(r"[0-9]+", refresh) and int(refresh) >= 60)
    ask(is_long, "RFC 3994 §3.2: refreshed no more often than every 60 s")
    return "is composing" if state == "active" else "is idle"
