"""SIPp reaches the SIP side: another implementation with its own idea of SIP."""

from __future__ import annotations

from ..errors import equal, require
from ..peers.sipp import SCENARIOS, run
from ..world import ROMEO, World
from . import flow


@flow("SIPp: its built-in uac offers audio and gets 488")
async def builtin_uac(world: World) -> None:
    """SIP-03, SIP-11: refused properly, and the ACK is matched (SIPp counts the refusal as a failed call)."""
    await world.start(with_juliet=False)
    status, messages = await run(["-sn", "uac"], world.sip_port, world.folder)
    world.transcript.add("SIPp", messages)
    require("SIP/2.0 488 " in messages, "no 488 in what SIPp saw")
    require("\nACK sip:" in messages, "SIPp sent no ACK")
    equal(status, 1, "SIPp's status for a refused call")
    await world.nothing_else()


def _add(scenario: str, transport: str, cites: str) -> None:
    async def play(world: World) -> None:
        juliet, _ = await world.start()
        status, messages = await run(
            ["-sf", str(SCENARIOS / f"{scenario}.xml")],
            world.sip_port,
            world.folder,
            "u1" if transport == "UDP" else "t1",
        )
        world.transcript.add("SIPp", messages)
        equal(status, 0, "status of SIPp")
        if scenario == "message":
            await juliet.expect_message("Hello from SIPp", type=None, sender=ROMEO.replace("romeo", "sipp"))
        await world.nothing_else()

    play.__doc__ = cites
    flow(f"SIPp: {scenario} over {transport}")(play)


for _transport in ("UDP", "TCP"):
    _add("message", _transport, "IM-03, IM-04: MESSAGE is answered 200.")
    _add("options", _transport, "SIP-08: OPTIONS is answered 200.")
    _add("invite-msrp", _transport, "CHAT-15, CHAT-17, SIP-10: an MSRP offer is accepted, BYE answered.")
    _add("invite-audio", _transport, "SIP-11, T11: an offer of audio is refused with 488.")
    _add("unknown-dialog", _transport, "SIP-05: BYE for a dialog that is not there gets 481.")
