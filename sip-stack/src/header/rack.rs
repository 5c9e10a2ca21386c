//! RAck.

use std::fmt;

use super::CSeq;
use crate::grammar;

/// Which reliable provisional response a PRACK is for: its number and the CSeq of the request. RFC 3262 §7.2.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RAck {
    /// The RSeq of the response.
    pub rseq: u32,
    /// Of the request that was answered provisionally.
    pub cseq: CSeq,
}

impl RAck {
    /// Reads a value; `None` if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let (rseq, cseq) = grammar::trim(text).split_once([' ', '\t'])?;
        Some(Self {
            rseq: grammar::decimal(rseq)?,
            cseq: CSeq::parse(cseq)?,
        })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-06
    #[test]
    fn both_numbers_and_the_method() {
        let rack = RAck::parse("776656  1 INVITE").unwrap();
        assert_eq!((rack.rseq, rack.cseq.number), (776_656, 1));
        assert_eq!(rack.to_string(), "776656 1 INVITE");
        for text in ["", "1 INVITE", "x 1 INVITE", "1 2"] {
            assert_eq!(RAck::parse(text), None, "{text}");
        }
    }
}
