use super::*;

/// SIP-12, PRES-15, PRES-16. Pending at once, active when allowed, and what is left of it.
#[test]
fn pending_then_active() {
    let mut test = Test::new(3600);
    test.notify(Notice::Pending(None));
    assert_eq!(test.out(), [told("pending;expires=3600", None)]);
    test.answered(200);
    test.passes(600);
    test.notify(Notice::Active(document("open")));
    assert_eq!(test.out(), [told("active;expires=3000", document("open"))]);
}

/// RFC 6665 §4.2.1.2. A NOTIFY is always sent, an empty one if nobody knows the state.
#[test]
fn a_notify_is_owed() {
    let mut test = Test::new(3600);
    test.passes(1);
    assert_eq!(test.out(), []);
    test.passes(1);
    assert_eq!(test.out(), [told("pending;expires=3598", None)]);
    test.answered(200);
    test.notify(Notice::Active(None));
    test.answered(200);
    test.out();
    test.refreshed(1800);
    assert_eq!(test.out(), [Action::AskState(Occasion::Refreshed)]);
    test.passes(2);
    assert_eq!(test.out(), [told("active;expires=1798", None)]);
    test.passes(10);
    assert_eq!(test.out(), []);
}

/// PRES-17, PRES-16. Expiry, by what it was waiting for.
#[test]
fn expiry() {
    for (notice, state) in [
        (Notice::Active(None), "terminated;reason=timeout"),
        (Notice::Pending(None), "terminated;reason=giveup"),
    ] {
        let mut test = Test::new(60);
        test.notify(notice);
        test.answered(200);
        test.out();
        test.passes(59);
        assert_eq!(test.out(), []);
        test.passes(1);
        let over = Action::End(SubscriptionEnd::Expired);
        assert_eq!(test.out(), [told(state, None), over]);
        assert_eq!(test.notifier.poll_timeout(), None);
    }
}

/// PRES-18, PRES-19. Expires 0, inside a subscription and as a poll.
#[test]
fn unsubscribed_and_polled() {
    let over = Action::End(SubscriptionEnd::PeerUnsubscribed);
    let last = "terminated;reason=timeout";
    let mut test = Test::watching();
    test.refreshed(0);
    assert_eq!(test.out(), [Action::AskState(Occasion::Unsubscribed)]);
    test.notify(Notice::Active(document("closed")));
    assert_eq!(test.out(), [told(last, document("closed")), over.clone()]);

    let mut test = Test::new(0);
    test.passes(2);
    assert_eq!(test.out(), [told(last, None), over]);
    test.notify(Notice::Active(None));
    assert_eq!(test.out(), []);
}

/// PRES-16. Refused after it was accepted.
#[test]
fn our_own_end_does_not_wait() {
    let mut test = Test::watching();
    test.notify(Notice::Active(None));
    test.out();
    test.notify(Notice::Terminated {
        reason: TerminationReason::Rejected,
        retry_after: None,
        document: None,
    });
    let over = Action::End(SubscriptionEnd::OurNotice);
    assert_eq!(test.out(), [told("terminated;reason=rejected", None), over]);
}

/// PRES-17. What ends a subscription, and what does not.
#[test]
fn a_failed_notify_ends_it() {
    for code in [
        404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604,
    ] {
        let mut test = Test::watching();
        test.notify(Notice::Active(None));
        test.out();
        test.answered(code);
        let cause = SubscriptionEnd::NotifyRefused(Status::new(code).unwrap());
        assert_eq!(test.out(), [Action::End(cause)]);
    }
    let mut test = Test::watching();
    test.notify(Notice::Active(None));
    test.out();
    test.answered(500);
    assert_eq!(test.out(), []);
    test.notifier
        .handle_failed(Failure::Timeout, &mut test.actions);
    let cause = SubscriptionEnd::NotifyFailed(Failure::Timeout);
    assert_eq!(test.out(), [Action::End(cause)]);
}

/// RS-18. Changes are told at most every five seconds, and together.
#[test]
fn changes_are_told_together() {
    let mut test = Test::watching();
    test.passes(5);
    test.change();
    assert_eq!(test.out(), [Action::AskState(Occasion::Changed)]);
    test.notify(Notice::Active(document("1")));
    assert_eq!(test.out(), [told("active;expires=3595", document("1"))]);
    test.change();
    test.change();
    test.passes(6);
    assert_eq!(test.out(), [], "the last NOTIFY has no answer yet");
    test.answered(200);
    assert_eq!(test.out(), [Action::AskState(Occasion::Changed)]);
    test.notify(Notice::Active(document("2")));
    test.answered(200);
    test.out();
    test.change();
    test.passes(4);
    assert_eq!(test.out(), []);
    test.passes(1);
    assert_eq!(test.out(), [Action::AskState(Occasion::Changed)]);
}

/// One NOTIFY at a time; what is newer replaces what waits.
#[test]
fn one_notify_at_a_time() {
    let mut test = Test::watching();
    test.notify(Notice::Active(document("1")));
    test.notify(Notice::Active(document("2")));
    test.notify(Notice::Active(document("3")));
    assert_eq!(test.out(), [told("active;expires=3600", document("1"))]);
    test.answered(200);
    assert_eq!(test.out(), [told("active;expires=3600", document("3"))]);
}

// ---- the stage ----

struct Test {
    notifier: Notifier,
    now: Instant,
    actions: Vec<Action>,
}

impl Test {
    fn new(granted: u32) -> Self {
        let now = Instant::now();
        Self {
            notifier: Notifier::new(granted, Duration::from_secs(5), now),
            now,
            actions: Vec::new(),
        }
    }

    fn watching() -> Self {
        let mut test = Self::new(3600);
        test.notify(Notice::Active(None));
        test.answered(200);
        test.out();
        test
    }

    fn notify(&mut self, notice: Notice) {
        self.notifier.notify(notice, self.now, &mut self.actions);
    }

    fn refreshed(&mut self, granted: u32) {
        self.notifier
            .handle_refreshed(granted, self.now, &mut self.actions);
    }

    fn change(&mut self) {
        self.notifier.report_change(self.now, &mut self.actions);
    }

    fn answered(&mut self, code: u16) {
        let status = Status::new(code).unwrap();
        self.notifier
            .handle_answered(status, self.now, &mut self.actions);
    }

    fn passes(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.notifier.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.notifier.handle_timeout(self.now, &mut self.actions);
        }
        self.now = end;
    }

    fn out(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }
}

fn told(state: &str, document: Option<Document>) -> Action {
    Action::Notify(SubscriptionState::parse(state).unwrap(), document)
}

fn document(body: &'static str) -> Option<Document> {
    Some(Document {
        content_type: "text/plain".into(),
        body: Bytes::from_static(body.as_bytes()),
    })
}
