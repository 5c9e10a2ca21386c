//! `a=chatroom`: what a side of a chat room knows beyond sending messages. RFC 7701 §8.

use std::fmt;

/// The features of a room, or, towards a room, those the describing side knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chatroom {
    /// Nicknames can be taken with NICKNAME.
    pub nickname: bool,
    /// Messages can go to one occupant alone.
    pub private_messages: bool,
}

impl Chatroom {
    /// All that RFC 7701 knows.
    pub const FULL: Chatroom = Chatroom {
        nickname: true,
        private_messages: true,
    };

    /// Reads the attribute's value; features of others are passed over. `nicknames` is how some write it (RFC 7701 does
    /// so in places).
    pub(super) fn of(value: &str) -> Chatroom {
        let has = |name: &str| {
            value
                .split_ascii_whitespace()
                .any(|word| word.eq_ignore_ascii_case(name))
        };
        Chatroom {
            nickname: has("nickname") || has("nicknames"),
            private_messages: has("private-messages"),
        }
    }
}

/// The attribute: `chatroom:nickname private-messages`, or `chatroom` alone.
impl fmt::Display for Chatroom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("chatroom")?;
        let features = [
            (self.nickname, "nickname"),
            (self.private_messages, "private-messages"),
        ];
        let known = features
            .into_iter()
            .filter_map(|(is_known, name)| is_known.then_some(name));
        for (index, name) in known.enumerate() {
            f.write_str(if index == 0 { ":" } else { " " })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RX-05 RS-03, T12
    #[test]
    fn features_are_read_as_peers_write_them() {
        for (value, nickname, private_messages) in [
            ("", false, false),
            ("nickname private-messages", true, true),
            ("nicknames  Private-Messages", true, true),
            ("private-messages com.example.screen-sharing", false, true),
            ("nickname=x nickname1", false, false),
        ] {
            let expected = Chatroom {
                nickname,
                private_messages,
            };
            assert_eq!(Chatroom::of(value), expected, "{value}");
        }
    }

    // RX-01 RS-03, T12
    #[test]
    fn features_are_written_as_the_grammar_has_them() {
        assert_eq!(
            Chatroom::FULL.to_string(),
            "chatroom:nickname private-messages"
        );
        let nickname = Chatroom {
            nickname: true,
            ..Chatroom::default()
        };
        assert_eq!(nickname.to_string(), "chatroom:nickname");
        assert_eq!(Chatroom::default().to_string(), "chatroom");
    }
}
