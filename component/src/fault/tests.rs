use super::*;
use Condition::*;

// CORE-20, CORE-22, CORE-23, T8
#[test]
fn conditions_become_sip_statuses() {
    for (condition, full, bare) in [
        (BadRequest, 400, 400),
        (Conflict, 400, 400),
        (FeatureNotImplemented, 405, 501),
        (Forbidden, 403, 603),
        (Gone, 410, 410),
        (InternalServerError, 500, 500),
        (ItemNotFound, 404, 604),
        (JidMalformed, 400, 400),
        (NotAcceptable, 406, 606),
        (NotAllowed, 403, 403),
        (NotAuthorized, 403, 403),
        (PolicyViolation, 403, 403),
        (RecipientUnavailable, 480, 600),
        (Redirect, 302, 302),
        (RegistrationRequired, 403, 403),
        (RemoteServerNotFound, 404, 404),
        (RemoteServerTimeout, 408, 408),
        (ResourceConstraint, 500, 500),
        (ServiceUnavailable, 403, 403),
        (SubscriptionRequired, 400, 400),
        (UndefinedCondition, 400, 400),
        (UnexpectedRequest, 491, 491),
        (Unrecognized, 403, 403),
    ] {
        let fault = Fault::new(condition);
        let status = |addressee| fault.to_sip(addressee, &Method::Invite).code();
        assert_eq!(status(Addressee::Device), full, "{condition:?}");
        assert_eq!(status(Addressee::User), bare, "{condition:?}");
    }
}

// CORE-23
#[test]
fn requests_other_than_invite_never_get_408_or_491() {
    for method in [Method::Message, Method::Subscribe, Method::Refer] {
        for (condition, _, _) in CONDITIONS {
            let status = Fault::new(condition).to_sip(Addressee::Device, &method);
            assert!(
                ![401, 407, 408, 491, 503].contains(&status.code()),
                "{condition:?} {method}"
            );
        }
        let status = |condition| {
            Fault::new(condition)
                .to_sip(Addressee::Device, &method)
                .code()
        };
        assert_eq!(status(RemoteServerTimeout), 504);
        assert_eq!(status(UnexpectedRequest), 400);
    }
}

// CORE-20, CORE-24
#[test]
fn a_new_address_makes_gone_a_redirection() {
    let fault = Fault::new(Gone).with_address("xmpp:romeo@afar.example.net");
    assert_eq!(
        fault.to_sip(Addressee::Device, &Method::Message),
        Status::MOVED_PERMANENTLY
    );
    assert_eq!(fault.address(), Some("xmpp:romeo@afar.example.net"));
    assert_eq!(
        Fault::new(Forbidden).with_address("xmpp:a@b").address(),
        None
    );
}

// T8, last row
#[test]
fn errors_without_a_known_condition_go_by_their_type() {
    for (kind, status) in [
        ("auth", 403),
        ("modify", 400),
        ("wait", 480),
        ("cancel", 403),
        ("continue", 403),
    ] {
        let fault = Fault::from_stanza(Some(kind), Some("text"), None);
        assert_eq!(
            fault.to_sip(Addressee::User, &Method::Message).code(),
            status,
            "{kind}"
        );
        assert_eq!(fault.condition().name(), "undefined-condition");
    }
    let fault = Fault::from_stanza(
        Some("wait"),
        Some("policy-violation"),
        Some("Slow\u{1} down\n"),
    );
    assert_eq!(
        (fault.condition(), fault.kind()),
        (PolicyViolation, ErrorKind::Wait)
    );
    assert_eq!(fault.text(), Some("Slow\u{FFFD} down"));
    assert_eq!(fault.reason().as_deref(), Some("Slow\u{FFFD} down"));
}

// CORE-21, T9 with the types of T7
#[test]
fn sip_statuses_become_conditions() {
    use ErrorKind::*;
    for (codes, condition, kind) in [
        (&[300, 302, 305, 399][..], Redirect, Modify),
        (&[301, 410], Gone, Cancel),
        (
            &[380, 406, 415, 416, 421, 482, 483, 488, 505, 606],
            NotAcceptable,
            Modify,
        ),
        (&[400, 402, 493, 422, 499], BadRequest, Modify),
        (&[401], NotAuthorized, Auth),
        (&[403], Forbidden, Auth),
        (&[404, 481, 484, 485, 604], ItemNotFound, Cancel),
        (&[405, 420, 439, 501], FeatureNotImplemented, Cancel),
        (&[407], RegistrationRequired, Auth),
        (&[408, 504], RemoteServerTimeout, Wait),
        (&[413, 414, 440, 489, 513], PolicyViolation, Modify),
        (&[423], ResourceConstraint, Wait),
        (
            &[430, 480, 486, 487, 600, 603, 607, 699],
            RecipientUnavailable,
            Wait,
        ),
        (&[491], UnexpectedRequest, Wait),
        (&[500, 503, 599], InternalServerError, Cancel),
        (&[502], RemoteServerNotFound, Cancel),
    ] {
        for &code in codes {
            let fault = Fault::from_sip(Status::new(code).unwrap(), "Because");
            assert_eq!(
                (fault.condition(), fault.kind()),
                (condition, kind),
                "{code}"
            );
            assert_eq!(fault.text(), Some("Because"), "CORE-24");
        }
    }
}

#[test]
fn local_causes_become_conditions() {
    for (failure, condition) in [
        (Failure::Timeout, RemoteServerTimeout),
        (Failure::Unresolvable, RemoteServerNotFound),
        (Failure::Unreachable, RemoteServerNotFound),
        (Failure::Untrusted, RemoteServerNotFound),
    ] {
        assert_eq!(Fault::from_failure(&failure).condition(), condition);
    }
    // CORE-21: in words that say something to a person
    for (failure, words) in [
        (Failure::Unreachable, "the SIP server cannot be reached"),
        (
            Failure::Untrusted,
            "the SIP server has not shown a valid certificate for its domain",
        ),
    ] {
        assert_eq!(Fault::from_failure(&failure).text(), Some(words));
    }
}

// T10
#[test]
fn msrp_statuses_become_conditions() {
    for (status, condition) in [
        (400, BadRequest),
        (403, Forbidden),
        (404, ItemNotFound),
        (408, RemoteServerTimeout),
        (413, PolicyViolation),
        (415, NotAcceptable),
        (423, BadRequest),
        (424, JidMalformed),
        (425, Conflict),
        (428, FeatureNotImplemented),
        (481, ItemNotFound),
        (499, BadRequest),
        (501, FeatureNotImplemented),
        (506, InternalServerError),
        (599, InternalServerError),
        (0, InternalServerError),
    ] {
        assert_eq!(Fault::from_msrp(status).condition(), condition, "{status}");
    }
}

// T10
#[test]
fn conditions_become_msrp_statuses() {
    for (condition, one_to_one, room, private) in [
        (BadRequest, 400, 400, 400),
        (JidMalformed, 400, 400, 400),
        (UndefinedCondition, 400, 400, 400),
        (Unrecognized, 400, 400, 400),
        (Forbidden, 403, 403, 403),
        (NotAllowed, 403, 403, 403),
        (NotAuthorized, 403, 403, 403),
        (RegistrationRequired, 403, 403, 403),
        (SubscriptionRequired, 403, 403, 403),
        (ServiceUnavailable, 403, 403, 403),
        (Conflict, 403, 403, 403),
        (ItemNotFound, 403, 404, 404),
        (Gone, 403, 404, 404),
        (RecipientUnavailable, 403, 404, 404),
        (Redirect, 403, 404, 404),
        (NotAcceptable, 415, 403, 403),
        (PolicyViolation, 413, 413, 413),
        (ResourceConstraint, 413, 413, 413),
        (FeatureNotImplemented, 415, 415, 428),
        (RemoteServerNotFound, 408, 408, 408),
        (RemoteServerTimeout, 408, 408, 408),
        (InternalServerError, 408, 408, 408),
        (UnexpectedRequest, 408, 408, 408),
    ] {
        let fault = Fault::new(condition);
        assert_eq!(fault.to_msrp(), one_to_one, "{condition:?}");
        assert_eq!(
            fault.to_msrp_in_room(RoomMessage::ToAll),
            room,
            "{condition:?}"
        );
        assert_eq!(
            fault.to_msrp_in_room(RoomMessage::Private),
            private,
            "{condition:?}"
        );
    }
}

#[test]
fn names_come_back() {
    for (condition, name, _) in CONDITIONS {
        assert_eq!(condition.name(), name);
        assert_eq!(Condition::from_name(name), Some(condition));
    }
    assert_eq!(Condition::from_name("payment-required"), None);
}
