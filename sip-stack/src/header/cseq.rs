//! CSeq.

use std::fmt;

use crate::grammar;
use crate::message::Method;
use crate::text::Written;

/// The number of a request within its dialog, and its method. The number is below 2³¹. RFC 3261 §8.1.1.5, §20.16.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// The number, 0 to 2³¹ - 1.
    pub number: u32,
    /// The method, the same as that of the request.
    pub method: Method,
}

/// One more than the largest number allowed.
const LIMIT: u32 = 1 << 31;

impl CSeq {
    /// Number and method.
    pub fn new(number: u32, method: Method) -> Self {
        CSeq { number, method }
    }

    /// Reads `number method`; `None` if it has another form or the number is too large.
    pub fn parse(text: &str) -> Option<CSeq> {
        let text = grammar::trim(text);
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, method) = text.split_at_checked(digits)?;
        let trimmed = grammar::trim_start(method);
        if trimmed.len() == method.len() {
            return None;
        }
        let number = grammar::decimal(number).filter(|number| *number < LIMIT)?;
        Some(CSeq {
            number,
            method: Method::parse(trimmed)?,
        })
    }
}

impl Written for CSeq {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        grammar::write_decimal(out, self.number.into())?;
        out.write_str(" ")?;
        out.write_str(self.method.as_str())
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_methods() {
        assert_eq!(
            CSeq::parse("0009 \t INVITE"),
            Some(CSeq::new(9, Method::Invite))
        );
        assert_eq!(
            CSeq::parse("2147483647 ACK"),
            Some(CSeq::new(2_147_483_647, Method::Ack))
        );
        for text in [
            "2147483648 ACK",
            "36893488147419103232 REGISTER",
            "-1 ACK",
            "1",
            "1ACK",
            "ACK",
            "",
            "1 A B",
        ] {
            assert_eq!(CSeq::parse(text), None, "{text}");
        }
        assert_eq!(CSeq::new(7, Method::Bye).to_string(), "7 BYE");
    }
}
