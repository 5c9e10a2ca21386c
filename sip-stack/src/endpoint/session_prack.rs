//! Provisional responses for peers that want them reliable, and their PRACK. RFC 3262.

use std::time::Instant;

use super::authentication::AuthenticatedUser;
use super::checks::RELIABLE_PROVISIONALS;
use super::command::{InviteId, Reply};
use super::event::Source;
use super::server::Hop;
use super::session::{Provisionals, Session};
use super::{Endpoint, Event};
use crate::transaction::reliable_provisional::{Action, Described, ReliableProvisionals};
use crate::{Method, Name, Request, Status};

impl Endpoint {
    /// How provisional responses to this INVITE are sent: reliably only if the peer requires it.
    pub(super) fn provisionals_of(&mut self, request: &Request) -> Provisionals {
        use rand::RngExt;
        match request
            .headers
            .contains(&Name::Require, RELIABLE_PROVISIONALS)
        {
            // Far below 2³¹, so that it can be counted up. RFC 3262 §3.
            true => Provisionals::Reliable(Box::new(ReliableProvisionals::new(
                self.random.random_range(1..1 << 30),
            ))),
            false => Provisionals::Sent,
        }
    }

    /// Answers an INVITE whose provisional responses are reliable, provisionally or with a 2xx.
    pub(super) fn answer_reliably(&mut self, id: InviteId, reply: Reply, now: Instant) {
        let timers = self.config.timers;
        let mut actions = Vec::new();
        if let Some(provisionals) = self.reliable(id) {
            let described = match reply.body.is_empty() {
                true => Described::No,
                false => Described::Yes,
            };
            match reply.status.is_provisional() {
                true => provisionals.provide(reply, described, &timers, now, &mut actions),
                false => provisionals.accept(reply, &mut actions),
            }
        }
        self.carry_out_provisionals(id, actions, now);
    }

    pub(super) fn handle_prack(
        &mut self,
        id: InviteId,
        request: Request,
        via: &Hop,
        source: Source,
        user: Option<AuthenticatedUser>,
        now: Instant,
    ) {
        let Ok(rack) = request.rack() else {
            return self.refuse_statelessly(&request, via, &source, Status::BAD_REQUEST, None);
        };
        let mut actions = Vec::new();
        let is_known = rack.cseq.method == Method::Invite
            && self.acknowledge(id, rack.rseq, rack.cseq.number, &mut actions, now);
        if !is_known {
            let status = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
            return self.refuse_statelessly(&request, via, &source, status, None);
        }
        if request.body.is_empty() {
            let transaction = self.begin(&request, via, source, None, "", now);
            self.reply(transaction, Reply::new(Status::OK), now);
        } else {
            self.tell(request, via, source, user, Some(id), now);
        }
        self.carry_out_provisionals(id, actions, now);
    }

    fn acknowledge(
        &mut self,
        id: InviteId,
        rseq: u32,
        cseq: u32,
        actions: &mut Vec<Action<Reply>>,
        now: Instant,
    ) -> bool {
        match self.sessions.get_mut(id) {
            Some(Session::Invited(invited)) => {
                let server = self.servers.get(invited.transaction);
                let timers = &self.config.timers;
                server.is_some_and(|server| server.cseq == cseq)
                    && match &mut invited.provisionals {
                        Provisionals::Reliable(provisionals) => provisionals
                            .handle_prack(rseq, timers, now, actions)
                            .is_ok(),
                        Provisionals::Sent => false,
                    }
            }
            Some(Session::Established(established)) => established
                .changes
                .unacknowledged
                .take_if(|sent| *sent == (rseq, cseq))
                .is_some(),
            Some(Session::Inviting(_)) | None => false,
        }
    }

    pub(super) fn handle_provisionals_time(&mut self, id: InviteId, now: Instant) {
        let mut actions = Vec::new();
        if let Some(provisionals) = self.reliable(id) {
            provisionals.on_time(now, &mut actions);
        }
        self.carry_out_provisionals(id, actions, now);
    }

    fn reliable(&mut self, id: InviteId) -> Option<&mut ReliableProvisionals<Reply>> {
        match self.sessions.get_mut(id) {
            Some(Session::Invited(invited)) => match &mut invited.provisionals {
                Provisionals::Reliable(provisionals) => Some(provisionals),
                Provisionals::Sent => None,
            },
            Some(Session::Inviting(_) | Session::Established(_)) | None => None,
        }
    }

    fn carry_out_provisionals(&mut self, id: InviteId, actions: Vec<Action<Reply>>, now: Instant) {
        for action in actions {
            let Some(Session::Invited(invited)) = self.sessions.get(id) else {
                return;
            };
            let transaction = invited.transaction;
            match action {
                Action::Send(rseq, mut reply) => {
                    reply.contact = Some(invited.contact.clone());
                    let option = RELIABLE_PROVISIONALS.to_owned();
                    reply.headers.push((Name::Require, option));
                    reply.headers.push((Name::RSeq, rseq.to_string()));
                    self.reply(transaction, reply, now);
                }
                Action::Repeat => self.send_response(transaction),
                Action::Finish(reply) => self.finish(id, reply, now),
                Action::GiveUp => {
                    let reply = Reply::new(Status::SERVER_INTERNAL_ERROR);
                    self.finish(id, reply, now);
                    self.events.push_back(Event::Cancelled { invite: id });
                }
            }
        }
        self.schedule_session(id);
    }
}
