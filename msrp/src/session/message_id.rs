//! Message-IDs that lead back to their message, so that nothing need be kept to understand a REPORT.

use rand::Rng;

use crate::{
    Ident,
    ident::{digit_of, fill_random, letter_of},
};

/// Makes and reads a session's Message-IDs: a random prefix, the message's number, and the owner's token.
#[derive(Debug)]
pub(super) struct MessageIds {
    prefix: [u8; MessageIds::PREFIX],
    made: u32,
}

impl MessageIds {
    /// 55 random bits: also unlike those of any other session.
    const PREFIX: usize = 11;
    const NUMBER: usize = 7;
    /// Letters that hold 64 bits.
    const LONGEST_TOKEN: usize = 13;

    pub(super) fn new(rng: &mut impl Rng) -> MessageIds {
        let mut prefix = [0; MessageIds::PREFIX];
        fill_random(rng, prefix.iter_mut());
        MessageIds { prefix, made: 0 }
    }

    pub(super) fn next(&mut self, token: u64) -> Ident {
        let number = u64::from(self.made);
        self.made = self.made.wrapping_add(1);
        let number = (0..MessageIds::NUMBER).map(|place| letter_of(number >> (5 * place)));
        let mut left = token;
        let token = std::iter::once(letter_of(token)).chain(std::iter::from_fn(|| {
            left >>= 5;
            (left > 0).then(|| letter_of(left))
        }));
        let mut text = [0u8; 32];
        let mut length = 0;
        let letters = self.prefix.into_iter().chain(number).chain(token);
        for (slot, letter) in text.iter_mut().zip(letters) {
            *slot = letter;
            length += 1;
        }
        // Always legal: letters and digits, at least 19 and at most 31 of them.
        Ident::new(text.get(..length).unwrap_or_default()).unwrap_or(Ident::FALLBACK)
    }

    /// The token within one of ours.
    pub(super) fn token_of(&self, message_id: &[u8]) -> Option<u64> {
        let rest = message_id.strip_prefix(&self.prefix)?;
        let letters = rest.get(MessageIds::NUMBER..)?;
        if letters.is_empty() || letters.len() > MessageIds::LONGEST_TOKEN {
            return None;
        }
        letters.iter().rev().try_fold(0u64, |token, letter| {
            let digit = digit_of(*letter)?;
            Some(token.checked_mul(32)? | digit)
        })
    }
}
