//! What arrives at a conversation, and the doors of all tasks that own something, with the mailboxes behind them.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stox_msrp::{Incoming, SessionEvent, Unconfirmed};
use stox_sip::{InviteId, Request, ServerTransactionId, Uri};
use tokio::sync::mpsc;

use crate::address::Jid;
use crate::translate::{ChatId, Event, Token};

/// What arrives in a conversation's mailbox.
#[derive(Debug)]
pub enum Input {
    /// From the XMPP side, translated by the router already.
    Xmpp(Box<Event>),
    /// An INVITE of the SIP user's, who has that address, for that address of the XMPP user's.
    Invited(Box<(InviteId, Request, Uri, Jid, IpAddr)>),
    /// A MESSAGE of the SIP user's, who has that address.
    Paged(Box<(ServerTransactionId, Request, Uri)>),
    /// A MESSAGE in the dialog of that INVITE.
    PagedInside(Box<(ServerTransactionId, Request, InviteId)>),
    /// What became of an INVITE, a dialog or a request.
    Sip(Box<stox_sip::Event>),
    /// A message of the SIP user's by MSRP, and which of the session's connections it came by.
    Msrp(ChatId, u32, Box<Incoming>),
    /// A message of ours that the peer had not confirmed when such a connection was lost.
    MsrpUnconfirmed(ChatId, u32, Box<Unconfirmed>),
    /// What became of such a connection or of a message sent by it.
    MsrpOutcome(ChatId, u32, SessionEvent),
    /// The XMPP server has taken the stanza.
    Handed(Token),
    /// The stanza cannot be known to have reached the XMPP server.
    Lost(Token),
    /// The gateway says goodbye.
    ShutDown,
    /// The goodbye has taken too long.
    Abandon,
}

/// Work that may wait at one door. With it waits at most what the conversation itself has under way.
const MAILBOX: usize = 2048;

/// The way into the mailbox of a conversation, or of what else takes its inputs.
///
/// New work is bounded by [`Door::deliver`]; the outcome of what the owner of the mailbox asked for is always let in, since
/// there can be no more of it than was asked for.
#[derive(Debug)]
pub struct Door<I = Input> {
    mailbox: mpsc::UnboundedSender<I>,
    waiting: Arc<AtomicUsize>,
}

impl<I> Clone for Door<I> {
    fn clone(&self) -> Self {
        Door {
            mailbox: self.mailbox.clone(),
            waiting: self.waiting.clone(),
        }
    }
}

/// The other end of a [`Door`].
#[derive(Debug)]
pub struct Mailbox<I = Input> {
    inputs: mpsc::UnboundedReceiver<I>,
    waiting: Arc<AtomicUsize>,
}

/// There is no room, or nobody behind the door; here is the work back.
#[derive(Debug)]
pub struct Full<I = Input>(pub I);

/// A mailbox and the way into it.
pub fn door<I>() -> (Door<I>, Mailbox<I>) {
    let (sender, inputs) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let door = Door {
        mailbox: sender,
        waiting: waiting.clone(),
    };
    (door, Mailbox { inputs, waiting })
}

impl<I> Door<I> {
    /// Puts new work into the mailbox, if there is room.
    ///
    /// # Errors
    /// [`Full`] gives the work back; the caller tells its sender.
    pub fn deliver(&self, input: I) -> Result<(), Full<I>> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAILBOX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Full(input));
        }
        self.mailbox
            .send(input)
            .map_err(|returned| Full(returned.0))
    }

    /// Puts the outcome of something the owner of the mailbox asked for into it. An owner that is gone wants to know no
    /// more.
    pub fn complete(&self, input: I) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.mailbox.send(input).is_err() {
            tracing::debug!("an outcome came after the end of who asked for it");
        }
    }

    /// Nobody is behind it any more.
    pub fn is_closed(&self) -> bool {
        self.mailbox.is_closed()
    }

    /// Nothing waits behind it.
    pub fn is_quiet(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }
}

impl<I> Mailbox<I> {
    /// The next input; waits for it.
    pub async fn recv(&mut self) -> Option<I> {
        let input = self.inputs.recv().await;
        self.note(input.is_some());
        input
    }

    /// The next input, if there is one.
    pub fn try_recv(&mut self) -> Option<I> {
        let input = self.inputs.try_recv().ok();
        self.note(input.is_some());
        input
    }

    fn note(&self, taken: bool) {
        if taken {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
