"""Digest authentication, written from RFC 7616 §3.4 without a look at the gateway's."""

from __future__ import annotations

import hashlib
import re
import secrets

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_PARAMETER = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


def parameters(header: str) -> dict[str, str]:
    """Of a challenge or an answer to one."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "digest":
        raise ValueError(f"not digest: {header}")
    return {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}


def challenge(realm: str, *, algorithm: str = "SHA-256", nonce: str | None = None, stale: bool = False) -> str:
    """The value of WWW-Authenticate or Proxy-Authenticate."""
    nonce = nonce or secrets.token_hex(16)
    end = ", stale=true" if stale else ""
    return f'Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}, qop="auth"{end}'


def answer(challenge: str, method: str, uri: str, user: str, password: str) -> str:
    """The value of Authorization."""
    asked = parameters(challenge)
    cnonce, count = secrets.token_hex(8), "00000001"
    values = {**asked, "username": user, "uri": uri, "cnonce": cnonce, "nc": count, "qop": "auth"}
    response = _response(values, method, password)
    return (
        f'Digest username="{user}", realm="{asked["realm"]}", nonce="{asked["nonce"]}", uri="{uri}", '
        f'response="{response}", algorithm={asked.get("algorithm", "MD5")}, qop=auth, nc={count}, cnonce="{cnonce}"'
    )


def is_right(authorization: str, method: str, password: str) -> bool:
    """Whether an answer was made with that password."""
    values = parameters(authorization)
    return secrets.compare_digest(values["response"], _response(values, method, password))


def _response(values: dict[str, str], method: str, password: str) -> str:
    def digest(text: str) -> str:
        return _HASHES[values.get("algorithm", "MD5")](text.encode()).hexdigest()

    secret = digest(f"{values['username']}:{values['realm']}:{password}")
    request = digest(f"{method}:{values['uri']}")
    middle = ":".join(values[name] for name in ("nonce", "nc", "cnonce", "qop"))
    return digest(f"{secret}:{middle}:{request}")
