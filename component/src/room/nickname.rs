//! Nicknames: which ones there can be, which are the same, and what tells two of the same name apart. RFC 8266, RS-14,
//! RX-15.
//!
//! The tables behind [`prepare`] are those of Unicode 6.3. What has been added to Unicode since then is taken as it is:
//! servers and clients take it, and nobody would understand why a newer letter or emoji keeps them out of a room.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use precis_core::profile::Rules;
use precis_core::{DerivedPropertyValue, Error, FreeformClass, StringClass, UnexpectedError};
use precis_profiles::Nickname;
use thiserror::Error;

/// Bytes of the longest nickname: what fits a resourcepart (RFC 7622 §3.4) and the Use-Nickname header (RFC 7701 §7.1).
pub const MOST: usize = 1023;

/// Up to this number all are tried.
const FEW: u32 = 16;

/// Rounds of the rules after which a nickname has to have settled: one, and three more. RFC 8266 §2.1.
const ROUNDS: usize = 4;

/// Why a text is no nickname.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NicknameError {
    /// Nothing that could be seen is left of it.
    #[error("the nickname is empty")]
    Empty,
    /// It has more than [`MOST`] bytes.
    #[error("the nickname is longer than {MOST} bytes")]
    TooLong,
    /// A control character, an invisible one, or one that turns the direction of writing (SEC-17).
    #[error("no nickname can have the character U+{:04X} in it", u32::from(*.0))]
    Character(char),
    /// The rules make something else of it again and again.
    #[error("the nickname has no settled form")]
    Unsettled,
}

/// The nickname as it is to be shown: spaces tidied, compatible characters unified, upper and lower case as they are.
///
/// # Errors
/// It is none. RFC 8266 §2.3.
pub fn prepare(text: &str) -> Result<String, NicknameError> {
    // The rules can make a text longer, but only after they have been applied; no need to begin with a huge one.
    if text.len() > MOST {
        return Err(NicknameError::TooLong);
    }
    let settled = settle(text, |text| {
        check(text)?;
        let mapped = Nickname::new().additional_mapping_rule(text);
        let mapped = mapped.and_then(|text| Nickname::new().normalization_rule(text));
        mapped.map_or(Err(NicknameError::Unsettled), |text| Ok(text.into_owned()))
    })?;
    match settled.len() {
        0 => Err(NicknameError::Empty),
        1..=MOST => Ok(settled),
        _ => Err(NicknameError::TooLong),
    }
}

/// What two nicknames have in common if they are the same. Every text has one, also what is no nickname: others may have
/// let it in. RFC 8266 §2.4.
pub fn compare_key(nickname: &str) -> String {
    let key = settle(nickname, |text| {
        let profile = Nickname::new();
        let mapped = profile.additional_mapping_rule(text);
        let mapped = mapped.and_then(|text| profile.case_mapping_rule(text));
        let mapped = mapped.and_then(|text| profile.normalization_rule(text));
        mapped.map_or(Err(NicknameError::Unsettled), |text| Ok(text.into_owned()))
    });
    key.unwrap_or_else(|_| nickname.to_lowercase())
}

/// Whether two nicknames are the same. RFC 8266 §2.4.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || compare_key(one) == compare_key(other)
}

/// The nicknames that are in use in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    keys: HashSet<String>,
}

impl Taken {
    /// Takes the nickname. `false`: it was taken already.
    pub fn take(&mut self, nickname: &str) -> bool {
        self.keys.insert(compare_key(nickname))
    }

    /// The nickname is free again.
    pub fn release(&mut self, nickname: &str) {
        self.keys.remove(&compare_key(nickname));
    }

    /// Whether somebody has it.
    pub fn has(&self, nickname: &str) -> bool {
        self.keys.contains(&compare_key(nickname))
    }

    /// The nickname wished for, or `wish (2)`, `wish (3)` and so on: one that nobody has. It is taken then.
    ///
    /// Where very many wish for the same, a number may be left out.
    pub fn take_distinct(&mut self, wish: &str) -> String {
        if self.take(wish) {
            return wish.to_owned();
        }
        let is_free = |number: &u32| !self.has(&numbered(wish, *number));
        let number = match (2..FEW).find(is_free) {
            Some(number) => number,
            None => beyond(is_free),
        };
        let nickname = numbered(wish, number);
        self.take(&nickname);
        nickname
    }
}

/// Nicknames of those who have just lost their connection: for [`HOLD`] nobody else gets them by way of the gateway, who
/// would be taken for the other (SEC-17). `W` says who somebody is.
#[derive(Clone, Debug)]
pub struct Held<W> {
    /// The last comes last.
    by_key: VecDeque<(String, W, Instant)>,
}

/// How long a nickname is kept for who lost it, `room.nick_hold`.
pub const HOLD: Duration = Duration::from_secs(60);

/// Nicknames that are held at a time in one room; of more the oldest are free early.
const HELD: usize = 256;

impl<W> Default for Held<W> {
    fn default() -> Self {
        Held {
            by_key: VecDeque::new(),
        }
    }
}

impl<W: PartialEq> Held<W> {
    /// Somebody has lost the connection, and with it the nickname.
    pub fn hold(&mut self, nickname: &str, whose: W, now: Instant) {
        self.forget(now);
        if self.by_key.len() >= HELD {
            self.by_key.pop_front();
        }
        self.by_key
            .push_back((compare_key(nickname), whose, now + HOLD));
    }

    /// Whether the nickname is kept for somebody else.
    pub fn is_held_from(&mut self, nickname: &str, who: &W, now: Instant) -> bool {
        self.forget(now);
        if self.by_key.is_empty() {
            return false;
        }
        let key = compare_key(nickname);
        let last = self.by_key.iter().rev().find(|(held, ..)| *held == key);
        last.is_some_and(|(_, whose, _)| whose != who)
    }

    /// When the next nickname is free again.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.by_key.front().map(|(.., until)| *until)
    }

    /// Lets go of what was kept for long enough.
    pub fn forget(&mut self, now: Instant) {
        while self.by_key.front().is_some_and(|(.., until)| *until <= now) {
            self.by_key.pop_front();
        }
    }
}

/// A free number from [`FEW`] on, next to one that is not free: a search by halves, where every free one will do.
fn beyond(is_free: impl Fn(&u32) -> bool) -> u32 {
    let (mut taken, mut free) = (FEW - 1, FEW);
    while !is_free(&free) {
        (taken, free) = (free, free.saturating_mul(2));
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        match is_free(&middle) {
            true => free = middle,
            false => taken = middle,
        }
    }
    free
}

/// The number stays whole, however long the name is.
fn numbered(name: &str, number: u32) -> String {
    let suffix = format!(" ({number})");
    let name = name
        .get(..name.floor_char_boundary(MOST - suffix.len()))
        .unwrap_or_default();
    format!("{}{suffix}", name.trim_end())
}

/// Applies the rules until they change nothing any more.
fn settle(
    text: &str,
    rules: impl Fn(&str) -> Result<String, NicknameError>,
) -> Result<String, NicknameError> {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let next = rules(&text)?;
        if next == text {
            return Ok(text);
        }
        text = next;
    }
    Err(NicknameError::Unsettled)
}

/// Whether it consists of characters of the FreeformClass, of such as its tables do not know yet, and of what holds
/// emoji together. RFC 8264 §4.3.
fn check(text: &str) -> Result<(), NicknameError> {
    let class = FreeformClass::default();
    if class.allows(text).is_ok() {
        return Ok(());
    }
    let mut before = None;
    let known = text.chars().map(|character| {
        let holds_emoji = matches!(character, ZERO_WIDTH_JOINER | EMOJI_STYLE)
            && before.replace(character).is_some_and(is_emoji);
        before = Some(character);
        let is_newer = class.get_value_from_char(character) == DerivedPropertyValue::Unassigned;
        // In the place of what is taken as it is: the rules for the others look at what stands around them.
        if holds_emoji || is_newer {
            'a'
        } else {
            character
        }
    });
    let known: String = known.collect();
    class.allows(known).map_err(|error| match error {
        Error::BadCodepoint(bad)
        | Error::Unexpected(
            UnexpectedError::ContextRuleNotApplicable(bad)
            | UnexpectedError::MissingContextRule(bad),
        ) => NicknameError::Character(char::from_u32(bad.cp).unwrap_or_default()),
        Error::Invalid | Error::Unexpected(_) => NicknameError::Unsettled,
    })
}

const ZERO_WIDTH_JOINER: char = '\u{200d}';
/// VARIATION SELECTOR-16: the symbol before it is shown as a picture.
const EMOJI_STYLE: char = '\u{fe0f}';

/// The blocks in which pictures are, from the arrows and symbols on, and what may follow one.
fn is_emoji(character: char) -> bool {
    matches!(character, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | EMOJI_STYLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // RS-14
    #[test]
    fn spaces_are_tidied_and_case_is_kept() {
        for (wish, shown) in [
            ("Romeo", "Romeo"),
            ("  Romeo\u{a0}\u{2003} Montague ", "Romeo Montague"),
            ("Richard Ⅳ", "Richard IV"),
            ("ｗｉｄｅ", "wide"),
            ("e\u{301}", "é"),
            ("Σ", "Σ"),
            ("∞", "∞"),
            ("\"; \\", "\"; \\"),
        ] {
            assert_eq!(prepare(wish).as_deref(), Ok(shown), "{wish}");
        }
    }

    // RS-12 SEC-17
    #[test]
    fn what_nobody_could_see_or_tell_apart_is_no_nickname() {
        let too_long = "é".repeat(512);
        for (wish, error) in [
            ("", NicknameError::Empty),
            (" \u{3000} ", NicknameError::Empty),
            ("a\0", NicknameError::Character('\0')),
            ("a\nb", NicknameError::Character('\n')),
            ("a\u{200b}b", NicknameError::Character('\u{200b}')),
            ("a\u{202e}b", NicknameError::Character('\u{202e}')),
            ("\u{2066}a", NicknameError::Character('\u{2066}')),
            ("a\u{200d}b", NicknameError::Character('\u{200d}')),
            ("a\u{fe0f}", NicknameError::Character('\u{fe0f}')),
            ("a\u{ad}b", NicknameError::Character('\u{ad}')),
            ("\u{fffe}", NicknameError::Character('\u{fffe}')),
            ("\u{fdd0}", NicknameError::Character('\u{fdd0}')),
            (&too_long, NicknameError::TooLong),
        ] {
            assert_eq!(prepare(wish), Err(error), "{wish:?}");
        }
        assert_eq!(prepare(&"é".repeat(511)).unwrap().len(), 1022);
        // Grows by the rules: one sign becomes a sentence of 18 letters.
        assert_eq!(
            prepare(&"\u{fdfa}".repeat(300)),
            Err(NicknameError::TooLong)
        );
    }

    // RS-14
    #[test]
    fn what_is_newer_than_the_tables_is_taken() {
        for wish in [
            "Ԩ",
            "🫠",
            "😀",
            "👩\u{200d}💻",
            "❤\u{fe0f}\u{200d}🔥",
            "\u{1e900}",
            "ক\u{9cd}\u{200d}ষ",
        ] {
            assert_eq!(prepare(wish).as_deref(), Ok(wish), "{wish}");
        }
    }

    // RS-14: RFC 8266 §3, Table 1
    #[test]
    fn nicknames_are_compared_without_case() {
        for (nickname, key) in [
            ("Foo", "foo"),
            ("foo", "foo"),
            ("Foo Bar", "foo bar"),
            ("Σ", "σ"),
            ("σ", "σ"),
            ("ς", "ς"),
            ("ϔ", "ϋ"),
            ("∞", "∞"),
            ("Richard Ⅳ", "richard iv"),
        ] {
            assert_eq!(compare_key(nickname), key, "{nickname}");
        }
        assert!(is_same(" Romeo", "romeo") && !is_same("Romeo", "Rómeo"));
        // What others let in has a key too.
        assert!(is_same("A\u{200b}", "a\u{200b}") && !is_same("", "a"));
    }

    // RX-15
    #[test]
    fn two_of_the_same_name_are_told_apart() {
        let mut taken = Taken::default();
        assert_eq!(taken.take_distinct("Romeo"), "Romeo");
        assert_eq!(taken.take_distinct("ROMEO"), "ROMEO (2)");
        assert_eq!(taken.take_distinct("romeo"), "romeo (3)");
        taken.release("Romeo (2)");
        assert!(!taken.has("ROMEO (2)"));
        assert_eq!(taken.take_distinct("Romeo"), "Romeo (2)");
        assert_eq!(taken.take_distinct("Juliet (2)"), "Juliet (2)");
        assert_eq!(taken.take_distinct("Juliet"), "Juliet");
        assert_eq!(taken.take_distinct("Juliet"), "Juliet (3)");
        let long = "é".repeat(511);
        assert_eq!(taken.take_distinct(&long), long);
        let other = taken.take_distinct(&long);
        assert!(other.ends_with("é (2)") && other.len() <= MOST, "{other}");
    }

    // SEC-17
    #[test]
    fn a_lost_nickname_is_kept_for_a_while() {
        let mut held = Held::default();
        let now = Instant::now();
        assert!(!held.is_held_from("Romeo", &2, now));
        held.hold("Romeo", 1, now);
        assert!(held.is_held_from(" ROMEO", &2, now));
        assert!(!held.is_held_from("Romeo", &1, now));
        assert!(!held.is_held_from("Juliet", &2, now));
        let late = now + HOLD - Duration::from_millis(1);
        assert!(held.is_held_from("Romeo", &2, late));
        assert_eq!(held.poll_timeout(), Some(now + HOLD));
        assert!(!held.is_held_from("Romeo", &2, now + HOLD));
        assert_eq!(held.poll_timeout(), None);
        for n in 0..1000 {
            held.hold(&n.to_string(), n, now);
        }
        assert_eq!(held.by_key.len(), HELD);
    }

    // RX-15 SEC-14: a focus that calls everybody the same costs no more than a little.
    #[test]
    fn thousands_of_the_same_name_are_told_apart_in_no_time() {
        let mut taken = Taken::default();
        let begin = std::time::Instant::now();
        let names: HashSet<String> = (0..2_000)
            .map(|_| taken.take_distinct("Anonymous"))
            .collect();
        assert_eq!(names.len(), 2_000);
        let took = begin.elapsed();
        assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    }

    proptest! {
        /// RS-14: whatever is prepared stays as it is, and is the same as before.
        #[test]
        fn prepared_once_is_prepared_for_good(wish in "\\PC{0,12}") {
            if let Ok(shown) = prepare(&wish) {
                prop_assert_eq!(prepare(&shown), Ok(shown.clone()));
                prop_assert!(!shown.is_empty() && shown.trim() == shown);
            }
            compare_key(&wish);
        }
    }
}
