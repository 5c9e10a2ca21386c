"""A private Prosody."""

from __future__ import annotations

from .base import COMPONENT, DOMAIN, ROOMS, SECRET, USERS, XmppServer

_CONFIG = """\
-- Private to one test run.
run_as_root = true
daemonize = false
data_path = {folder}
pidfile = {pidfile}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {client_port} }}
component_interface = "127.0.0.1"
component_ports = {{ {component_port} }}
s2s_ports = {{ }}
modules_enabled = {{ "roster", "saslauth", "disco", "ping", "offline", "presence", "message", "iq", "c2s" }}
modules_disabled = {{ "s2s", "tls", "posix_daemonize" }}
authentication = "internal_plain"
allow_unencrypted_plain_auth = true
c2s_require_encryption = false
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}

VirtualHost "{domain}"

Component "{component}"
    component_secret = {secret}

Component "{rooms}" "muc"
    modules_disabled = {{ "muc_mam" }}
"""


class Prosody(XmppServer):
    """Debian's Prosody with stock limits; users are written as data files."""

    kind = "prosody"

    def _command(self) -> list[str]:
        return ["/usr/bin/prosody", "-F", "--config", str(self.folder / "prosody.cfg.lua")]

    def _prepare(self) -> None:
        (self.folder / "prosody.cfg.lua").write_text(
            _CONFIG.format(
                folder=_lua(str(self.folder / "data")),
                pidfile=_lua(str(self.folder / "prosody.pid")),
                client_port=self.client_port,
                component_port=self.component_port,
                domain=DOMAIN,
                component=COMPONENT,
                rooms=ROOMS,
                secret=_lua(SECRET),
            )
        )
        accounts = self.folder / "data" / DOMAIN.replace(".", "%2e") / "accounts"
        accounts.mkdir(parents=True, exist_ok=True)
        for user, password in USERS.items():
            (accounts / f"{user}.dat").write_text(f"return {{ password = {_lua(password)} }};\n")

    async def _create_users(self) -> None:
        """They were written before the start."""


def _lua(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
