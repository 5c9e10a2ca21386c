//! What waits for a SIP user's MSRP connection, and what it has not confirmed yet (RS-28).

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::event::{Action, Settings};
use super::site::{Cx, Site, Ticket};
use crate::fault::{Condition, Fault};
use crate::room::{MemberId, Token};
use crate::translate::promise::Promise;

/// Messages for one SIP user.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Post>,
    /// Of those that wait.
    bytes: usize,
    under_way: BTreeMap<Token, Post>,
}

/// A message for a SIP user, as it is sent.
#[derive(Debug)]
pub(super) struct Post {
    pub body: Bytes,
    pub kind: PostKind,
    /// The name it had on a connection that was lost before it was confirmed.
    again: Option<Token>,
}

/// What a message is.
#[derive(Debug)]
pub(super) enum PostKind {
    /// Said before the SIP user came.
    History,
    /// To everybody.
    Public,
    /// To this user alone; its author hears if it cannot be told.
    Private(Promise<Ticket>),
}

impl Post {
    pub fn new(body: Bytes, kind: PostKind) -> Post {
        Post {
            body,
            kind,
            again: None,
        }
    }

    /// It will not arrive.
    pub fn give_up(self, fault: Fault) {
        match self.kind {
            PostKind::Private(promise) => promise.refused(fault),
            PostKind::History | PostKind::Public => {}
        }
    }
}

impl Outbox {
    /// One more message. Where there is no room, what is oldest goes first: of the past, then of what is said to all.
    pub fn push(&mut self, post: Post, settings: &Settings) {
        self.bytes += post.body.len();
        self.waiting.push_back(post);
        let mut dropped = 0;
        while self.waiting.len() > settings.queued || self.bytes > settings.queued_bytes {
            let oldest = |wanted: fn(&PostKind) -> bool| {
                let mut kinds = self.waiting.iter().map(|post| &post.kind);
                kinds.position(wanted)
            };
            let at = oldest(|kind| matches!(kind, PostKind::History))
                .or_else(|| oldest(|kind| matches!(kind, PostKind::Public)))
                .unwrap_or(0);
            let Some(post) = self.waiting.remove(at) else {
                break;
            };
            dropped += 1;
            self.bytes -= post.body.len();
            post.give_up(Fault::new(Condition::ResourceConstraint));
        }
        if dropped > 0 {
            tracing::info!(
                dropped,
                "a SIP user's side is too slow: messages are left out"
            );
        }
    }

    /// Sends what may be sent, as long as the connection stands.
    pub fn pump(&mut self, member: MemberId, site: &mut Site, cx: &mut Cx<'_>) {
        while self.under_way.len() < site.settings.window
            && let Some(post) = self.waiting.pop_front()
        {
            self.bytes -= post.body.len();
            let body = post.body.clone();
            let token = match post.again {
                Some(token) => {
                    cx.out.push(Action::SendAgain(member, token, body));
                    token
                }
                None => {
                    let token = site.token();
                    cx.out.push(Action::Send {
                        member,
                        token,
                        body,
                    });
                    token
                }
            };
            self.under_way.insert(token, post);
        }
    }

    /// The SIP user's side has it.
    pub fn accepted(&mut self, token: Token) {
        if let Some(post) = self.under_way.remove(&token)
            && let PostKind::Private(promise) = post.kind
        {
            promise.delivered();
        }
    }

    /// The SIP user's side does not take it.
    pub fn refused(&mut self, token: Token, status: u16) {
        if let Some(post) = self.under_way.remove(&token) {
            tracing::debug!(status, "a message was not taken by a SIP user's side");
            post.give_up(Fault::from_msrp(status));
        }
    }

    /// It was not sent, because too much is under way: it is first when there is room.
    pub fn congested(&mut self, token: Token) {
        if let Some(post) = self.under_way.remove(&token) {
            self.bytes += post.body.len();
            self.waiting.push_front(post);
        }
    }

    /// The connection is lost: what is not confirmed is sent again on the next one.
    pub fn disconnected(&mut self) {
        for (token, mut post) in std::mem::take(&mut self.under_way).into_iter().rev() {
            self.bytes += post.body.len();
            post.again = Some(token);
            self.waiting.push_front(post);
        }
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Nothing will be sent any more.
    pub fn give_up(&mut self, fault: &Fault) {
        let under_way = std::mem::take(&mut self.under_way).into_values();
        for post in under_way.chain(self.waiting.drain(..)) {
            post.give_up(fault.clone());
        }
        self.bytes = 0;
    }
}
