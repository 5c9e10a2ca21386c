//! XMPP users who ask what an address of the SIP world is (shell around [`Foci`]). DISCO-03, RX-33.
//!
//! Rooms that somebody has entered answer for themselves; here is who comes before that, or thinks to be in a room of
//! which the gateway knows nothing any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use stox_sip::{Feature, Features, Method, NameAddr, OutgoingRequest, RequestId, Response, Uri};
use tracing::debug;

use super::SharedPorts;
use crate::address::{Addresses, BareJid};
use crate::conversation::Ports;
use crate::room::directory::foci::{Foci, Looked, Nature, PATIENCE};
use crate::xmpp::{self, Iq, OutgoingIq};

/// Who asks, and which request of ours is about which address.
pub struct Inquiries {
    ports: SharedPorts,
    addresses: Arc<Addresses>,
    /// In the name of which we ask.
    own: Option<Uri>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    foci: Foci<Box<Iq>>,
    /// As many at most as wait, and those whose transactions have not ended yet.
    address_by_request: HashMap<RequestId, BareJid>,
}

impl Inquiries {
    /// Nobody asks yet. `domain`: the component's own.
    pub fn new(domain: &str, addresses: Arc<Addresses>, ports: SharedPorts) -> Inquiries {
        Inquiries {
            ports,
            addresses,
            own: Uri::parse(&format!("sip:{domain}")).ok(),
            state: Mutex::default(),
        }
    }

    /// Whether the answer depends on what the address is.
    pub(super) fn concerns(&self, request: &Iq) -> bool {
        xmpp::asks_what_it_is(request)
            && self.addresses.allows(&request.from)
            && self.addresses.sip_of(&request.to).is_ok()
    }

    pub(super) fn ask(self: &Arc<Self>, request: Box<Iq>) {
        let Some(ports) = self.ports.get() else {
            return;
        };
        let address = request.to.bare();
        let looked = self
            .state()
            .foci
            .find(address.clone(), request, Instant::now());
        match looked {
            Looked::Now(nature, request) => return self.answer(nature, &request),
            Looked::Ask => self.ask_focus(ports, address),
            Looked::Waits => {}
        }
        let inquiries = self.clone();
        // As many of these at most as may wait.
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            let told = inquiries.state().foci.handle_timeout(Instant::now());
            for (nature, request) in told {
                inquiries.answer(nature, &request);
            }
        });
    }

    /// What came of a request. `None`: no answer.
    pub(super) fn answered(&self, request: RequestId, response: Option<&Response>) {
        let mut state = self.state();
        let Some(address) = state.address_by_request.remove(&request) else {
            return;
        };
        let now = Instant::now();
        let (nature, waited) = match response.filter(|response| response.status.is_success()) {
            Some(response) => {
                let contact = response.contact().ok();
                let is_focus =
                    contact.and_then(|contact| Features::of(&contact).is(Feature::Focus));
                let nature = match is_focus {
                    Some(true) => Nature::Focus,
                    Some(false) | None => Nature::User,
                };
                (nature, state.foci.handle_answer(&address, nature, now))
            }
            None => state.foci.handle_silence(&address, now),
        };
        drop(state);
        debug!(%address, ?nature, "what a SIP address says to be");
        for request in waited {
            self.answer(nature, &request);
        }
    }

    fn ask_focus(&self, ports: &Arc<Ports>, address: BareJid) {
        let contact = self.addresses.sip_of(address.as_jid());
        let (Ok(contact), Some(own)) = (contact, self.own.clone()) else {
            return;
        };
        let target = contact.aor.uri();
        let id = ports.sip.reserve_request();
        self.state().address_by_request.insert(id, address);
        let options = OutgoingRequest::new(
            Method::Options,
            target.clone(),
            NameAddr::from(own),
            NameAddr::from(target),
        );
        let ports = ports.clone();
        tokio::spawn(async move { ports.sip.request(id, options).await });
    }

    fn answer(&self, nature: Nature, request: &Iq) {
        let answer = match nature {
            Nature::Focus => xmpp::answer_of_unentered_room(request),
            Nature::User => xmpp::answer_of_user(request, &self.addresses),
            Nature::Unknown => xmpp::answer_of_somebody(request, &self.addresses),
        };
        self.reply(answer);
    }

    fn reply(&self, answer: OutgoingIq) {
        let Some(ports) = self.ports.get() else {
            return;
        };
        if let Err(refused) = ports.xmpp.send(answer.into(), None) {
            debug!(reason = %refused, "no reply");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
