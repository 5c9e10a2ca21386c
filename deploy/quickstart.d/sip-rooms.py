"""The SIP side of chat rooms for the terminal: a room of its own by MSRP, a guest in it, and visits to other rooms.

    sip-rooms.py --listen 127.0.0.1:5090 --stox 127.0.0.1:5060 --dns 127.0.0.1:5053 --also example.net=5080 < lines

Hosts sip:verona@chat.example.net, where sip:benvolio@example.net is at home as Benvolio. Answers for both domains as a DNS
server, so that stox finds them; `--also` names further domains and their ports.

Lines:   /enter URI NAME    goes to another room        /bye    comes home
         anything else is said in the room he is in
Screen:  [room] NAME: text  what somebody says          * text  what happened
"""

import argparse
import asyncio
import socket
import struct
import sys
import threading
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from acceptance.errors import FlowFailed  # noqa: E402
from acceptance.peers import cpim  # noqa: E402
from acceptance.peers.focus import Focus  # noqa: E402
from acceptance.peers.participant import Participant  # noqa: E402
from acceptance.peers.sip.checks import Gateway  # noqa: E402
from acceptance.peers.sip.user import SipUser  # noqa: E402
from acceptance.transcript import Transcript  # noqa: E402

VERONA = "sip:verona@chat.example.net"
BENVOLIO = "sip:benvolio@example.net"


class Silent(Transcript):
    """Remembers nothing."""

    def add(self, who, text):
        pass


class Benvolio:
    """At home in Verona, and at most in one other room."""

    def __init__(self, host, visitor):
        self.room = Focus(host).room(VERONA)
        self.visitor = visitor
        self.home = self.room.enter(BENVOLIO, "Benvolio")
        self.visit = None

    async def obey(self, line):
        command, _, argument = line.partition(" ")
        if command == "/enter":
            uri, _, name = argument.partition(" ")
            self.visit = Participant(self.visitor, uri)
            await self.visit.enter(name)
            show(f"* in {uri} as {name}")
        elif command == "/bye" and self.visit is not None:
            await self.visit.leave()
            show(f"* out of {self.visit.uri}")
            self.visit = None
        elif self.visit is not None:
            status = await self.visit.say(line).status()
            if status != 200:
                show(f"! not delivered: {status}")
        elif line.strip():
            self.home.say(line)

    async def hear(self):
        """What is said at home."""
        while True:
            heard = await self.home.inbox.take("words", 1e6)
            show(f"[verona] {heard.name or heard.sender}: {heard.text}")

    async def hear_abroad(self):
        """What is said where he visits, and who comes home meanwhile."""
        named = {}
        while True:
            await asyncio.sleep(0.1)
            for member in self.room.members:
                if member.nickname and named.get(member) != member.nickname:
                    named[member] = member.nickname
                    show(f"* {member.nickname} ({member.uri}) has come to verona")
            for member in [member for member in named if member not in self.room.members]:
                show(f"* {named.pop(member)} has left verona")
            while self.visit is not None and self.visit.session.inbox.waiting():
                received = await self.visit.session.inbox.take("words")
                name, sender = cpim.address((received.cpim or {}).get("From", "<sip:nobody>"))
                show(f"[{self.visit.uri.removeprefix('sip:').partition('@')[0]}] {name or sender}: {received.text}")


class Names(asyncio.DatagramProtocol):
    """A DNS server that knows a port of 127.0.0.1 for each domain (RFC 2782), and nothing else."""

    def __init__(self, port_by_domain):
        self.port_by_domain = port_by_domain

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        labels, at = [], 12
        while at < len(data) and data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii", "replace").lower())
            at += 1 + data[at]
        question = data[12 : at + 5]
        kind = struct.unpack("!H", data[at + 1 : at + 3])[0]
        answer = self.answer(labels, kind)
        records = b"" if answer is None else b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(answer)) + answer
        flags = 0x8580
        header = data[:2] + struct.pack("!HHHHH", flags, 1, 1 if answer else 0, 0, 0)
        self.transport.sendto(header + question + records, address)

    def answer(self, labels, kind):
        if kind == 33 and labels[:2] == ["_sip", "_tcp"]:
            port = self.port_by_domain.get(".".join(labels[2:]))
            if port is not None:
                target = b"".join(bytes([len(label)]) + label.encode() for label in ["here", *labels[2:]]) + b"\0"
                return struct.pack("!HHH", 0, 0, port) + target
        if kind == 1 and ".".join(labels).removeprefix("here.") in self.port_by_domain:
            return socket.inet_aton("127.0.0.1")
        return None


async def main():
    arguments = parse_arguments()
    stox = Gateway(*_address(arguments.stox))
    port = _address(arguments.listen)[1]
    host = SipUser("focus", "chat.example.net", stox, "tcp", Silent())
    host.port = port
    visitor = SipUser("benvolio", "example.net", stox, "tcp", Silent())
    await host.start()
    await visitor.start()
    ports = {"chat.example.net": port, **{name: int(at) for name, _, at in (one.partition("=") for one in arguments.also)}}
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Names(ports), local_addr=_address(arguments.dns))
    benvolio = Benvolio(host, visitor)
    show(f"* {VERONA}: open, and Benvolio is in it")
    listening = [asyncio.create_task(benvolio.hear()), asyncio.create_task(benvolio.hear_abroad())]
    lines = typed_lines(loop)
    while (line := await lines.get()) is not None:
        try:
            await benvolio.obey(line)
        except FlowFailed as failure:
            show(f"! {failure}")
        for violation in host.violations + visitor.violations:
            show(f"! {violation}")
    for task in listening:
        task.cancel()
    await visitor.close()
    await host.close()


def parse_arguments():
    parser = argparse.ArgumentParser(description="The SIP side of chat rooms for the terminal.")
    parser.add_argument("--listen", required=True, help="host:port where the room takes SIP")
    parser.add_argument("--stox", required=True, help="host:port where stox does")
    parser.add_argument("--dns", required=True, help="host:port where DNS questions are answered")
    parser.add_argument("--also", action="append", default=[], help="DOMAIN=PORT: another domain for the DNS")
    return parser.parse_args()


def _address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def typed_lines(loop):
    """The lines of standard input, then None."""
    lines = asyncio.Queue()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.rstrip("\n"))
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def show(text):
    """One entry on the screen; nothing in it can move the cursor."""
    print("\n  ".join("".join(c for c in line if c.isprintable()) for line in text.splitlines()), flush=True)


asyncio.run(main())
