//! Lines of text as URIs, addresses and values of every header field: what can be read can be written and is the same
//! again.

use std::fmt::{Debug, Display};

use stox_sip::{
    CSeq, EventPackage, Headers, Host, Method, Name, NameAddr, RAck, Replaces, SessionExpires,
    Status, SubscriptionState, Uri, Via, WithParams,
};

/// Two lines: each is read as everything there is, and both are compared (SIP-02).
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split(['\r', '\n']);
    let (one, other) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    read(one);
    read(other);
    if let (Ok(one), Ok(other)) = (Uri::parse(one), Uri::parse(other)) {
        assert_eq!(one.equivalent(&other), other.equivalent(&one));
        assert!(one != other || one.equivalent(&other));
    }
    let (one, other) = (Host::parse(one), Host::parse(other));
    if let (Some(one), Some(other)) = (one, other) {
        assert_eq!(one.equivalent(&other), other.equivalent(&one));
    }
}

fn read(text: &str) {
    if let Ok(uri) = Uri::parse(text) {
        look_at_uri(&uri);
    }
    if let Some(address) = NameAddr::parse(text) {
        look_at_address(&address);
    }
    if let Some(via) = Via::parse(text) {
        look_at_via(&via);
    }
    if let Some(cseq) = CSeq::parse(text) {
        assert_eq!(CSeq::parse(&cseq.to_string()), Some(cseq));
    }
    if let Some(host) = Host::parse(text) {
        assert_eq!(Host::parse(&host.to_string()), Some(host));
    }
    if let Some(value) = WithParams::parse(text) {
        look_at_params(&value);
    }
    same(text, EventPackage::parse);
    same(text, SubscriptionState::parse);
    same(text, Replaces::parse);
    same(text, SessionExpires::parse);
    same(text, RAck::parse);
    if let Some(method) = Method::parse(text) {
        assert_eq!(Method::parse(method.as_str()), Some(method));
    }
    if let Some(name) = Name::parse(text) {
        assert_eq!(Name::parse(name.as_str()), Some(name.clone()));
        let mut headers = Headers::new();
        headers.push(name.clone(), text);
        assert_eq!(headers.first(&name), Some(text));
    }
    let _ = text.parse::<u16>().ok().and_then(Status::new);
    let mut headers = Headers::new();
    for name in NAMES {
        headers.push(name.clone(), text);
        let mut values = headers.all(name);
        assert!(!name.is_list() || values.all(|value| !value.is_empty()));
    }
    look_at(&headers);
    for name in NAMES {
        headers.push(name.clone(), "x");
        headers.set(name.clone(), text);
    }
    assert_eq!(headers.len(), NAMES.len());
}

/// What can be read is the same when it was written.
fn same<T: PartialEq + Debug + Display>(text: &str, read: fn(&str) -> Option<T>) {
    if let Some(value) = read(text) {
        assert_eq!(read(&value.to_string()), Some(value));
    }
}

/// The names that have typed values.
const NAMES: &[Name] = &[
    Name::From,
    Name::Via,
    Name::CSeq,
    Name::Contact,
    Name::Route,
    Name::RecordRoute,
    Name::MaxForwards,
    Name::ContentType,
    Name::ContentDisposition,
    Name::Expires,
    Name::RetryAfter,
    Name::Event,
    Name::SubscriptionState,
    Name::ReferTo,
    Name::Replaces,
    Name::Reason,
    Name::SessionExpires,
    Name::RSeq,
    Name::RAck,
    Name::PAssertedIdentity,
];

/// Every typed value of header fields; what can be read is the same when it was written.
pub fn look_at(headers: &Headers) {
    let addresses = [
        headers.from(),
        headers.to(),
        headers.contact(),
        headers.refer_to(),
        headers.referred_by(),
    ];
    addresses.iter().flatten().for_each(look_at_address);
    for addresses in [
        headers.contacts(),
        headers.routes(),
        headers.record_routes(),
        headers.asserted_identities(),
    ] {
        addresses
            .unwrap_or_default()
            .iter()
            .for_each(look_at_address);
    }
    headers
        .vias()
        .unwrap_or_default()
        .iter()
        .for_each(look_at_via);
    let values = [
        headers.content_type(),
        headers.content_disposition(),
        headers.reason_header(),
    ];
    values.iter().flatten().for_each(look_at_params);
    if let Ok(cseq) = headers.cseq() {
        assert_eq!(CSeq::parse(&cseq.to_string()), Some(cseq));
    }
    let _ = (headers.call_id(), headers.max_forwards(), headers.rseq());
    let _ = (headers.expires(), headers.min_expires(), headers.min_se());
    let _ = (headers.retry_after(), headers.rack(), headers.replaces());
    let _ = (headers.event(), headers.subscription_state());
    let _ = headers.session_expires();
}

pub fn look_at_uri(uri: &Uri) {
    let written = uri.to_string();
    assert_eq!(Uri::parse(&written).as_ref(), Ok(uri));
    assert!(uri.equivalent(uri));
    assert!(!written.contains(['<', '>', '"', ' ', '\r', '\n']));
    let _ = (uri.user_decoded(), uri.password(), uri.port());
    let _ = (uri.transport(), uri.is_loose(), uri.header("Replaces"));
    for (name, _) in uri.params().iter() {
        assert!(uri.param(name).is_some());
    }
    let plain = uri.clone().without_headers();
    assert_eq!(plain.headers().count(), 0);
    let changed = uri
        .clone()
        .with_param("x y", Some(";>\r\n"))
        .with_header("Replaces", "a&b=c ");
    if uri.host().is_some() {
        assert_eq!(Uri::parse(&changed.to_string()), Ok(changed));
    }
}

fn look_at_address(address: &NameAddr) {
    assert_eq!(
        NameAddr::parse(&address.to_string()).as_ref(),
        Some(address)
    );
    look_at_uri(&address.uri);
    let tagged = address.clone().with_tag("t");
    assert_eq!(tagged.tag(), Some("t"));
    assert_eq!(tagged.without_tag().tag(), None);
}

fn look_at_via(via: &Via) {
    assert_eq!(Via::parse(&via.to_string()).as_ref(), Some(via));
    assert!(via.same_sent_by(via));
    let _ = (via.received(), via.rport(), via.maddr(), via.ttl());
    assert!(via.branch().is_some() || !via.has_unique_branch());
}

fn look_at_params(value: &WithParams) {
    assert_eq!(WithParams::parse(&value.to_string()).as_ref(), Some(value));
    for (name, _) in value.params.iter() {
        let _ = value.params.unquoted(name);
    }
}
