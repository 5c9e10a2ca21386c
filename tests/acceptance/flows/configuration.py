"""A wrong configuration is told in one message, with status 2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import equal, require
from ..gateway import binary, merged, settings, to_toml
from ..process import Program
from ..servers.base import COMPONENT
from ..world import World
from . import flow

#: What is wrong: the changes to a good configuration, and the key that the message must name.
_WRONG: dict[str, tuple[Mapping[str, object], str]] = {
    "unknown key": ({"sip": {"listne": ["udp:127.0.0.1:5060"]}}, "listne"),
    "unknown section": ({"sipp": {"x": 1}}, "sipp"),
    "unknown top-level key": ({"loglevel": "info"}, "loglevel"),
    "no [xmpp]": ({"xmpp": None}, "xmpp"),
    "no secret": ({"xmpp": {"secret": None}}, "secret"),
    "secret twice": ({"xmpp": {"secret_file": "/dev/null"}}, "secret"),
    "no domain": ({"xmpp": {"domain": None}}, "domain"),
    "server without port": ({"xmpp": {"server": "127.0.0.1"}}, "server"),
    "address_style": ({"xmpp": {"address_style": "plain"}}, "address_style"),
    "listener without transport": ({"sip": {"listen": ["127.0.0.1:5060"]}}, "listen"),
    "listener of an unknown transport": ({"sip": {"listen": ["sctp:127.0.0.1:5060"]}}, "listen"),
    "listener as a number": ({"msrp": {"listen": 2855}}, "listen"),
    "outbound_proxy": ({"sip": {"outbound_proxy": "http://example.net"}}, "outbound_proxy"),
    "trusted": ({"sip": {"trusted": ["127.0.0.0/99"]}}, "trusted"),
    "mode": ({"chat": {"mode": "telepathy"}}, "mode"),
    "duration": ({"chat": {"idle_timeout": "soon"}}, "idle_timeout"),
    "shutdown_timeout": ({"shutdown_timeout": "later"}, "shutdown_timeout"),
    "log filter": ({"log": "info,=,stox=loud"}, "log"),
}


@flow("configuration: every mistake gives status 2, the file and the key")
async def mistakes(world: World) -> None:
    """The contract's section Program: one message that names file, key and expectation."""
    base = settings(
        xmpp_port=world.server.component_port, sip_port=world.sip_port, msrp_port=world.msrp_port,
        proxy=None, secret="x", component=COMPONENT,
    )  # fmt: skip
    found: list[str] = []
    for name, (change, key) in _WRONG.items():
        found += await _mistake(world.folder, name, to_toml(merged(base, change)), key)
    found += await _mistake(world.folder, "not TOML", "[xmpp\nserver = ", "")
    found += await _mistake(world.folder, "no such file", None, "")
    require(not found, "\n".join(found))


@flow("configuration: stox --version and stox help")
async def version(world: World) -> None:
    """The contract's section Program."""
    for argument, expected in (("--version", "stox"), ("help", "run")):
        status, output = await _run(world.folder, argument, [argument])
        equal(status, 0, f"status of stox {argument}")
        require(expected in output, f"stox {argument} says {output!r}")


@flow("configuration: a listener that is taken is told")
async def taken(world: World) -> None:
    """A port in use: the program ends by itself and names the listener."""
    romeo = await world.add_sip_user("romeo")
    listeners = [f"udp:127.0.0.1:{romeo.port}"]
    gateway = world.make_gateway(config={"sip": {"listen": listeners}})
    await gateway.start(ready=False)
    status = await gateway.program.wait(10.0)
    require(status != 0, "status 0 although a listener could not be bound")
    require(str(romeo.port) in gateway.log(), "the log does not name the listener")
    world.gateway_ends_itself()


async def _mistake(folder: Path, name: str, text: str | None, key: str) -> list[str]:
    """What is wrong with the answer to this mistake."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name.replace(' ', '-').replace('/', '-')}.toml"
    if text is not None:
        file.write_text(text)
    status, output = await _run(folder, name, ["run", "--config", str(file)])
    wrong = []
    if status != 2:
        wrong.append(f"{name}: status {status}, expected 2")
    if file.name not in output:
        wrong.append(f"{name}: the message does not name the file: {output.strip()!r}")
    if key not in output.replace(file.name, ""):
        wrong.append(f"{name}: the message does not name {key}: {output.strip()!r}")
    return wrong


async def _run(folder: Path, name: str, arguments: list[str]) -> tuple[int | None, str]:
    """Status (None: it kept running) and what was printed."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{abs(hash(name))}.out"
    program = Program("stox", [str(binary()), *arguments], log, {"NO_COLOR": "1"})
    await program.start(cwd=folder)
    try:
        return await program.wait(3.0), program.log_text()
    except TimeoutError:
        await program.kill()
        return None, program.log_text()
