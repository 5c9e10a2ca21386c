//! What arrives at a conversation, and the doors of all tasks that own something, with the mailboxes behind them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use stox_msrp::{Incoming, SessionEvent, Unconfirmed};
use stox_sip::{InviteId, Request, ServerTransactionId, Uri};
use tokio::task::coop::poll_proceed;

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

/// What arrives at doors of one kind.
pub trait Bounded {
    /// How much work may wait at one door. With it waits at most what the owner of the mailbox has under way.
    const MOST: usize;
}

impl Bounded for Input {
    const MOST: usize = 2048;
}

/// Inputs for which room is kept while none waits (PERF-6).
const KEPT: usize = 8;

/// The way into the mailbox of a conversation, or of what else takes its inputs.
///
/// New work is bounded by [`Door::deliver`]; the outcome of what the owner of the mailbox asked for is always let in, since
/// there can be no more of it than was asked for.
#[derive(Debug)]
pub struct Door<I = Input>(Arc<Mutex<State<I>>>);

impl<I> Clone for Door<I> {
    fn clone(&self) -> Self {
        Door(Arc::clone(&self.0))
    }
}

/// The other end of a [`Door`].
#[derive(Debug)]
pub struct Mailbox<I = Input>(Arc<Mutex<State<I>>>);

/// A queue rather than one of tokio's channels, of which an empty one keeps a block for 32 inputs.
#[derive(Debug)]
enum State<I> {
    Open {
        inputs: VecDeque<I>,
        /// Waits for the next one.
        reader: Option<Waker>,
    },
    /// Nobody reads any more.
    Closed,
}

/// There is no room, or nobody behind the door; here is the work back.
#[derive(Debug)]
pub struct Full<I = Input>(pub I);

/// A mailbox and the way into it.
pub fn door<I>() -> (Door<I>, Mailbox<I>) {
    let state = Arc::new(Mutex::new(State::Open {
        inputs: VecDeque::new(),
        reader: None,
    }));
    (Door(Arc::clone(&state)), Mailbox(state))
}

fn lock<I>(state: &Mutex<State<I>>) -> MutexGuard<'_, State<I>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<I> Door<I> {
    /// Puts new work into the mailbox, if there is room.
    ///
    /// # Errors
    /// [`Full`] gives the work back; the caller tells its sender.
    pub fn deliver(&self, input: I) -> Result<(), Full<I>>
    where
        I: Bounded,
    {
        self.push(input, I::MOST)
    }

    /// Puts the outcome of something the owner of the mailbox asked for into it. An owner that is gone wants to know no
    /// more.
    pub fn complete(&self, input: I) {
        if self.push(input, usize::MAX).is_err() {
            tracing::debug!("an outcome came after the end of who asked for it");
        }
    }

    fn push(&self, input: I, most: usize) -> Result<(), Full<I>> {
        let reader = match &mut *lock(&self.0) {
            State::Open { inputs, reader } if inputs.len() < most => {
                inputs.push_back(input);
                reader.take()
            }
            State::Open { .. } | State::Closed => return Err(Full(input)),
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    /// Nobody is behind it any more.
    pub fn is_closed(&self) -> bool {
        matches!(&*lock(&self.0), State::Closed)
    }

    /// Nothing waits behind it.
    pub fn is_quiet(&self) -> bool {
        match &*lock(&self.0) {
            State::Open { inputs, .. } => inputs.is_empty(),
            State::Closed => true,
        }
    }
}

impl<I> Mailbox<I> {
    /// The next input; waits for it. `None` if there is none and nobody has a way in when it is asked.
    pub async fn recv(&mut self) -> Option<I> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// The next input, if there is one.
    pub fn try_recv(&mut self) -> Option<I> {
        match &mut *lock(&self.0) {
            State::Open { inputs, .. } => take(inputs),
            State::Closed => None,
        }
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<I>> {
        // A mailbox that is never empty must not keep others from their turn.
        let turn = ready!(poll_proceed(context));
        if let State::Open { inputs, reader } = &mut *lock(&self.0) {
            if let Some(input) = take(inputs) {
                turn.made_progress();
                return Poll::Ready(Some(input));
            }
            if Arc::strong_count(&self.0) == 1 {
                return Poll::Ready(None);
            }
            let waker = context.waker();
            if !reader
                .as_ref()
                .is_some_and(|reader| reader.will_wake(waker))
            {
                *reader = Some(waker.clone());
            }
        }
        Poll::Pending
    }
}

fn take<I>(inputs: &mut VecDeque<I>) -> Option<I> {
    let input = inputs.pop_front();
    if inputs.is_empty() && inputs.capacity() > KEPT {
        *inputs = VecDeque::new();
    }
    input
}

impl<I> Drop for Mailbox<I> {
    fn drop(&mut self) {
        // What is left may have doors of its own, perhaps to this mailbox: it goes when the lock is free.
        let left = std::mem::replace(&mut *lock(&self.0), State::Closed);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAILBOX: usize = 100;

    impl Bounded for usize {
        const MOST: usize = MAILBOX;
    }

    // SEC-14
    #[tokio::test]
    async fn work_is_bounded_and_outcomes_are_not() {
        let (door, mut mailbox) = door();
        (0..MAILBOX).for_each(|number| door.deliver(number).unwrap());
        assert!(matches!(door.deliver(0), Err(Full(0))));
        door.complete(MAILBOX);
        for number in 0..=MAILBOX {
            assert_eq!(mailbox.recv().await, Some(number));
        }
        assert!(door.is_quiet() && mailbox.try_recv().is_none());
        drop(door);
        assert_eq!(mailbox.recv().await, None);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let (door, mut mailbox) = door();
        let reader = tokio::spawn(async move { [mailbox.recv().await, mailbox.recv().await] });
        for number in [1, 2] {
            tokio::task::yield_now().await;
            door.deliver(number).unwrap();
        }
        assert_eq!(reader.await.unwrap(), [Some(1), Some(2)]);
        assert!(door.is_closed());
        assert!(matches!(door.deliver(3), Err(Full(3))));
    }

    // PERF-6
    #[test]
    fn nothing_is_kept_for_what_has_been() {
        let (door, mut mailbox) = door();
        (0..100).for_each(|number| door.complete(number));
        while mailbox.try_recv().is_some() {}
        let State::Open { inputs, .. } = &*lock(&door.0) else {
            panic!("open");
        };
        assert!(inputs.capacity() <= KEPT);
    }
}
