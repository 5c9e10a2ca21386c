"""What RFC 3261, 3428 and 3581 ask of every message the gateway sends."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ProtocolViolation
from .message import SipMessage, SipUri, parameter, uri_of

_ONCE = ("From", "To", "Call-ID", "CSeq")
_AT_MOST_ONCE = (
    "Max-Forwards", "Content-Type", "Content-Length", "Subject", "User-Agent", "Server", "Expires", "Date",
    "Content-Language", "Content-Disposition", "Organization", "Retry-After", "MIME-Version",
)  # fmt: skip


@dataclass(frozen=True)
class Gateway:
    """Where the gateway listens for SIP, as the tests configured it."""

    host: str
    port: int


def check_request(message: SipMessage, transport: str, gateway: Gateway) -> None:
    """Any request."""

    def ask(condition: object, rule: str) -> None:
        if not condition:
            raise ProtocolViolation(rule, str(message))

    for name in _ONCE:
        message.one(name)
    for name in _AT_MOST_ONCE:
        message.get(name)
    vias = message.all("Via")
    ask(len(vias) == 1, "RFC 3261 §8.1.1.7: a UAC sends one Via")
    ask(vias[0].startswith(f"SIP/2.0/{transport.upper()} "), f"RFC 3261 §18.1.1: Via names {transport}")
    ask(message.branch.startswith("z9hG4bK") and len(message.branch) > 10, "RFC 3261 §8.1.1.7: Via branch")
    ask(parameter(vias[0], "rport") is not None, "RFC 3581 §3, SIP-04: Via has rport")
    sent_by = vias[0].split(" ", 1)[1].split(";")[0].strip()
    ask(sent_by == f"{gateway.host}:{gateway.port}", f"RFC 3261 §18.1.1: Via sent-by is {gateway.host}:{gateway.port}")
    ask(message.one("Max-Forwards").isdigit(), "RFC 3261 §8.1.1.6: Max-Forwards")
    ask(0 < int(message.one("Max-Forwards")) <= 70, "RFC 3261 §8.1.1.6: Max-Forwards is at most 70")
    ask(message.cseq[1] == message.method, "RFC 3261 §8.1.1.5: CSeq names the method")
    ask(parameter(message.one("From"), "tag"), "RFC 3261 §8.1.1.3: From has a tag")
    ask(parameter(message.one("To"), "tag") != "", "RFC 3261 §19.3: the tag of To is not empty")
    SipUri.parse(message.uri)
    if message.body:
        message.one("Content-Type")
    if message.method == "INVITE":
        _check_invite(message, gateway)
    elif message.method == "MESSAGE":
        _check_message(message)


def _check_invite(message: SipMessage, gateway: Gateway) -> None:
    check_contact(message, gateway)
    _ask_content_type(message, "application/sdp")
    for name in ("Allow", "Supported"):
        if not message.all(name):
            raise ProtocolViolation(f"RFC 3261 §13.2.1, CHAT-02: INVITE has {name}", str(message))
    if "gr" in SipUri.parse(uri_of(message.one("From"))).parameters:
        raise ProtocolViolation("CORE-10: From of an INVITE is the plain address of record", str(message))


def _check_message(message: SipMessage) -> None:
    if message.all("Contact"):
        raise ProtocolViolation("RFC 3428 §4, IM-02: MESSAGE has no Contact", str(message))
    if not message.body:
        raise ProtocolViolation("IM-18: MESSAGE has a body", str(message))


def check_contact(message: SipMessage, gateway: Gateway) -> None:
    """One Contact, with a URI by which the gateway itself is reached (CORE-11)."""
    uri = SipUri.parse(uri_of(message.one("Contact")))
    if (uri.host, uri.port or 5060) != (gateway.host, gateway.port):
        raise ProtocolViolation(f"CORE-11: Contact leads to {gateway.host}:{gateway.port}", str(message))


def check_response(message: SipMessage, request: SipMessage, gateway: Gateway) -> None:
    """A response to a request of ours (RFC 3261 §8.2.6)."""

    def ask(condition: object, rule: str) -> None:
        if not condition:
            raise ProtocolViolation(f"{rule}\n--- request ---\n{request}", str(message))

    for name in _ONCE:
        message.one(name)
    for name in _AT_MOST_ONCE:
        message.get(name)
    got, sent = message.all("Via"), request.all("Via")
    ask(len(got) == len(sent), "RFC 3261 §8.2.6.2: every Via is copied")
    for mine, theirs in zip(sent, got, strict=True):
        ask(theirs.split(";")[0] == mine.split(";")[0], "RFC 3261 §8.2.6.2: Via is copied")
        ask(parameter(theirs, "branch") == parameter(mine, "branch"), "RFC 3261 §8.2.6.2: branch is copied")
    if parameter(sent[0], "rport") == "":
        ask(parameter(got[0], "rport"), "RFC 3581 §4: rport is filled in")
        ask(parameter(got[0], "received"), "RFC 3581 §4: received is added with rport")
    for name in ("From", "Call-ID", "CSeq"):
        ask(message.one(name) == request.one(name), f"RFC 3261 §8.2.6.2: {name} is copied")
    ask(uri_of(message.one("To")) == uri_of(request.one("To")), "RFC 3261 §8.2.6.2: To is copied")
    if parameter(request.one("To"), "tag"):
        ask(message.one("To") == request.one("To"), "RFC 3261 §8.2.6.2: the tag of To is copied")
    elif message.status > 100:
        ask(parameter(message.one("To"), "tag"), "RFC 3261 §8.2.6.2: To gets a tag")
    required = {405: "Allow", 415: "Accept", 420: "Unsupported", 401: "WWW-Authenticate", 407: "Proxy-Authenticate"}
    if header := required.get(message.status):
        ask(message.all(header), f"RFC 3261 §21.4: {message.status} has {header}")
    ask(not (message.status == 408 and request.method != "INVITE"), "RFC 4320 §4.2: no 408 to a non-INVITE request")
    if 200 <= message.status < 300:
        if request.method == "INVITE":
            check_contact(message, gateway)
            _ask_content_type(message, "application/sdp")
            for name in ("Allow", "Supported"):
                ask(message.all(name), f"RFC 3261 §13.3.1.4: 2xx to INVITE has {name}")
        if request.method == "MESSAGE":
            ask(not message.all("Contact") and not message.body, "RFC 3428 §7, IM-02: 2xx has no Contact, no body")


def _ask_content_type(message: SipMessage, wanted: str) -> None:
    if message.one("Content-Type").split(";")[0].strip().lower() != wanted:
        raise ProtocolViolation(f"RFC 3261 §20.15: Content-Type is {wanted}", str(message))
