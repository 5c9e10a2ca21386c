//! Connections that we made are kept alive, and given up when their peer is gone. RFC 5626 §4.4, RFC 6223.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::flows::{ConnectionId, Destination, Transmit};
use super::{Endpoint, TimerKey};
use crate::framing::PING;
use crate::keep_alive::Action;
use crate::{Method, Request, Response, Via, grammar};

/// In a Via: who sent the request would ping; with a number, who answers it wants pings that often. RFC 6223.
const KEEP: &str = "keep";
/// What we want of peers that ask, at most. Seconds. RFC 5626 §4.4.1.
const WANTED: u64 = 120;

impl Endpoint {
    /// A line end came between messages, which answers a ping of ours. RFC 5626 §3.5.1.
    pub fn handle_pong(&mut self, connection: ConnectionId, now: Instant) {
        self.note_sign_of_life(connection, now);
    }

    /// The next connection to be closed, its peer being gone. Its requests have failed already.
    pub fn poll_disconnect(&mut self) -> Option<ConnectionId> {
        self.disconnects.pop_front()
    }

    pub(super) fn note_sign_of_life(&mut self, id: ConnectionId, now: Instant) {
        if self.config.keep_alive.is_some()
            && let Some(keep_alive) = self.connections.keep_alive(id)
        {
            keep_alive.handle_sign_of_life(&mut self.random, now);
            self.schedule_connection(id);
        }
    }

    /// A request of ours leaves on this connection.
    pub(super) fn keep_alive(&mut self, destination: Destination, now: Instant) {
        if let (Some(pause), Destination::Connection(id)) = (self.config.keep_alive, destination)
            && self
                .connections
                .begin_keep_alive(id, pause, &mut self.random, now)
        {
            self.schedule_connection(id);
        }
    }

    /// Asks for the peer's promise to answer pings; only what begins something that lasts may. RFC 6223.
    pub(super) fn ask_to_keep(&self, request: &Request, via: &mut String) {
        if self.config.keep_alive.is_some() && may_ask(&request.method) {
            via.push(';');
            via.push_str(KEEP);
        }
    }

    /// The peer may have promised to answer pings.
    pub(super) fn note_promise(
        &mut self,
        destination: Destination,
        response: &Response,
        now: Instant,
    ) {
        let (Some(_), Destination::Connection(id)) = (self.config.keep_alive, destination) else {
            return;
        };
        let Some(keep_alive) = self.connections.keep_alive(id) else {
            return;
        };
        let via = response.top_via().ok();
        let seconds = via.and_then(|via| grammar::decimal_saturating(via.params.get(KEEP)??));
        if let Some(seconds) = seconds {
            keep_alive.handle_promise(seconds, &mut self.random, now);
            self.schedule_connection(id);
        }
    }

    /// Promises to answer the pings of a peer that asks for it; without being asked pings are answered too.
    pub(super) fn promise_to_keep(&self, request: &Request, via: &mut Arc<Via>) -> Promise {
        let is_asked = via.params.get(KEEP) == Some(None) && may_ask(&request.method);
        if !is_asked {
            return Promise::NotAsked;
        }
        // Twice within the time after which a silent connection is closed.
        let wanted = (self.config.limits.idle.as_secs() / 2).min(WANTED);
        let via = Arc::make_mut(via);
        via.params.set(KEEP, Some(wanted.to_string()));
        Promise::Given
    }

    fn schedule_connection(&mut self, id: ConnectionId) {
        if let Some((keep_alive, scheduled)) = self.connections.keep_alive_timer(id) {
            let at = keep_alive.poll_timeout();
            self.timers
                .schedule(TimerKey::Connection(id), Some(at), scheduled);
        }
    }

    pub(super) fn handle_connection_time(&mut self, id: ConnectionId, at: Instant, now: Instant) {
        let Some((keep_alive, scheduled)) = self.connections.keep_alive_timer(id) else {
            return;
        };
        if !scheduled.take(at) {
            return;
        }
        match keep_alive.handle_timeout(&mut self.random, now) {
            Some(Action::Ping) => self.transmits.push_back(Transmit {
                destination: Destination::Connection(id),
                payload: Bytes::from_static(PING),
                origin: None,
            }),
            Some(Action::GiveUp) => {
                tracing::info!(
                    ?id,
                    "the peer of a connection no longer answers; it is closed"
                );
                self.disconnects.push_back(id);
                return self.handle_disconnected(id, now);
            }
            None => {}
        }
        self.schedule_connection(id);
    }
}

/// Whether the top Via of a request has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    NotAsked,
    Given,
}

fn may_ask(method: &Method) -> bool {
    matches!(
        method,
        Method::Register | Method::Invite | Method::Subscribe | Method::Refer
    )
}
