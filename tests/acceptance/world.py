"""What one flow plays with: the server, the gateway, juliet, romeo, and the record of it all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from .capture import Signalling
from .certificates import Authority, Identity
from .errors import FlowFailed, require
from .gateway import Settings, StoxProcess, merged, settings
from .peers.focus import PLAIN, Focus, Quirks
from .peers.sip.checks import Gateway
from .peers.sip.user import SipUser
from .peers.xmpp_user import XmppUser
from .ports import free_port, signalling_port
from .servers.base import COMPONENT, DOMAIN, SECRET, USERS, XmppServer
from .transcript import Transcript

#: How long "nothing else" looks for something else, in seconds.
_SILENCE = 0.25

#: Romeo as the XMPP side writes him: by percent sign and by XEP-0106.
ROMEO = f"romeo%example.net@{COMPONENT}"
ROMEO_ESCAPED = f"romeo\\40example.net@{COMPONENT}"
JULIET_URI = f"sip:juliet@{DOMAIN}"


class World:
    """Made for each flow; the server lives longer."""

    def __init__(self, server: XmppServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.transcript = Transcript()
        self.sip_port = signalling_port()
        self.msrp_port = signalling_port()
        self.xmpp_users: list[XmppUser] = []
        self.sip_users: list[SipUser] = []
        self.focus: Focus | None = None
        """The rooms of the SIP world, in flows that have them."""
        self.certificates: Authority | None = None
        """Who vouches for certificates in a flow over TLS."""
        self._gateway: StoxProcess | None = None
        self._began = time.time()
        self._ends_itself = False

    @property
    def gateway(self) -> StoxProcess:
        assert self._gateway is not None
        return self._gateway

    async def start(
        self,
        transport: str = "udp",
        *,
        config: Settings | None = None,
        xmpp_port: int | None = None,
        ready: bool = True,
        with_juliet: bool = True,
    ) -> tuple[XmppUser, SipUser]:
        """Juliet logs in, romeo listens and is the gateway's outbound proxy, the gateway runs."""
        require(transport != "tls", "see start_secure")
        romeo = await self.add_sip_user("romeo", transport)
        juliet = await self.add_xmpp_user("juliet") if with_juliet else self._xmpp_user("juliet")
        self.make_gateway(proxy=f"sip:127.0.0.1:{romeo.port};transport={transport}", config=config, xmpp_port=xmpp_port)
        await self.gateway.start(ready)
        return juliet, romeo

    async def start_secure(
        self, *, romeo: Sequence[str] = ("sip:example.net", "IP:127.0.0.1"), vouched: bool = True, proxy: str = "example.net",
        config: Settings | None = None,
    ) -> tuple[XmppUser, SipUser]:  # fmt: skip
        """As `start`, with TLS for SIP and MSRP and nothing in the clear. `romeo`: the names in his certificate, which is
        by an authority the gateway knows if `vouched`; `proxy`: the domain the gateway looks for in it."""
        self.certificates = Authority(self.folder / "certificates")
        self.sip_port, self.msrp_port = free_port(), free_port()
        own = self.certificates.issue("stox", f"sip:{DOMAIN}", f"sip:{COMPONENT}", "sip:127.0.0.1")
        issuer = self.certificates if vouched else Authority(self.folder / "strangers", "stranger")
        identity = issuer.issue("romeo", *romeo, trusts=self.certificates)
        sip_user = await self.add_sip_user("romeo", "tls", identity)
        juliet = await self.add_xmpp_user("juliet")
        secure: Settings = {
            "sip": {
                "listen": [f"tls:127.0.0.1:{self.sip_port}"],
                "tls": own.settings(verify_client=True),
            },
            "msrp": {"listen": [f"tls:127.0.0.1:{self.msrp_port}"]},
        }
        to_romeo = f"sip:{proxy}:{sip_user.port};maddr=127.0.0.1;transport=tls;lr"
        self.make_gateway(proxy=to_romeo, config=merged(secure, config or {}))
        await self.gateway.start()
        return juliet, sip_user

    async def start_rooms(
        self,
        quirks: Quirks = PLAIN,
        *,
        transport: str = "udp",
        config: Settings | None = None,
        xmpp_port: int | None = None,
    ) -> tuple[XmppUser, Focus]:
        """As `start`, with a focus in place of romeo: every SIP address is a room."""
        focus_user = await self.add_sip_user("focus", transport)
        self.focus = Focus(focus_user, quirks)
        juliet = await self.add_xmpp_user("juliet")
        self.make_gateway(
            proxy=f"sip:127.0.0.1:{focus_user.port};transport={transport}", config=config, xmpp_port=xmpp_port
        )
        await self.gateway.start()
        return juliet, self.focus

    def make_gateway(
        self, *, proxy: str | None = None, config: Settings | None = None, xmpp_port: int | None = None
    ) -> StoxProcess:
        """The gateway, not started yet."""
        base = settings(
            xmpp_port=xmpp_port or self.server.component_port,
            sip_port=self.sip_port,
            msrp_port=self.msrp_port,
            proxy=proxy,
            secret=SECRET,
            component=COMPONENT,
        )
        self._gateway = StoxProcess(self.folder, merged(base, config or {}))
        return self._gateway

    async def add_sip_user(self, name: str, transport: str = "udp", identity: Identity | None = None) -> SipUser:
        gateway = Gateway("127.0.0.1", self.sip_port)
        user = SipUser(name, "example.net", gateway, transport, self.transcript, identity)
        self.sip_users.append(user)
        await user.start()
        return user

    async def add_xmpp_user(self, name: str, resource: str = "balcony") -> XmppUser:
        user = self._xmpp_user(name, resource)
        await user.connect()
        return user

    def _xmpp_user(self, name: str, resource: str = "balcony") -> XmppUser:
        user = XmppUser(f"{name}@{DOMAIN}", USERS[name], self.server.client_port, self.transcript, resource)
        self.xmpp_users.append(user)
        return user

    def signalling(self) -> Signalling:
        """How a capture of this flow, which is over, tells who sent what."""
        to_sip_users = {f"stox → {user.name}" for user in self.sip_users}
        return Signalling(
            began=self._began,
            ended=time.time(),
            gateway_sip=self.sip_port,
            gateway_msrp=self.msrp_port,
            peer_sip=frozenset(user.port for user in self.sip_users),
            peer_msrp=frozenset(user.msrp.port for user in self.sip_users),
            heard=sum(1 for _, who, _ in self.transcript.entries if who.partition("  ")[0] in to_sip_users),
        )

    def gateway_ends_itself(self) -> None:
        """The flow has seen the end of the gateway: it is not expected to run any more."""
        self._ends_itself = True

    async def nothing_else(self, silence: float = _SILENCE) -> None:
        """Nobody has received anything that the flow has not looked at, and nothing broke a rule."""
        await asyncio.sleep(silence)
        self.require_clean()
        for xmpp_user in self.xmpp_users:
            left = xmpp_user.unasked()
            require(not left, f"{xmpp_user.name} also received\n" + "\n".join(left))
        for sip_user in self.sip_users:
            left = sip_user.unasked()
            require(not left, f"{sip_user.name} also received\n" + "\n".join(left))
        if self.focus is not None:
            left = self.focus.unasked()
            require(not left, "in the rooms there also came\n" + "\n".join(left))

    def require_clean(self) -> None:
        """Raises the first violation of a protocol that a SIP user noticed."""
        for user in self.sip_users:
            if user.violations:
                raise user.violations[0]

    async def finish(self) -> None:
        """The end of every flow: the gateway still runs, and goes quietly with status 0."""
        if self._gateway is None:
            return
        if self._ends_itself:
            require(not self.gateway.program.running, "stox still runs")
            self.gateway.require_sane_log()
        else:
            await self.gateway.terminate()

    async def close(self) -> None:
        """Ends whatever is left, also after a failure."""
        if self._gateway is not None and self.gateway.program.running:
            await self.gateway.program.kill()
        for sip_user in self.sip_users:
            await sip_user.close()
        for xmpp_user in self.xmpp_users:
            await xmpp_user.close()
        if not self.server.program.running:
            await self.server.restart()

    async def sweep(self) -> None:
        """After a failure: takes what the server still keeps for juliet, so that the next flow does not get it."""
        juliet = await self.add_xmpp_user("juliet")
        await asyncio.sleep(0.3)
        await juliet.close()

    def report(self, failure: BaseException) -> str:
        """What a failing flow prints."""
        try:
            self.require_clean()
        except Exception as violation:  # shown beside the failure it probably caused
            if violation is not failure and not isinstance(failure, FlowFailed):
                failure = violation
            notes = f"\n  and: {violation}" if violation is not failure else ""
        else:
            notes = ""
        log = self._gateway.log_tail() if self._gateway else "(stox was not started)"
        return (
            f"  {failure or type(failure).__name__}{notes}\n"
            f"  transcript:\n{self.transcript.render()}\n"
            f"  log of stox (its end):\n" + "\n".join(f"    {line}" for line in log.splitlines())
        )
