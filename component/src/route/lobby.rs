//! Where INVITEs wait until it is known whether they are for a user or a room (shell around the
//! [directory](crate::room::directory)). RS-01, RS-05.
//!
//! Both routers come here, each in its own task. An INVITE leaves with the directory locked, and its owner is registered
//! by then: whoever does not find it here any more finds its owner.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use stox_sip::{InviteId, Reply, Request, Status, Uri};
use tracing::{debug, info, warn};

use super::SharedPorts;
use crate::address::Jid;
use crate::conversation::{self, Ports};
use crate::mailbox::Input;
use crate::registry::{Key, Registry};
use crate::room::directory::{Directory, Found, Kind, PATIENCE, Refusal};
use crate::room::{self, focus};
use crate::translate::Parties;
use crate::xmpp::{Iq, OutgoingIq};

/// An INVITE, and whom it is between.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) invite: InviteId,
    pub(super) request: Request,
    pub(super) from: Uri,
    pub(super) to: Jid,
    pub(super) key: Key,
    pub(super) parties: Parties,
    /// Where it came from.
    pub(super) source: IpAddr,
}

/// Where INVITEs wait.
pub struct Lobby {
    /// Who asks: the gateway itself.
    domain: String,
    directory: Mutex<Directory<Box<Arrived>>>,
    registry: Arc<Registry>,
    ports: SharedPorts,
}

impl Lobby {
    /// A lobby in which nobody waits. `domain`: the component's own.
    pub fn new(domain: String, registry: Arc<Registry>, ports: SharedPorts) -> Lobby {
        Lobby {
            domain,
            directory: Mutex::default(),
            registry,
            ports,
        }
    }

    /// The gateway says goodbye: nobody waits any longer.
    pub fn close(&self) {
        self.directory().handle_down();
        self.admit_decided();
    }

    pub(super) fn invited(self: &Arc<Self>, arrived: Arrived) -> Result<(), Status> {
        let ports = self.ports.get().ok_or(Status::SERVICE_UNAVAILABLE)?;
        let address = arrived.to.bare();
        if self.registry.room(&address).is_some() {
            return self.admit(ports, Kind::Room, arrived);
        }
        let found = self
            .directory()
            .find(&address, Box::new(arrived), Instant::now());
        match found {
            Found::Now(kind, arrived) => self.admit(ports, kind, *arrived),
            Found::Waits => {
                self.ask(ports);
                let lobby = self.clone();
                // As many of these at most as INVITEs may wait.
                tokio::spawn(async move {
                    tokio::time::sleep(PATIENCE).await;
                    lobby.directory().handle_timeout(Instant::now());
                    lobby.admit_decided();
                });
                Ok(())
            }
            Found::Full(arrived) => {
                warn!(to = %arrived.to, "an INVITE is refused: too many wait until it is known whom they are for");
                Err(Status::SERVICE_UNAVAILABLE)
            }
        }
    }

    /// Takes out an INVITE that its sender has taken back. `false`: it is not here.
    pub(super) fn withdraw(&self, invite: InviteId) -> bool {
        let withdrawn = self
            .directory()
            .withdraw(|arrived| arrived.invite == invite);
        withdrawn.is_some()
    }

    pub(super) fn link_up(&self) {
        self.directory().handle_up(Instant::now());
    }

    pub(super) fn link_down(&self) {
        self.directory().handle_down();
        self.admit_decided();
    }

    /// Whether it answers a question that was asked from here.
    pub(super) fn answered(&self, iq: &Iq) -> bool {
        let is_ours = iq.to.as_str() == self.domain;
        if !is_ours || !self.directory().handle_answer(iq, Instant::now()) {
            return false;
        }
        if let Some(ports) = self.ports.get() {
            self.ask(ports);
        }
        self.admit_decided();
        true
    }

    fn ask(&self, ports: &Ports) {
        let Ok(from) = Jid::from_parts(None, &self.domain, None) else {
            return;
        };
        loop {
            let Some(question) = self.directory().poll_question() else {
                return;
            };
            let iq = OutgoingIq::disco_info(&from, &question.to, question.id);
            if let Err(refused) = ports.xmpp.send(iq.into(), None) {
                debug!(to = %question.to, reason = %refused, "nobody can be asked whether it is a room");
            }
        }
    }

    fn admit_decided(&self) {
        let Some(ports) = self.ports.get() else {
            return;
        };
        let mut directory = self.directory();
        while let Some((arrived, kind)) = directory.poll_decided() {
            let invite = arrived.invite;
            if let Err(status) = self.admit(ports, kind, *arrived) {
                let ports = ports.clone();
                tokio::spawn(async move { ports.sip.answer(invite, Reply::new(status)).await });
            }
        }
    }

    fn admit(&self, ports: &Arc<Ports>, kind: Kind, arrived: Arrived) -> Result<(), Status> {
        let Arrived {
            invite,
            request,
            from,
            to,
            key,
            parties,
            source,
        } = arrived;
        let refusal = match kind {
            Kind::User => {
                let input = Input::Invited(Box::new((invite, request, from, to, source)));
                return self
                    .registry
                    .deliver_invite(&key, invite, input, |key| {
                        Some(conversation::begin(ports.clone(), key.clone(), parties))
                    })
                    .map_err(|_| Status::SERVICE_UNAVAILABLE);
            }
            Kind::Room => {
                let address = to.bare();
                let input = room::Input::Invited(Box::new((invite, request, from, to, source)));
                return self
                    .registry
                    .deliver_invite_to_room(&address, invite, input, |address| {
                        focus::begin(ports.clone(), address.clone())
                    })
                    .map_err(|_| Status::SERVICE_UNAVAILABLE);
            }
            Kind::Refused(refusal) => refusal,
        };
        let status = match refusal {
            Refusal::NotFound => Status::NOT_FOUND,
            Refusal::Forbidden => Status::FORBIDDEN,
        };
        info!(%from, %to, status = status.code(), "a SIP user cannot enter a room: there is none, or it is closed to the gateway");
        Err(status)
    }

    fn directory(&self) -> MutexGuard<'_, Directory<Box<Arrived>>> {
        self.directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
