use super::*;
use crate::TerminationReason;

const N: Duration = Duration::from_secs(32);

/// SIP-12, PRES-03. SUBSCRIBE, NOTIFY, 200; refreshed when four fifths have passed.
#[test]
fn refreshes_at_four_fifths_of_what_is_granted() {
    let mut test = Test::subscribe(3600);
    test.notified("active;expires=3600");
    test.answered(200, Some(1000));
    test.passes(799);
    assert_eq!(test.out(), []);
    test.passes(1);
    // What the peer grants is what is asked for from then on.
    assert_eq!(test.out(), [Action::Subscribe { expires: 1000 }]);
    test.answered(200, Some(1000));
    test.notified("active;expires=1000");
    test.passes(800);
    assert_eq!(test.out(), [Action::Subscribe { expires: 1000 }]);
}

/// SIP-12, PRES-03. Timer N, for the first SUBSCRIBE and for a refresh.
#[test]
fn without_notify_it_fails() {
    let mut test = Test::subscribe(3600);
    test.answered(200, Some(3600));
    test.passes(31);
    assert_eq!(test.out(), []);
    test.passes(1);
    let next = Next::After(Duration::from_secs(60));
    assert_eq!(test.out(), [ended(SubscriptionEnd::NoNotify, next)]);
    assert_eq!(test.subscriber.poll_timeout(), None);

    let mut test = Test::subscribed();
    test.passes(2880);
    test.answered(200, None);
    test.out();
    test.passes(32);
    assert_eq!(test.out(), [ended(SubscriptionEnd::NoNotify, Next::AtOnce)]);
}

/// SIP-12, PRES-05. 423: once more with what the peer wants, within reason.
#[test]
fn too_brief_is_asked_longer() {
    let mut test = Test::subscribe(60);
    test.too_brief(Some(300));
    assert_eq!(test.out(), [Action::Subscribe { expires: 300 }]);
    test.too_brief(Some(400));
    assert_eq!(test.out(), [Action::Subscribe { expires: 400 }]);
    test.too_brief(Some(500));
    let refused = SubscriptionEnd::Refused(Status::INTERVAL_TOO_BRIEF);
    assert_eq!(test.out(), [ended(refused.clone(), Next::Never)]);
    for least in [None, Some(0), Some(60), Some(u32::MAX)] {
        let mut test = Test::subscribe(60);
        test.too_brief(least);
        assert_eq!(test.out(), [ended(refused.clone(), Next::Never)]);
    }
}

/// PRES-05. Refusals of a refresh end it, or leave it until it expires.
#[test]
fn a_refused_refresh() {
    for code in [
        403, 404, 405, 410, 416, 480, 481, 482, 485, 489, 501, 603, 604,
    ] {
        let mut test = Test::subscribed();
        test.passes(2880);
        test.out();
        test.answered(code, None);
        let [Action::End { cause, .. }] = &test.out()[..] else {
            panic!("{code}")
        };
        assert_eq!(*cause, SubscriptionEnd::Refused(status(code)));
    }
    for code in [400, 408, 500, 503] {
        let mut test = Test::subscribed();
        test.passes(2880);
        test.out();
        test.answered(code, None);
        assert_eq!(test.out(), [], "{code}");
        // Half of what is left.
        test.passes(360);
        assert_eq!(test.out(), [Action::Subscribe { expires: 3600 }]);
        test.subscriber
            .handle_failed(Failure::Timeout, test.now, &mut test.actions);
        test.passes(180);
        assert_eq!(test.out(), [Action::Subscribe { expires: 3600 }]);
        test.answer(Answer {
            status: Status::SERVICE_UNAVAILABLE,
            expires: None,
            min_expires: None,
            retry_after: Some(181),
        });
        test.passes(180);
        assert_eq!(test.out(), [ended(SubscriptionEnd::Expired, Next::AtOnce)]);
    }
}

/// PRES-06
#[test]
fn a_last_notify_ends_it() {
    let mut test = Test::subscribed();
    test.notified("terminated;reason=probation;retry-after=7");
    let cause = SubscriptionEnd::Terminated(Some(TerminationReason::Probation));
    let next = Next::After(Duration::from_secs(7));
    assert_eq!(test.out(), [ended(cause, next)]);
    test.answered(200, None);
    test.notified("active");
    assert_eq!(test.out(), []);
}

/// SIP-12. Expires 0 waits for the NOTIFY that ends it, and for an answer under way.
#[test]
fn unsubscribing() {
    let mut test = Test::subscribed();
    test.unsubscribe();
    assert_eq!(test.out(), [Action::Subscribe { expires: 0 }]);
    test.answered(200, Some(0));
    test.notified("active;expires=9");
    assert_eq!(test.out(), []);
    test.notified("terminated;reason=timeout");
    let over = ended(SubscriptionEnd::Unsubscribed, Next::Never);
    assert_eq!(test.out(), std::slice::from_ref(&over));

    let mut test = Test::subscribe(3600);
    test.unsubscribe();
    test.notified("pending");
    assert_eq!(test.out(), []);
    test.answered(200, None);
    assert_eq!(test.out(), [Action::Subscribe { expires: 0 }]);
    test.answered(481, None);
    assert_eq!(test.out(), std::slice::from_ref(&over));

    let mut test = Test::subscribed();
    test.unsubscribe();
    test.out();
    test.passes(32);
    assert_eq!(test.out(), [over]);
}

/// RFC 6665 §4.4.3. A poll ends with its NOTIFY, and is not repeated.
#[test]
fn a_poll_is_told_once() {
    for state in ["terminated;reason=timeout", "active;expires=0"] {
        let mut test = Test::subscribe(0);
        test.answered(200, Some(0));
        test.notified(state);
        let [Action::End { next, .. }] = &test.out()[..] else {
            panic!("{state}")
        };
        assert_eq!(*next, Next::Never);
    }
}

/// RFC 6665 §4.1.3. The NOTIFY may shorten it.
#[test]
fn a_notify_shortens_it() {
    let mut test = Test::subscribed();
    test.notified("active;expires=100");
    test.passes(80);
    assert_eq!(test.out(), [Action::Subscribe { expires: 3600 }]);
    let mut test = Test::subscribed();
    test.passes(1000);
    test.notified("active;expires=2600");
    test.passes(1880);
    assert_eq!(test.out(), [Action::Subscribe { expires: 3600 }]);
}

// ---- the stage ----

struct Test {
    subscriber: Subscriber,
    now: Instant,
    actions: Vec<Action>,
}

impl Test {
    fn subscribe(expires: u32) -> Self {
        let (now, mut actions) = (Instant::now(), Vec::new());
        let subscriber = Subscriber::new(expires, N, now, &mut actions);
        assert_eq!(actions, [Action::Subscribe { expires }]);
        Self {
            subscriber,
            now,
            actions: Vec::new(),
        }
    }

    fn subscribed() -> Self {
        let mut test = Self::subscribe(3600);
        test.answered(200, Some(3600));
        test.notified("active;expires=3600");
        assert_eq!(test.out(), []);
        test
    }

    fn answered(&mut self, code: u16, expires: Option<u32>) {
        self.answer(Answer {
            status: status(code),
            expires,
            min_expires: None,
            retry_after: None,
        });
    }

    fn too_brief(&mut self, min_expires: Option<u32>) {
        self.answer(Answer {
            status: Status::INTERVAL_TOO_BRIEF,
            expires: None,
            min_expires,
            retry_after: None,
        });
    }

    fn answer(&mut self, answer: Answer) {
        self.subscriber
            .handle_answered(answer, self.now, &mut self.actions);
    }

    fn notified(&mut self, state: &str) {
        let state = SubscriptionState::parse(state).unwrap();
        self.subscriber
            .handle_notified(&state, self.now, &mut self.actions);
    }

    fn unsubscribe(&mut self) {
        self.subscriber.unsubscribe(self.now, &mut self.actions);
    }

    fn passes(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.subscriber.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.subscriber.handle_timeout(self.now, &mut self.actions);
        }
        self.now = end;
    }

    fn out(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }
}

fn status(code: u16) -> Status {
    Status::new(code).unwrap()
}

fn ended(cause: SubscriptionEnd, next: Next) -> Action {
    Action::End { cause, next }
}
