"""The SIP side of rooms: INVITE, SUBSCRIBE, REFER and BYE, on the port of a SIP user."""

from __future__ import annotations

from ...mailbox import PATIENCE, Mailbox
from ..msrp.room import RoomSession
from ..sip import digest
from ..sip.call import Call
from ..sip.dialog import Dialog, new_tag
from ..sip.incoming import REASONS, IncomingInvite
from ..sip.message import SipMessage, SipUri, uri_of
from ..sip.outgoing import OutgoingInvite
from ..sip.subscription import Notifier, RequestDialog
from ..sip.transaction import ServerTransaction
from ..sip.user import SipUser
from .member import Member
from .quirks import PLAIN, Quirks
from .room import Room

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, SUBSCRIBE, NOTIFY, REFER"


class Focus:
    """Rooms by their URI; each is made when it is first asked for, unless `rooms_must_exist`."""

    def __init__(self, user: SipUser, quirks: Quirks = PLAIN) -> None:
        self.user = user
        self.quirks = quirks
        self.rooms: dict[str, Room] = {}
        self.members: list[Member] = []
        """Everybody who ever came through the gateway."""
        self.rooms_must_exist = False
        self.invites: Mailbox[SipMessage] = Mailbox("the focus")
        """The INVITEs that were refused."""
        user.in_rooms = True
        user.allow = ALLOW
        user.on_invite = self._invited
        user.on_request = self._take

    def room(self, uri: str) -> Room:
        if uri not in self.rooms:
            self.rooms[uri] = Room(self, uri, self.quirks)
        return self.rooms[uri]

    def unasked(self) -> list[str]:
        """What came and no flow has looked at."""
        left = [str(invite) for invite in self.invites.waiting()]
        return [*left, *(text for room in self.rooms.values() for text in room.unasked())]

    # What the gateway asks.

    def take_inside(self, room: Room, member: Member, request: SipMessage, transaction: ServerTransaction) -> bool:
        """A request inside the dialog of a member."""
        if request.method == "SUBSCRIBE":
            if self.quirks.server is not None:
                transaction.respond(500, "Unhandled by dialog usages", tag=None)
            else:
                room.subscribers.take_inside(member.call, transaction)
            return True
        if request.method == "REFER":
            self._refer(room, member.call, transaction, None)
            return True
        return False

    async def _invited(self, invite: IncomingInvite) -> None:
        request = invite.request
        room = self._room_of(request.uri)
        if room is None:
            await self._refuse(invite, 404)
        elif room.invite_status != 200:
            await self._refuse(invite, room.invite_status)
        elif room.password is not None and not _proves(request, room.password):
            challenge = digest.challenge(room.name)
            await self._refuse(invite, 401, [("WWW-Authenticate", challenge)])
        else:
            await self._admit(room, invite)

    async def _refuse(self, invite: IncomingInvite, status: int, headers: list[tuple[str, str]] | None = None) -> None:
        self.invites.put(invite.request)
        await invite.refuse(status, headers)

    async def _admit(self, room: Room, invite: IncomingInvite) -> None:
        session = self.user.msrp.open_as(RoomSession)
        sender = invite.request.one("From")
        display_name = sender.partition("<")[0].strip().strip('"') or None
        member = room.admit(uri_of(sender), display_name, uri_of(invite.request.one("Contact")), session)
        await invite.accept(
            setup=room.setup, accept_types=room.accept_types, session=session, contact=room.contact,
            body=room.description(session, room.setup), headers=self._server(), prepare=member.stands,
        )  # fmt: skip
        if await member.connected():
            room.welcome(member)

    def _take(self, transaction: ServerTransaction) -> bool:
        request = transaction.request
        if request.method not in ("OPTIONS", "SUBSCRIBE", "REFER"):
            return False
        room = self._room_of(request.uri)
        if room is None:
            transaction.respond(480, REASONS[480], tag=new_tag())
        elif request.method == "OPTIONS":
            headers = [("Contact", room.contact), ("Allow", ALLOW), ("Accept", "application/sdp"), *self._server()]
            transaction.respond(200, "OK", tag=new_tag(), headers=headers)
        elif request.method == "SUBSCRIBE":
            room.subscribers.take(transaction)
        else:
            tag = new_tag()
            accepted = room.refer_status < 300
            dialog = RequestDialog.accepted(self.user, request, tag, room.contact_uri) if accepted else None
            if dialog is not None:
                dialog.on_request = lambda *_: False
            self._refer(room, dialog, transaction, tag)
        return True

    def _refer(self, room: Room, dialog: Dialog | None, transaction: ServerTransaction, tag: str | None) -> None:
        """Answers REFER and tells how it went (RFC 3515)."""
        refer = transaction.request
        room.referred.put(refer)
        headers = [("Contact", room.contact)]
        transaction.respond(room.refer_status, REASONS.get(room.refer_status, "Refused"), tag=tag, headers=headers)
        if room.refer_status >= 300 or dialog is None:
            return
        notifier = Notifier(dialog, f"refer;id={refer.cseq[0]}" if tag is None else "refer")
        if tag is None and self.quirks.no_refer_inside:
            notifier.notify(b"SIP/2.0 500 Server Internal Error\r\n", "message/sipfrag", "terminated;reason=noresource")
            return
        notifier.notify(b"SIP/2.0 100 Trying\r\n", "message/sipfrag", "active;expires=60")
        if room.refer_result is not None:
            notifier.notify(f"{room.refer_result}\r\n".encode(), "message/sipfrag", "terminated;reason=noresource")
        else:
            self.user.spawn(self._call_for(room, refer, notifier))

    async def _call_for(self, room: Room, refer: SipMessage, notifier: Notifier) -> None:
        """Calls whom a REFER names, and tells how it went."""
        target = uri_of(refer.one("Refer-To")).partition(";method=")[0]
        invitation = await self.invite(room, target, uri_of(refer.get("Referred-By") or refer.one("From")))
        status, _ = await self.admitted(room, invitation, 60.0)
        fragment = f"SIP/2.0 {status.status} {REASONS.get(status.status, 'Refused')}\r\n"
        notifier.notify(fragment.encode(), "message/sipfrag", "terminated;reason=noresource")

    # What the focus asks of its own accord.

    async def invite(self, room: Room, target: str, referrer: str | None = None) -> OutgoingInvite:
        """Calls somebody into the room."""
        session = self.user.msrp.open_as(RoomSession)
        headers = [("Referred-By", f"<{referrer}>")] if referrer else []
        invite = OutgoingInvite(
            self.user, target, accept_types="message/cpim", headers=[*headers, *self._server()],
            caller=f'"Conference Call" <{room.uri}>', contact=room.contact, session=session,
            body=room.description(session, "actpass"),
        )  # fmt: skip
        return await invite.send()

    async def admitted(
        self, room: Room, invite: OutgoingInvite, timeout: float = PATIENCE
    ) -> tuple[SipMessage, Member | None]:
        """What became of such a call; who is there now."""
        session, entered = invite.session, list[Member]()
        assert isinstance(session, RoomSession)

        def admit(call: Call) -> None:
            entered.append(room.admit(uri_of(invite.request.one("To")), None, call.remote_target, session))
            entered[0].stands(call)

        response, _ = await invite.finished(timeout, admit)
        for member in entered:
            room.welcome(member)
            return response, member
        return response, None

    def _room_of(self, uri: str) -> Room | None:
        """By the room's URI, or by the Contact of the focus."""
        asked = SipUri.parse(uri)
        by_contact = (asked.host, asked.port) == ("127.0.0.1", self.user.port)
        if not by_contact:
            plain = f"sip:{asked.user}@{asked.host}"
            return self.room(plain) if plain in self.rooms or not self.rooms_must_exist else None
        if not self.quirks.subscribed_by_contact:
            return None
        return next((room for name, room in self.rooms.items() if SipUri.parse(name).user == asked.user), None)

    def _server(self) -> list[tuple[str, str]]:
        return [("Server", self.quirks.server)] if self.quirks.server else []


def _proves(request: SipMessage, password: str) -> bool:
    authorization = request.get("Authorization")
    return authorization is not None and digest.is_right(authorization, "INVITE", password)
