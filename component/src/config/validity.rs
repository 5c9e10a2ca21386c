//! Until when a certificate is valid. RFC 5280 §4.1.2.5.

use std::time::SystemTime;

use crate::stamp;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The version, left out by those of version 1.
const VERSION: u8 = 0xa0;

/// `notAfter` of a certificate in DER; `None` if there is no such thing where it belongs.
pub(super) fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (mut fields, _) = expect(SEQUENCE, certificate)?;
    if fields.first() == Some(&VERSION) {
        (_, fields) = expect(VERSION, fields)?;
    }
    // Serial number, signature algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, fields) = expect(tag, fields)?;
    }
    let (validity, _) = expect(SEQUENCE, fields)?;
    let (_, _, rest) = element(validity)?;
    let (tag, time, _) = element(rest)?;
    let time = std::str::from_utf8(time).ok()?;
    match tag {
        // Two digits of the year: 1950 to 2049.
        UTC_TIME if time.get(..2)? >= "50" => read(&format!("19{time}")),
        UTC_TIME => read(&format!("20{time}")),
        GENERALIZED_TIME => read(time),
        _ => None,
    }
}

/// `20271231235959Z`
fn read(time: &str) -> Option<SystemTime> {
    let part = |from, to| time.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    stamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// The content of an element with that tag, and what follows the element.
fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Tag and content of the first element, and what follows it. X.690 §8.1.3.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, bytes) = bytes.split_first()?;
    let (length, bytes) = bytes.split_first()?;
    let (length, bytes) = match usize::from(*length) {
        length if length < 0x80 => (length, bytes),
        count => {
            let (length, bytes) = bytes.split_at_checked((count - 0x80).min(5))?;
            let length = length
                .iter()
                .fold(0, |sum: usize, byte| sum << 8 | usize::from(*byte));
            (length, bytes)
        }
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_last_day_is_found_before_and_after_2050() {
        for (year, expected) in [
            (1999, "1999-12-31T00:00:00.000Z"),
            (2027, "2027-12-31T00:00:00.000Z"),
            (2100, "2100-12-31T00:00:00.000Z"),
        ] {
            let mut params = CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, 12, 31);
            let key = KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let found = not_after(certificate.der()).unwrap();
            assert_eq!(stamp::format(found), expected);
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_last_day() {
        for bytes in [
            &b""[..],
            b"0",
            b"0\x84\xff\xff\xff\xff",
            b"0\x800\x80",
            &[0xff; 300],
        ] {
            assert_eq!(not_after(bytes), None);
        }
    }
}
