"""Who is told of the room's roster, and the documents they get."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...mailbox import Mailbox
from ..sip.dialog import Dialog, new_tag
from ..sip.message import SipMessage
from ..sip.subscription import Notifier, RequestDialog
from ..sip.transaction import ServerTransaction
from . import document

if TYPE_CHECKING:
    from .room import Room

EVENT = "conference"


class Subscriber:
    """One subscription, and which version its last document had."""

    def __init__(self, dialog: Dialog) -> None:
        self.notifier = Notifier(dialog, EVENT)
        self.version = 0


class Subscribers:
    """All of a room's."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.status = 200
        """What SUBSCRIBE is answered."""
        self.silent = False
        """Whether nothing is ever told."""
        self.asked: Mailbox[SipMessage] = Mailbox(room.name)
        """Every SUBSCRIBE; flows may look at them."""
        self.all: list[Subscriber] = []
        self._left_to_refuse = room.quirks.subscriptions_refused_at_first
        self._written = 1

    def take(self, transaction: ServerTransaction) -> None:
        """A SUBSCRIBE in a dialog of its own."""
        request = transaction.request
        self.asked.put(request)
        status = self._judge(request)
        if status >= 300:
            transaction.respond(status, "Refused", tag=new_tag())
            return
        tag = new_tag()
        dialog = RequestDialog.accepted(self.room.focus.user, request, tag, self.room.contact_uri)
        subscriber = Subscriber(dialog)
        dialog.on_request = lambda request, transaction: self._refreshed(subscriber, request, transaction)
        self._accept(subscriber, transaction, tag)

    def take_inside(self, dialog: Dialog, transaction: ServerTransaction) -> None:
        """A SUBSCRIBE inside an INVITE dialog."""
        request = transaction.request
        known = next((one for one in self.all if one.notifier.dialog is dialog), None)
        if known is not None:
            self._refreshed(known, request, transaction)
            return
        self.asked.put(request)
        if (status := self._judge(request)) >= 300:
            transaction.respond(status, "Refused", tag=None)
            return
        self._accept(Subscriber(dialog), transaction, None)

    def tell(self, write: Callable[[int], bytes]) -> None:
        """Something has changed; `write` makes a partial document with that version."""
        for subscriber in self.all:
            if self.room.quirks.full_documents_only:
                self.send(subscriber, self._full)
            else:
                self.send(subscriber, write)

    def send(self, subscriber: Subscriber, write: Callable[[int], bytes]) -> None:
        """One document for one subscriber."""
        if not self.silent:
            subscriber.notifier.notify(write(self._next_version(subscriber)), document.TYPE)

    def send_as_it_stands(self, body: bytes, content_type: str = document.TYPE) -> None:
        """A document that no room would write, for everybody; versions are not touched."""
        for subscriber in self.all:
            subscriber.notifier.notify(body, content_type)

    def skip_version(self) -> None:
        """A document gets lost on its way to each subscriber."""
        for subscriber in self.all:
            subscriber.version += 1

    def tell_all(self) -> None:
        """The full document for everybody."""
        for subscriber in self.all:
            self.send(subscriber, self._full)

    def end(self, reason: str | None) -> None:
        """Nobody is told anything any more."""
        for subscriber in self.all:
            self._end(subscriber, reason)
        self.all.clear()

    def _judge(self, request: SipMessage) -> int:
        if request.one("Event").partition(";")[0].strip() != EVENT:
            return 489
        if not any(document.TYPE in value for value in request.all("Accept")):
            return 406
        if self._left_to_refuse:
            self._left_to_refuse -= 1
            return 480
        return self.status

    def _accept(self, subscriber: Subscriber, transaction: ServerTransaction, tag: str | None) -> None:
        expires = transaction.request.get("Expires") or "3600"
        transaction.respond(200, "OK", tag=tag, headers=self._answer(expires))
        if expires == "0":
            self._end(subscriber, "timeout")
            return
        self.all.append(subscriber)
        self.send(subscriber, self._full)

    def _refreshed(self, subscriber: Subscriber, request: SipMessage, transaction: ServerTransaction) -> bool:
        if request.method != "SUBSCRIBE":
            return False
        if subscriber not in self.all:
            transaction.respond(481, "Subscription does not exist", tag=None)
            return True
        self.asked.put(request)
        expires = request.get("Expires") or "3600"
        transaction.respond(200, "OK", tag=None, headers=self._answer(expires))
        if expires == "0":
            self.all.remove(subscriber)
            self._end(subscriber, "timeout")
        else:
            self.send(subscriber, self._full)
        return True

    def _answer(self, expires: str) -> list[tuple[str, str]]:
        return [("Contact", f"<{self.room.contact_uri}>"), ("Expires", expires)]

    def _end(self, subscriber: Subscriber, reason: str | None) -> None:
        said = "" if reason is None or self.room.quirks.silent_end else f";reason={reason}"
        subscriber.notifier.notify(b"", document.TYPE, f"terminated{said}")

    def _full(self, version: int) -> bytes:
        return document.full(self.room.about, self.room.persons.values(), version, self.room.quirks)

    def _next_version(self, subscriber: Subscriber) -> int:
        if self.room.quirks.shared_versions:
            self._written += 1
            return self._written
        subscriber.version += 1
        return subscriber.version
