"""Who is in a room of the XMPP server, as a SIP user's subscription tells it (RFC 4575, T16)."""

from __future__ import annotations

from ..errors import equal, require
from ..peers.muc import Occupancy
from ..peers.participant import Participant
from ..peers.sip.subscription import subscribe
from ..world import World
from . import flow
from .rooms import enter, go, prepare


@flow("MUC: they come, change and go", limit=90.0)
async def they_come_and_go(world: World) -> None:
    """RS-16, RS-17, RS-18, RS-19, RS-20, T16."""
    entered = await enter(world)
    him, there = entered.him, entered.there
    # RS-17, T16: roles.
    roles = him.occupant_named("JuliC").roles
    require("moderator" in roles and "participant" in roles, f"T16: roles of a moderator: {roles}")
    equal(him.occupant_named("Romeo").roles, ("participant",), "T16: roles")
    equal(him.occupant_named("JuliC").statuses, ("connected",), "T16: status of the endpoint")
    # RS-20: nobody but moderators may know her address.
    equal(him.occupant_named("JuliC").aors, (), "RS-20: associated-aors")
    # RS-18: a partial document.
    nurse = Occupancy(await world.add_xmpp_user("nurse"), entered.room)
    await nurse.join("Nurse")
    await there.expect_presence("Nurse")
    await him.until_there("JuliC", "Romeo", "Nurse")
    # RS-19: a new nickname: one goes, another comes.
    nurse.rename("Angelica")
    await nurse.renamed("Nurse", "Angelica", own=True)
    await there.renamed("Nurse", "Angelica", own=False)
    documents = len(him.roster.documents)
    await him.until_there("JuliC", "Romeo", "Angelica")
    equal(len(him.roster.documents), documents + 1, "RS-19: one document")
    # RS-18: gone.
    await nurse.left()
    await there.expect_gone("Angelica")
    await him.until_there("JuliC", "Romeo")
    # RS-18: everything again on a refresh.
    await him.subscription.subscribe()
    roster = await him.next_document()
    equal(roster.documents[-1], "full", "RS-18: a refresh gets full state")
    await go(entered)
    await world.nothing_else()


@flow("MUC: changes close together are one document", limit=90.0)
async def merged(world: World) -> None:
    """RS-18: at most one NOTIFY in 5 s."""
    entered = await enter(world)
    nurse = Occupancy(await world.add_xmpp_user("nurse"), entered.room)
    mercutio = Occupancy(await world.add_xmpp_user("mercutio"), entered.room)
    documents = len(entered.him.roster.documents)
    for _ in range(3):
        for somebody, nick in ((nurse, "Nurse"), (mercutio, "Merc")):
            await somebody.join(nick)
            await somebody.left()
            somebody.inbox.clear()
    await nurse.join("Nurse")
    await entered.him.until_there("JuliC", "Romeo", "Nurse")
    # RS-18: a dozen changes, a few documents.
    written = len(entered.him.roster.documents) - documents
    require(written <= 3, f"RS-18: {written} documents")
    await nurse.left()
    entered.there.inbox.clear()
    await entered.him.leave()


@flow("MUC: real addresses in a room that shows them", limit=90.0)
async def real_addresses(world: World) -> None:
    """RS-20, T17: associated-aors only where the room is non-anonymous."""
    entered = await enter(world, whois="anyone")
    # RS-20: her address.
    aors = entered.him.occupant_named("JuliC").aors
    require(any("juliet@example.com" in aor and aor.startswith("xmpp:") for aor in aors), f"RS-20: {aors}")
    entered.him.session.inbox.clear()
    entered.there.inbox.clear()
    await entered.him.leave()


@flow("MUC: the subject")
async def subject(world: World) -> None:
    """RS-29: in the roster of who watches, and as the room's own words for who does not."""
    there, romeo, room = await prepare(world)
    him = Participant(romeo, f"sip:{room}")
    await him.enter("Romeo")
    await there.expect_presence("Romeo")
    # RS-29: without subscription.
    there.entitle("The balcony")
    await there.expect_subject("The balcony")
    got = await him.session.inbox.take("the room's words")
    require("The balcony" in got.text, f"RS-29: {got.text!r}")
    # RS-29, RS-17: with one.
    await him.watch()
    roster = await him.until_there("JuliC", "Romeo")
    equal(roster.subject, "The balcony", "RS-17: subject")
    there.entitle("The tomb <&>")
    await there.expect_subject("The tomb <&>")
    while roster.subject != "The tomb <&>":
        await him.next_document()
    await him.leave()
    await him.until_unwatched()
    await there.expect_gone("Romeo")
    await there.left()
    await world.nothing_else()


@flow("MUC: subscriptions that are refused")
async def refused(world: World) -> None:
    """RS-15: of strangers, of other events, too short, without the document's type; and an end of one's own."""
    there, romeo, room = await prepare(world)
    uri, accept = f"sip:{room}", "application/conference-info+xml"
    # RS-15: nobody who is not in the room.
    response, _ = await subscribe(romeo, uri, "conference", accept)
    equal(response.status, 403, "RS-15: a stranger")
    him = Participant(romeo, uri)
    await him.enter("Romeo")
    await there.expect_presence("Romeo")
    # RS-15: what it is about.
    response, _ = await subscribe(romeo, uri, "weather", accept)
    equal(response.status, 489, "RS-15: another event")
    response, _ = await subscribe(romeo, uri, "conference", "text/plain")
    equal(response.status, 406, "RS-15: another type")
    response, _ = await subscribe(romeo, uri, "conference", accept, 1)
    equal(response.status, 423, "RS-15: too short")
    require(response.get("Min-Expires"), f"RS-15: Min-Expires:\n{response}")
    # RS-15: shortened, and without Expires.
    response, subscription = await subscribe(romeo, uri, "conference", accept, 100_000)
    equal(response.get("Expires"), "3600", "RS-15: Expires")
    await subscription.expect("active")
    response = await subscription.subscribe(0)
    equal(response.status, 200, "RS-15: the end of one's own")
    await subscription.expect("terminated")
    await him.leave()
    await there.expect_gone("Romeo")
    await there.left()
    await world.nothing_else()


@flow("MUC: the subscription shares the dialog of the INVITE")
async def inside(world: World) -> None:
    """RS-15, RS-16: as RFC 7702 draws it."""
    there, romeo, room = await prepare(world)
    him = Participant(romeo, f"sip:{room}")
    await him.enter("Romeo")
    await there.expect_presence("Romeo")
    # RS-15: in the INVITE dialog.
    equal((await him.watch_inside()).status, 200, "RS-15: answer to SUBSCRIBE")
    await him.until_there("JuliC", "Romeo")
    await him.leave()
    # RS-32: the subscription ends with the session.
    await him.until_unwatched()
    await there.expect_gone("Romeo")
    await there.left()
