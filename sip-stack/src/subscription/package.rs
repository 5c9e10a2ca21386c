//! What may be subscribed to, and whether a SUBSCRIBE can be granted. RFC 6665 §4.2.1.1, §8.3.

use std::time::Duration;

use crate::{EventPackage, Name, Request, Status, Text};

/// Below this many seconds an Expires may be called too brief. RFC 6665 §4.2.1.1.
const HOUR: u32 = 3600;

/// An event package that peers may subscribe to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name with templates: `presence`, `conference`.
    pub name: Text,
    /// Seconds granted when the SUBSCRIBE asks for none.
    pub default_expires: u32,
    /// Seconds below which a SUBSCRIBE gets 423; of no effect above one hour.
    pub min_expires: u32,
    /// The most seconds that are granted.
    pub max_expires: u32,
    /// The shortest time between two NOTIFY about changes; what changes in between is told by one (RS-18).
    pub interval: Duration,
    /// The media types that its documents can have; the first is the one meant without Accept. A SUBSCRIBE that accepts none
    /// of them gets 406. Empty: Accept is not looked at.
    pub types: Vec<Text>,
}

impl Package {
    /// A package granted for an hour, refused below a minute, told of at most every five seconds.
    pub fn new(name: impl Into<Text>, types: impl IntoIterator<Item = Text>) -> Self {
        Self {
            name: name.into(),
            default_expires: HOUR,
            min_expires: 60,
            max_expires: HOUR,
            interval: Duration::from_secs(5),
            types: types.into_iter().collect(),
        }
    }

    /// How many seconds are granted of those asked for.
    pub(crate) fn grant(&self, asked: Option<u32>) -> Result<u32, Refusal> {
        let asked = asked.unwrap_or(self.default_expires);
        if asked > 0 && asked < self.min_expires.min(HOUR) {
            return Err(Refusal::TooBrief(self.min_expires.min(HOUR)));
        }
        Ok(asked.min(self.max_expires))
    }
}

/// A SUBSCRIBE that may be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) event: EventPackage,
    /// Seconds; 0: only the present state is asked for.
    pub(crate) granted: u32,
}

/// Why a SUBSCRIBE is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 489 with Allow-Events.
    Event(String),
    /// 423 with Min-Expires.
    TooBrief(u32),
    /// 406 with Accept.
    Types(String),
    /// 400.
    Malformed,
}

impl Refusal {
    pub(crate) fn status(&self) -> Status {
        match self {
            Refusal::Event(_) => Status::BAD_EVENT,
            Refusal::TooBrief(_) => Status::INTERVAL_TOO_BRIEF,
            Refusal::Types(_) => Status::NOT_ACCEPTABLE,
            Refusal::Malformed => Status::BAD_REQUEST,
        }
    }

    pub(crate) fn header(&self) -> Option<(Name, String)> {
        match self {
            Refusal::Event(allowed) => Some((Name::AllowEvents, allowed.clone())),
            Refusal::TooBrief(least) => Some((Name::MinExpires, least.to_string())),
            Refusal::Types(types) => Some((Name::Accept, types.clone())),
            Refusal::Malformed => None,
        }
    }
}

/// Whether a SUBSCRIBE can be granted, and for how long. RS-15, PRES-15.
pub(crate) fn admit<'a>(
    packages: impl Iterator<Item = &'a Package> + Clone,
    request: &Request,
) -> Result<Admission, Refusal> {
    let unknown = || Refusal::Event(list(packages.clone().map(|package| &package.name)));
    let event = request.event().map_err(|_| unknown())?;
    let Some(package) = packages.clone().find(|package| package.name == event.name) else {
        return Err(unknown());
    };
    let granted = package.grant(expires(request)?)?;
    if !accepts(request, &package.types) {
        return Err(Refusal::Types(list(package.types.iter())));
    }
    Ok(Admission { event, granted })
}

/// Expires of a SUBSCRIBE, if it has one.
pub(crate) fn expires(request: &Request) -> Result<Option<u32>, Refusal> {
    match request.headers.first(&Name::Expires) {
        None => Ok(None),
        Some(_) => request.expires().map(Some).map_err(|_| Refusal::Malformed),
    }
}

fn accepts(request: &Request, types: &[Text]) -> bool {
    let mut ranges = request.headers.all(&Name::Accept).peekable();
    types.is_empty()
        || ranges.peek().is_none()
        || ranges.any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            types.iter().any(|own| contains(range, own))
        })
}

/// Whether a media range of Accept takes in a media type.
fn contains(range: &str, own: &str) -> bool {
    match range.strip_suffix("/*") {
        Some("*") => true,
        Some(kind) => own
            .split_once('/')
            .is_some_and(|(own, _)| own.eq_ignore_ascii_case(kind)),
        None => own.eq_ignore_ascii_case(range),
    }
}

fn list<'a>(values: impl Iterator<Item = &'a Text>) -> String {
    values.map(Text::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Method;

    /// RS-15, PRES-15, SIP-12
    #[test]
    fn what_is_granted_and_refused() {
        let mut conference = Package::new(
            "conference",
            [Text::from("application/conference-info+xml")],
        );
        conference.max_expires = 1800;
        let packages = [Package::new("presence", []), conference];
        let of_type = |text: &str| Err(Refusal::Types(text.into()));
        let other = Err(Refusal::Event("presence, conference".into()));
        for (fields, expected) in [
            (vec![(Name::Event, "presence")], Ok(3600)),
            (vec![(Name::Event, "conference")], Ok(1800)),
            (
                vec![(Name::Event, "conference"), (Name::Expires, "100")],
                Ok(100),
            ),
            (
                vec![(Name::Event, "conference"), (Name::Expires, "0")],
                Ok(0),
            ),
            (
                vec![(Name::Event, "conference"), (Name::Expires, "59")],
                Err(Refusal::TooBrief(60)),
            ),
            (
                vec![(Name::Event, "conference"), (Name::Expires, "99999999999")],
                Ok(1800),
            ),
            (
                vec![(Name::Event, "conference"), (Name::Expires, "soon")],
                Err(Refusal::Malformed),
            ),
            (vec![(Name::Event, "dialog")], other.clone()),
            (vec![], other),
            (
                vec![
                    (Name::Event, "conference"),
                    (Name::Accept, "text/*, application/pidf+xml"),
                ],
                of_type("application/conference-info+xml"),
            ),
            (
                vec![
                    (Name::Event, "conference"),
                    (Name::Accept, "text/plain, application/*;q=0.1"),
                ],
                Ok(1800),
            ),
            (
                vec![
                    (Name::Event, "presence"),
                    (Name::Accept, "application/pidf+xml"),
                ],
                Ok(3600),
            ),
        ] {
            let mut request =
                Request::new(Method::Subscribe, "sip:room@example.net".parse().unwrap());
            for (name, value) in &fields {
                request.headers.push(name.clone(), *value);
            }
            let granted = admit(packages.iter(), &request).map(|admission| admission.granted);
            assert_eq!(granted, expected, "{fields:?}");
        }
    }
}
