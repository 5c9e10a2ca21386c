"""A private ejabberd: one Erlang machine without distribution, so no epmd is started or used."""

from __future__ import annotations

import json
from pathlib import Path

from .base import COMPONENT, DOMAIN, ROOMS, SECRET, USERS, XmppServer

_CONFIG = """\
# Private to one test run.
loglevel: info
hosts: [{domain}]
listen:
  -
    port: {client_port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    max_stanza_size: 262144
    access: all
  -
    port: {component_port}
    ip: "127.0.0.1"
    module: ejabberd_service
    access: all
    hosts:
      {component}:
        password: {secret}
s2s_access: none
auth_method: internal
auth_password_format: plain
disable_sasl_mechanisms: ["digest-md5"]
default_db: mnesia
acme:
  auto: false
modules:
  mod_disco: {{}}
  mod_muc:
    hosts: [{rooms}]
    history_size: 20
    default_room_options:
      mam: false
      persistent: false
  mod_ping: {{}}
  mod_roster: {{}}
  mod_offline:
    access_max_user_messages: offline
shaper_rules:
  offline:
    - 5000: all
"""


class Ejabberd(XmppServer):
    """Debian's ejabberd with mnesia on disk; users are made by its own function at start."""

    kind = "ejabberd"

    def _command(self) -> list[str]:
        make_users = ", ".join(
            f'ejabberd_auth:try_register(<<"{user}">>, <<"{DOMAIN}">>, <<"{password}">>)'
            for user, password in USERS.items()
        )
        return [
            "/usr/bin/erl", "-noinput", "+K", "true",
            "-mnesia", "dir", f'"{self.folder / "mnesia"}"',
            "-s", "ejabberd",
            "-eval", f"{make_users}.",
        ]  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {
            "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.folder / "ejabberd-own.log"),
            "ERL_CRASH_DUMP": str(self.folder / "crash.dump"),
            "ERL_LIBS": str(_libraries()),
            "HOME": str(self.folder),
        }

    def _prepare(self) -> None:
        (self.folder / "ejabberd.yml").write_text(
            _CONFIG.format(
                client_port=self.client_port,
                component_port=self.component_port,
                domain=DOMAIN,
                component=COMPONENT,
                rooms=ROOMS,
                secret=json.dumps(SECRET),
            )
        )

    async def _create_users(self) -> None:
        """The start itself registers them; a second registration at a restart changes nothing."""


def _libraries() -> Path:
    found = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin")) + sorted(Path("/usr/lib").glob("ejabberd-*/ebin"))
    if not found:
        raise RuntimeError("ejabberd's libraries were not found below /usr/lib")
    return found[0].parent.parent
