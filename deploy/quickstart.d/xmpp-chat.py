"""A small XMPP user for the terminal: what is typed goes to the current chat, what comes is printed.

    xmpp-chat.py --jid juliet@localhost --server 127.0.0.1:5222 --trust server.crt < lines

Lines:   /chat JID   makes JID the current chat        /bye    ends it (<gone/>)
         /join ROOM/NICK    enters a room, which is the current chat then            /leave  leaves it
         /quit       leaves, as the end of the input does
         anything else is sent to the current chat, or to who wrote last if there is none
Screen:  JID: text           a message, in rooms with the nickname in place of the JID
         * text              what happened
         ! text              what went wrong
"""

import argparse
import asyncio
import inspect
import os
import sys
import threading
import uuid
import xml.etree.ElementTree as ET

from slixmpp import ClientXMPP, JID


class User(ClientXMPP):
    """The user; remembers who the current chat is with, and the thread of each chat."""

    def __init__(self, jid, password):
        super().__init__(jid, password)
        self.peer = None
        self.thread_by_peer = {}
        self.nick_by_room = {}
        self.register_plugin("xep_0085")  # <gone/>
        self.register_plugin("xep_0199")  # ping
        self.add_event_handler("session_start", self.on_online)
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("message_error", self.on_error)
        self.add_event_handler("chatstate_gone", self.on_gone)
        self.add_event_handler("presence_available", self.on_presence)
        self.add_event_handler("presence_unavailable", self.on_presence)
        self.add_event_handler("presence_error", self.on_presence)
        self.add_event_handler("failed_auth", lambda _: show("! the server refuses the account or the password"))

    async def on_online(self, _event):
        self.send_presence()
        show(f"* {self.boundjid.bare}: online")

    def on_message(self, message):
        peer = message["from"].bare
        if message["type"] == "groupchat" and message["body"] and peer in self.nick_by_room:
            show(f"[{peer}] {message['from'].resource}: {message['body']}")
        if message["type"] not in ("chat", "normal") or not message["body"]:
            return
        self.peer = self.peer or peer
        if message["thread"]:
            self.thread_by_peer[peer] = message["thread"]
        show(f"{peer}: {message['body']}")

    def on_error(self, message):
        error = message["error"]
        detail = f" ({error['text']})" if error["text"] else ""
        show(f"! not delivered to {message['from'].bare}: {error['condition']}{detail}")

    def on_gone(self, message):
        peer = message["from"].bare
        self.thread_by_peer.pop(peer, None)
        show(f"* {peer}: has left the chat")

    def on_presence(self, presence):
        room, nick = presence["from"].bare, presence["from"].resource
        if room not in self.nick_by_room or not nick:
            return
        if presence["type"] == "error":
            show(f"! {room}: {presence['error']['condition']}")
        else:
            show(f"* {nick} {'has left' if presence['type'] == 'unavailable' else 'is in'} {room}")

    def obey(self, line):
        """One line of input. Returns whether to go on."""
        command, _, argument = line.partition(" ")
        if command == "/chat":
            self.peer = JID(argument.strip()).bare
        elif command == "/bye":
            self.write(chat_state="gone")
            self.thread_by_peer.pop(self.peer, None)
        elif command == "/join":
            room = JID(argument.strip())
            self.peer, self.nick_by_room[room.bare] = room.bare, room.resource
            presence = self.make_presence(pto=room)
            presence.append(ET.Element("{http://jabber.org/protocol/muc}x"))
            presence.send()
        elif command == "/leave":
            self.send_presence(pto=f"{self.peer}/{self.nick_by_room.get(self.peer, '')}", ptype="unavailable")
        elif command == "/quit":
            return False
        elif line.strip():
            self.write(body=line)
        return True

    def write(self, body=None, chat_state="active"):
        if self.peer is None:
            show("! nobody to write to: /chat JID")
            return
        if self.peer in self.nick_by_room:
            self.make_message(mto=self.peer, mbody=body, mtype="groupchat").send()
            return
        message = self.make_message(mto=self.peer, mbody=body, mtype="chat")
        message["id"] = self.new_id()
        message["thread"] = self.thread_by_peer.setdefault(self.peer, uuid.uuid4().hex)
        message["chat_state"] = chat_state
        message.send()


async def main():
    arguments = parse_arguments()
    user = User(arguments.jid, os.environ["XMPP_PASSWORD"])
    user.ca_certs = arguments.trust
    online = asyncio.get_running_loop().create_future()
    user.add_event_handler("session_start", lambda _: online.done() or online.set_result(True))
    connect(user, *arguments.server.rsplit(":", 1))
    await asyncio.wait_for(online, 30)
    lines = typed_lines(asyncio.get_running_loop())
    while (line := await lines.get()) is not None and user.obey(line):
        pass
    await user.disconnect()


def parse_arguments():
    parser = argparse.ArgumentParser(description="A small XMPP user for the terminal. The password is in $XMPP_PASSWORD.")
    parser.add_argument("--jid", required=True, help="the account, for example juliet@localhost")
    parser.add_argument("--server", required=True, help="host:port of the server")
    parser.add_argument("--trust", metavar="FILE", help="certificates to trust instead of the system's")
    return parser.parse_args()


def connect(user, host, port):
    """slixmpp 1.7 and 1.8 take one address, later ones host and port."""
    if "address" in inspect.signature(user.connect).parameters:
        user.connect((host, int(port)))
    else:
        user.enable_direct_tls = False
        user.connect(host, int(port))


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
    """One entry on the screen; further lines of it are indented, and nothing in it can move the cursor."""
    lines = text.replace("\r\n", "\n").split("\n")
    print("\n  ".join("".join(c for c in line if c.isprintable() or c == "\t") for line in lines), flush=True)


asyncio.run(main())
