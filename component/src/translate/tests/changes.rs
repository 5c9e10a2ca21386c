//! What becomes of a session that is changed, held, lost and made anew.

use super::*;

fn lost(chat: ChatId) -> Event {
    Event::Chat(chat, ChatEvent::Disconnected(LostCause::ConnectionEnded))
}

impl Stage {
    /// The connection is lost, and juliet's side asks for another.
    fn lose(&mut self, chat: ChatId) {
        assert!(self.feed(lost(chat)).is_empty());
        let actions = self.elapse();
        assert!(
            matches!(actions.as_slice(), [Action::Renew(_)]),
            "{actions:?}"
        );
    }

    fn elsewhere(&self, role: Role) -> Media {
        Media {
            path: vec!["msrp://romeo.example.net:7394/another;tcp".parse().unwrap()],
            ..self.media(role)
        }
    }

    fn on_hold(&self) -> ChatEvent {
        ChatEvent::Changed(Media {
            listening: Listening::OnHold,
            ..self.media(Role::Active)
        })
    }
}

#[test]
fn a_lost_connection_is_made_anew_and_what_had_no_answer_goes_again() {
    // MSRP-10
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let sent = stage.feed(message("m2", Some(THREAD), "two"));
    let second = token_of(&sent);
    stage.lose(chat);
    assert!(stage.feed(message("m3", Some(THREAD), "three")).is_empty());
    let answer = ChatEvent::Renewed(Ok(stage.elsewhere(Role::Active)));
    let opened = stage.feed(Event::Chat(chat, answer));
    assert!(
        matches!(opened.as_slice(), [Action::OpenMsrp { leg: 2, .. }]),
        "{opened:?}"
    );
    let actions = stage.feed(Event::Chat(chat, ChatEvent::Bound));
    let [
        Action::SendAgain { token: again, .. },
        Action::Send { token: third, .. },
    ] = actions.as_slice()
    else {
        panic!("{actions:?}");
    };
    assert_eq!(*again, second);
    for token in [again, third] {
        let settled = stage.feed(Event::Chat(chat, ChatEvent::Accepted(*token)));
        assert!(refusals(&settled).is_empty());
    }
    assert!(!stage.core.is_quiet(), "the session goes on");
}

#[test]
fn what_the_old_connection_left_unanswered_says_nothing_of_the_new_one() {
    // MSRP-10: what cannot be sent again goes back, and the session stays
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let mut tokens = Vec::new();
    for id in ["m2", "m3", "m4"] {
        tokens.push(token_of(&stage.feed(message(id, Some(THREAD), id))));
    }
    stage.lose(chat);
    let answer = ChatEvent::Renewed(Ok(stage.elsewhere(Role::Active)));
    stage.feed(Event::Chat(chat, answer));
    stage.feed(Event::Chat(chat, ChatEvent::Bound));
    for (token, id) in tokens.into_iter().zip(["m2", "m3", "m4"]) {
        let actions = stage.feed(Event::Chat(chat, ChatEvent::Refused(token, 408)));
        assert!(
            matches!(actions.as_slice(), [Action::Settle(_)]),
            "{actions:?}"
        );
        assert_eq!(refusals(&actions), [(id, Condition::RemoteServerTimeout)]);
    }
    let sent = stage.feed(message("m5", Some(THREAD), "five"));
    assert!(matches!(sent.as_slice(), [Action::Send { .. }]), "{sent:?}");
}

#[test]
fn what_the_connection_did_not_take_goes_by_the_next() {
    // MSRP-10: the core hears of the end of a connection when it has written to it
    for is_renewed in [true, false] {
        let mut stage = Stage::new();
        let chat = stage.open(THREAD);
        let Event::Written(mut asking) = message("m2", Some(THREAD), "two") else {
            panic!();
        };
        asking.wishes.receipt = true;
        let second = token_of(&stage.feed(Event::Written(asking)));
        let third = token_of(&stage.feed(message("m3", Some(THREAD), "three")));
        for token in [second, third] {
            let unsent = Event::Chat(chat, ChatEvent::Unsent(token));
            assert!(stage.feed(unsent).is_empty());
        }
        stage.lose(chat);
        if !is_renewed {
            let actions = stage.feed(Event::Chat(chat, ChatEvent::NotRenewed));
            let mut back = refusals(&actions);
            back.sort_unstable_by_key(|(id, _)| *id);
            let unavailable = Condition::RecipientUnavailable;
            assert_eq!(back, [("m2", unavailable), ("m3", unavailable)]);
            continue;
        }
        let answer = ChatEvent::Renewed(Ok(stage.elsewhere(Role::Active)));
        stage.feed(Event::Chat(chat, answer));
        let actions = stage.feed(Event::Chat(chat, ChatEvent::Bound));
        let [
            Action::SendAgain { token: one, .. },
            Action::SendAgain { token: other, .. },
        ] = actions.as_slice()
        else {
            panic!("{actions:?}");
        };
        assert_eq!((*one, *other), (second, third), "in their order");
        let range = stox_msrp::ByteRange::WHOLE;
        let receipt = stage.feed(Event::Chat(chat, ChatEvent::Reported(second, 200, range)));
        assert!(
            matches!(receipt.as_slice(), [Action::Stanza(..), Action::Settle(_)]),
            "{receipt:?}"
        );
        let settled = stage.feed(Event::Chat(chat, ChatEvent::Accepted(third)));
        assert!(matches!(settled.as_slice(), [Action::Settle(_)]));
        assert!(refusals(&settled).is_empty());
    }
}

#[test]
fn a_connection_that_is_not_made_anew_gives_back_what_has_no_answer() {
    // CHAT-29, MSRP-10: refused, and lost again at once
    for lost_again in [true, false] {
        let mut stage = Stage::new();
        let chat = stage.open(THREAD);
        stage.feed(message("m2", Some(THREAD), "two"));
        stage.lose(chat);
        let actions = match lost_again {
            true => {
                let answer = ChatEvent::Renewed(Ok(stage.elsewhere(Role::Passive)));
                stage.feed(Event::Chat(chat, answer));
                stage.feed(Event::Chat(chat, ChatEvent::Bound));
                stage.feed(lost(chat))
            }
            false => stage.feed(Event::Chat(chat, ChatEvent::NotRenewed)),
        };
        assert_eq!(
            refusals(&actions),
            [("m2", Condition::RecipientUnavailable)]
        );
        let mut byes = actions.iter();
        assert!(byes.any(|action| matches!(action, Action::Bye(_, Reason::MediaLost))));
        assert!(stage.core.is_quiet());
    }
}

#[test]
fn who_hangs_up_is_not_asked_for_another_connection() {
    // CHAT-23: the end of the connection may come before the BYE that belongs to it
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    assert!(stage.feed(lost(chat)).is_empty());
    assert!(stage.feed(Event::Chat(chat, ChatEvent::Ended)).is_empty());
    let actions = stage.elapse();
    assert!(
        matches!(actions.as_slice(), [Action::Stanza(..), Action::Close(_)]),
        "gone, and nothing else: {actions:?}"
    );
}

#[test]
fn a_session_the_peer_does_not_know_is_tried_once_more() {
    // T10: 481, then on a new session, then it is the sender's to know
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let sent = stage.feed(message("m2", Some(THREAD), "two"));
    let token = token_of(&sent);
    let refused = || Event::Chat(chat, ChatEvent::Refused(token, 481));
    assert!(stage.feed(refused()).is_empty());
    assert!(matches!(stage.elapse().as_slice(), [Action::Renew(_)]));
    let answer = ChatEvent::Renewed(Ok(stage.elsewhere(Role::Active)));
    stage.feed(Event::Chat(chat, answer));
    let actions = stage.feed(Event::Chat(chat, ChatEvent::Bound));
    assert!(
        matches!(actions.as_slice(), [Action::SendAgain { .. }]),
        "{actions:?}"
    );
    let actions = stage.feed(refused());
    assert_eq!(refusals(&actions), [("m2", Condition::ItemNotFound)]);
    assert!(stage.core.is_quiet());
}

#[test]
fn what_came_by_a_connection_is_answered_by_that_one_only() {
    // MSRP-10: ids of messages begin anew with each connection
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let written = stage.feed(received(chat, 1, "text/plain", "one"));
    let [Action::Stanza(_, Some(token))] = written.as_slice() else {
        panic!("{written:?}");
    };
    stage.feed(Event::Chat(
        chat,
        ChatEvent::Changed(stage.elsewhere(Role::Passive)),
    ));
    stage.feed(Event::Chat(chat, ChatEvent::Bound));
    let settled = stage.feed(Event::Handed(*token));
    assert!(
        matches!(
            settled.as_slice(),
            [Action::Settle(Settlement {
                ticket: Ticket::Send { leg: 1, .. },
                outcome: Outcome::Delivered
            })]
        ),
        "{settled:?}"
    );
}

#[test]
fn what_the_peer_sends_again_by_another_connection_is_not_shown_again() {
    // MSRP-11: the one the server has, and the one whose fate is open: both are answered where they came last, and
    // neither is refused or counted twice
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let mut tokens = Vec::new();
    for (number, text) in [(1, "one"), (2, "two")] {
        let written = stage.feed(received(chat, number, "text/plain", text));
        let [Action::Stanza(_, Some(token))] = written.as_slice() else {
            panic!("{written:?}");
        };
        tokens.push(*token);
    }
    stage.feed(Event::Handed(tokens[0]));
    let moved = ChatEvent::Changed(stage.elsewhere(Role::Passive));
    stage.feed(Event::Chat(chat, moved));
    stage.feed(Event::Chat(chat, ChatEvent::Bound));
    let mut answers = Vec::new();
    for event in [
        received(chat, 1, "text/plain", "one"),
        received(chat, 2, "text/plain", "two"),
        Event::Handed(tokens[1]),
    ] {
        for action in stage.feed(event) {
            match action {
                // What was counted once is answered only.
                Action::Respond {
                    incoming,
                    status: 200,
                    ..
                } => answers.push((2, incoming)),
                Action::Settle(Settlement {
                    ticket: Ticket::Send { leg, incoming, .. },
                    outcome: Outcome::Delivered,
                }) => answers.push((leg, incoming)),
                other => panic!("{other:?}"),
            }
        }
    }
    let [one, two] = [1, 2].map(IncomingId::from_number);
    assert_eq!(
        answers,
        [(2, one), (2, two)],
        "nobody hears what the first connection would have answered"
    );
}

#[test]
fn what_waits_for_a_held_peer_is_bounded_and_given_back_at_the_end() {
    // CHAT-32 CHAT-08
    let mut stage = Stage::new();
    stage.settings(|settings| settings.held = 2);
    let chat = stage.open(THREAD);
    stage.feed(Event::Chat(chat, stage.on_hold()));
    for id in ["m2", "m3"] {
        assert!(stage.feed(message(id, Some(THREAD), id)).is_empty());
    }
    let refused = stage.feed(message("m4", Some(THREAD), "too many"));
    assert_eq!(refusals(&refused), [("m4", Condition::ResourceConstraint)]);
    stage.feed(Event::Chat(chat, ChatEvent::Ended));
    stage.elapse();
    let actions = stage.elapse();
    assert_eq!(
        refusals(&actions),
        [
            ("m2", Condition::RecipientUnavailable),
            ("m3", Condition::RecipientUnavailable)
        ]
    );
    assert!(stage.core.is_quiet());
}

/// What one of two gateways has sent by MSRP: by which session, what.
fn sent(actions: &[Action]) -> Vec<(ChatId, Vec<u8>)> {
    let sent = actions.iter().filter_map(|action| match action {
        Action::Send { chat, body, .. } => Some((*chat, body.to_vec())),
        _ => None,
    });
    sent.collect()
}

#[test]
fn two_gateways_that_call_each_other_lose_nothing() {
    // CHAT-27: each withdraws its INVITE, and each 2xx crosses that: both sessions stay, on both sides
    let mut sides = [Stage::new(), Stage::new()];
    let mut chats = Vec::new();
    for stage in &mut sides {
        let actions = stage.feed(message("m1", Some(THREAD), "one"));
        let [Action::Invite { chat: ours, .. }] = actions.as_slice() else {
            panic!("{actions:?}");
        };
        let theirs = stage.core.next_chat();
        let actions = stage.feed(Event::Invited(theirs, stage.invitation()));
        let mut retracted = actions.iter();
        assert!(retracted.any(|action| matches!(action, Action::Retract(chat) if chat == ours)));
        chats.push((*ours, theirs));
    }
    for (stage, (ours, theirs)) in sides.iter_mut().zip(chats) {
        stage.feed(message("m2", Some(THREAD), "two"));
        let media = Ok(stage.media(Role::Active));
        let device = None;
        let actions = stage.feed(Event::Chat(ours, ChatEvent::Answered { media, device }));
        assert!(
            matches!(
                actions.as_slice(),
                [Action::Ack(_), Action::OpenMsrp { .. }]
            ),
            "{actions:?}"
        );
        assert!(sent(&stage.feed(Event::Chat(ours, ChatEvent::Bound))).is_empty());
        // What waited goes by the session that the other has opened, in its order.
        let actions = stage.feed(Event::Chat(theirs, ChatEvent::Bound));
        assert_eq!(
            sent(&actions),
            [(theirs, b"one".to_vec()), (theirs, b"two".to_vec())]
        );
        // Then by the one that the other has used last.
        for (used, id) in [(ours, "m3"), (theirs, "m4")] {
            stage.now += Duration::from_secs(1);
            stage.hand_over(received(used, 1, "text/plain", "an answer"));
            let actions = stage.feed(message(id, Some(THREAD), id));
            assert_eq!(sent(&actions), [(used, id.as_bytes().to_vec())]);
        }
        // When the XMPP user leaves, nothing of it is left.
        let gone = Event::Stated {
            thread: Some(THREAD.to_owned()),
            state: ChatState::Gone,
        };
        stage.feed(gone);
        stage.elapse();
        let actions = stage.feed(Event::Elapsed);
        assert!(
            actions
                .iter()
                .all(|action| !matches!(action, Action::Send { .. }))
        );
    }
}

#[test]
fn an_invite_that_gave_way_and_is_wanted_no_more_is_withdrawn_for_good() {
    // CHAT-27 CHAT-10
    for event in [Event::ShutDown, Event::Elapsed] {
        let mut stage = Stage::new();
        stage.feed(message("m1", Some(THREAD), "one"));
        let theirs = stage.core.next_chat();
        stage.feed(Event::Invited(theirs, stage.invitation()));
        stage.feed(Event::Chat(theirs, ChatEvent::Bound));
        stage.now += Duration::from_secs(30);
        let actions = stage.feed(event);
        let mut cancels = actions.iter();
        assert!(
            cancels.any(|action| matches!(action, Action::Cancel(ours) if *ours != theirs)),
            "{actions:?}"
        );
    }
}

#[test]
fn the_invite_that_gives_way_leaves_its_messages_and_its_thread() {
    // CHAT-27
    let mut stage = Stage::new();
    stage.feed(message("m1", Some(THREAD), "one"));
    stage.feed(message("m2", Some(THREAD), "two"));
    let theirs = stage.core.next_chat();
    let invitation = stage.invitation();
    let actions = stage.feed(Event::Invited(theirs, invitation));
    let mut cancels = actions.iter();
    assert!(cancels.any(|action| matches!(action, Action::Retract(ours) if *ours != theirs)));
    let sent = stage.feed(Event::Chat(theirs, ChatEvent::Bound));
    let sent: Vec<_> = sent
        .iter()
        .map(|action| match action {
            Action::Send { chat, body, .. } => (*chat, body.as_ref()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sent, [(theirs, &b"one"[..]), (theirs, b"two")]);
    // The thread is the session's now.
    let sent = stage.feed(message("m3", Some(THREAD), "three"));
    assert!(matches!(sent.as_slice(), [Action::Send { chat, .. }] if *chat == theirs));
}
