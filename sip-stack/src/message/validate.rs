//! What every message must have before it can be matched, answered and dispatched. RFC 3261 §8.1.1, §8.2.

use super::{Fault, Method};
use crate::grammar::CommaSeparated;
use crate::header::{CSeq, HeaderError, Headers, Name, NameAddr, Via};
use crate::text::Text;

/// Checks the fields that every message needs; of a request (`method`) also those that steer how it is handled.
pub(super) fn validate(method: Option<&Method>, headers: &Headers) -> Result<(), Fault> {
    let (mut from, mut to, mut call_id, mut cseq, mut via, mut max_forwards) =
        (0_u32, 0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
    for (name, value) in headers.iter() {
        match name {
            Name::From => once(&mut from, name, headers.read_address(name).is_some())?,
            Name::To => once(&mut to, name, headers.read_address(name).is_some())?,
            Name::CallId => once(&mut call_id, name, !value.is_empty())?,
            Name::CSeq => check_cseq(&mut cseq, method, headers.read_cseq())?,
            Name::Via => check_vias(&mut via, headers, value)?,
            // A malformed value is taken as if the field were not there.
            Name::MaxForwards if method.is_some() => once(&mut max_forwards, name, true)?,
            Name::Contact if method.is_some() => check_contacts(value)?,
            _ => {}
        }
    }
    for (count, name) in [
        (from, Name::From),
        (to, Name::To),
        (call_id, Name::CallId),
        (cseq, Name::CSeq),
        (via, Name::Via),
    ] {
        if count == 0 {
            return Err(HeaderError::Missing(name).into());
        }
    }
    Ok(())
}

fn once(count: &mut u32, name: &Name, readable: bool) -> Result<(), HeaderError> {
    *count = count.saturating_add(1);
    if *count > 1 {
        return Err(HeaderError::Repeated(name.clone()));
    }
    if !readable {
        return Err(HeaderError::Malformed(name.clone()));
    }
    Ok(())
}

fn check_cseq(count: &mut u32, method: Option<&Method>, cseq: Option<&CSeq>) -> Result<(), Fault> {
    once(count, &Name::CSeq, cseq.is_some())?;
    match (cseq, method) {
        (Some(cseq), Some(method)) if cseq.method != *method => Err(Fault::MethodMismatch),
        _ => Ok(()),
    }
}

fn check_vias(count: &mut u32, headers: &Headers, value: &Text) -> Result<(), HeaderError> {
    for via in CommaSeparated::new(value) {
        let is_readable = match count {
            0 => headers.read_top_via().is_some(),
            _ => Via::cut(value, via).is_some(),
        };
        if !is_readable {
            return Err(HeaderError::Malformed(Name::Via));
        }
        *count = count.saturating_add(1);
    }
    Ok(())
}

fn check_contacts(value: &Text) -> Result<(), HeaderError> {
    if CommaSeparated::new(value)
        .all(|contact| contact == "*" || NameAddr::cut(value, contact).is_some())
    {
        Ok(())
    } else {
        Err(HeaderError::Malformed(Name::Contact))
    }
}
