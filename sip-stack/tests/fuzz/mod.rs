//! What is fuzzed: each function takes any bytes and panics where something does not hold. `sip-stack/fuzz` runs them guided by
//! coverage, `fuzz_replay.rs` runs them on what was found before.

pub mod conference;
pub mod endpoint;
pub mod message;
pub mod stream;
pub mod values;

/// Takes decisions from the bytes, one after the other; 0 when they are used up.
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { rest: bytes }
    }

    /// The next byte, as long as there is one.
    pub fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// One of so many; the digits and letters of ASCII, in their order, are 0, 1, 2…
    pub fn below(&mut self, bound: usize) -> usize {
        let choice = match self.next().unwrap_or(b'0') {
            digit @ b'0'..=b'9' => digit - b'0',
            letter @ b'a'..=b'z' => letter - b'a' + 10,
            letter @ b'A'..=b'Z' => letter - b'A' + 36,
            other => other,
        };
        usize::from(choice) % bound.max(1)
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
