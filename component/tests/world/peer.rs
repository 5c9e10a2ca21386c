//! The SIP user's end of one session.

use std::time::Instant;

use stox_msrp::MsrpUri;

/// What one session is for romeo.
#[derive(Debug)]
pub struct Side {
    pub dialog: Dialog,
    pub wire: Wire,
    opened_by: Opener,
    /// juliet withdrew her INVITE.
    pub cancelled: bool,
    /// When the last SEND under way reaches him: they cannot overtake each other.
    pub reaches: Instant,
    /// His client has forgotten the session.
    pub is_forgotten: bool,
    /// Where his end of the connection is.
    pub path: Option<Vec<MsrpUri>>,
    last_read: Option<usize>,
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialog {
    /// juliet's INVITE waits for an answer.
    Ours,
    /// His INVITE waits for an answer.
    Theirs,
    /// He has answered, the ACK is missing.
    Answered,
    Up,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    None,
    Opening,
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opener {
    Juliet,
    Romeo,
}

impl Side {
    pub fn ours(now: Instant) -> Side {
        Side::new(Opener::Juliet, Dialog::Ours, now)
    }

    pub fn theirs(now: Instant) -> Side {
        Side::new(Opener::Romeo, Dialog::Theirs, now)
    }

    fn new(opened_by: Opener, dialog: Dialog, now: Instant) -> Side {
        Side {
            dialog,
            wire: Wire::None,
            opened_by,
            cancelled: false,
            reaches: now,
            is_forgotten: false,
            path: None,
            last_read: None,
            closed: false,
        }
    }

    /// Whether media was agreed on before the ACK.
    pub fn has_offered(&self) -> bool {
        self.wire != Wire::None
    }

    /// He reads a message: never an older one after a younger one.
    pub fn read(&mut self, message: usize) -> Result<(), String> {
        if self.last_read.is_some_and(|last| last >= message) {
            return Err(format!("[{message}] comes after [{:?}]", self.last_read));
        }
        self.last_read = Some(message);
        Ok(())
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The core forgets the session: nobody may be left who believes in it.
    pub fn close(&mut self) -> Result<(), String> {
        let told = match self.dialog {
            Dialog::Over => true,
            Dialog::Ours => self.cancelled,
            Dialog::Theirs | Dialog::Answered | Dialog::Up => false,
        };
        if !told {
            return Err(format!(
                "a session that {:?} opened is forgotten without a goodbye: {self:?}",
                self.opened_by
            ));
        }
        self.closed = true;
        Ok(())
    }
}
