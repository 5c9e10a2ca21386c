"""The SIP user's MSRP side: one listening port, any number of sessions and connections."""

from __future__ import annotations

import asyncio
import re
import secrets
import ssl
from collections.abc import Callable
from typing import TypeVar

from ...certificates import Identity, fingerprint_of
from ...errors import FlowFailed, ProtocolViolation, equal, require
from ...ports import free_port, signalling_port
from ...transcript import Transcript
from .frame import Frame, FrameReader
from .session import MsrpSession, Received

Violation = Callable[[ProtocolViolation], None]
Session = TypeVar("Session", bound=MsrpSession)


class MsrpNode:
    """Sessions by their session id; a connection may carry several."""

    def __init__(
        self, owner: str, transcript: Transcript, on_violation: Violation, identity: Identity | None = None
    ) -> None:
        """With an `identity` every session is secure."""
        self.owner = owner
        self.identity = identity
        self.port = free_port() if identity else signalling_port()
        self.on_violation = on_violation
        self.statuses: Callable[[Received], int | None] = lambda _: 200
        """What new sessions answer to messages; None: the flow answers."""
        self.told_fingerprint: str | None = None
        """What descriptions say in place of the truth."""
        self._transcript = transcript
        self._sessions: dict[str, MsrpSession] = {}
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self), "127.0.0.1", self.port, backlog=1024, ssl=self._tls(server=True)
        )

    def _tls(self, *, server: bool) -> ssl.SSLContext | None:
        return self.identity.context(server=server) if self.identity else None

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()

    def open(self, *, refusing: bool = False) -> MsrpSession:
        """A session of a chat with a fresh path; `refusing`: nobody listens at the path."""
        return self.open_as(MsrpSession, refusing=refusing)

    def open_as(self, kind: type[Session], *, refusing: bool = False) -> Session:
        """Likewise, of another kind."""
        port = signalling_port() if refusing else self.port
        id = secrets.token_hex(12)
        scheme = "msrps" if self.identity else "msrp"
        fingerprint = self.told_fingerprint or (self.identity.fingerprint if self.identity else None)
        session = kind(self.owner, f"{scheme}://127.0.0.1:{port}/{id};tcp", self._record, fingerprint)
        session.statuses = self.statuses
        self._sessions[id] = session
        return session

    def forget(self, session: MsrpSession) -> None:
        self._sessions.pop(_id(session.path), None)

    async def connect(self, session: MsrpSession) -> None:
        """Takes the active role: connects to the peer's path and binds with a bodiless SEND."""
        assert session.peer_path is not None
        match = re.match(r"(msrps?)://([^:/]+):(\d+)/", session.peer_path)
        assert match is not None
        require((match[1] == "msrps") == (self.identity is not None), f"SEC-07: the scheme of {session.peer_path}")
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self), match[2], int(match[3]), ssl=self._tls(server=False)
            )
        except OSError as error:
            raise FlowFailed(f"cannot connect to {session.peer_path}: {error}") from None
        connection.check_certificate(session)
        session.bind(connection)
        connection.sessions.add(session)
        status = await asyncio.wait_for(session.send_empty(), 8.0)
        if status != 200:
            raise FlowFailed(f"the bodiless SEND was answered {status}")

    def handle(self, connection: Connection, frame: Frame) -> None:
        self._record(f"stox → {self.owner}", frame)
        session = self._sessions.get(_id(frame.get("To-Path") or ""))
        if session is None or session.path != frame.get("To-Path"):
            raise ProtocolViolation("RFC 4975 §7.1: To-Path is the path of an open session", str(frame))
        if not session.bound:
            connection.check_certificate(session)
            session.bind(connection)
        connection.sessions.add(session)
        session.handle(frame)

    def _record(self, who: str, frame: Frame) -> None:
        self._transcript.add(who, str(frame))

    def added(self, connection: Connection) -> None:
        self._connections.add(connection)

    def removed(self, connection: Connection) -> None:
        self._connections.discard(connection)


class Connection(asyncio.Protocol):
    """One TCP connection."""

    def __init__(self, node: MsrpNode) -> None:
        self._node = node
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self.sessions: set[MsrpSession] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._node.added(self)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.push(data):
                self._node.handle(self, frame)
        except ProtocolViolation as violation:
            self._node.on_violation(violation)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._node.removed(self)
        for session in self.sessions:
            session.connection_ended()

    def check_certificate(self, session: MsrpSession) -> None:
        """Over TLS the gateway shows the certificate that its description names (SEC-07)."""
        peer = self._transport.get_extra_info("ssl_object") if self._transport else None
        if peer is not None:
            shown = fingerprint_of(peer.getpeercert(binary_form=True) or b"")
            equal(session.peer_fingerprint, shown, "SEC-07: a=fingerprint of the gateway, and its certificate")

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self, *, harshly: bool = False) -> None:
        if self._transport is not None and harshly:
            self._transport.abort()
        elif self._transport is not None:
            self._transport.close()


def _id(path: str) -> str:
    return path.rpartition("/")[2].partition(";")[0]
