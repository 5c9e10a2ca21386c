//! What the user sees: one entry per line, the same form always, so that scripts can read it.
//!
//! ```text
//! sip:juliet@example.com: text      a message; its further lines are indented
//! * what happened
//! ! what went wrong
//! ```

use std::io::Write;

/// A message from somebody.
pub fn message(from: &str, text: &str) {
    show(&format!("{from}: {text}"));
}

/// Something happened.
pub fn note(text: &str) {
    show(&format!("* {text}"));
}

/// Something went wrong.
pub fn trouble(text: &str) {
    show(&format!("! {text}"));
}

/// Control characters are left out: nothing a peer sends moves the cursor or colours the screen.
fn show(entry: &str) {
    let mut shown = String::with_capacity(entry.len() + 1);
    for (number, line) in entry.lines().enumerate() {
        if number > 0 {
            shown.push_str("\n  ");
        }
        shown.extend(line.chars().filter(|c| *c == '\t' || !c.is_control()));
    }
    shown.push('\n');
    let mut output = std::io::stdout().lock();
    // A screen that is gone is no reason to lose the conversation.
    let _ = output
        .write_all(shown.as_bytes())
        .and_then(|()| output.flush());
}
