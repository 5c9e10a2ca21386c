//! Who owns what: concurrent maps from keys to the doors of conversations and rooms.
//!
//! The maps hold doors, not what is behind them: that belongs to the one task that reads the door's mailbox.

mod rooms;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use stox_sip::{InviteId, RequestId, SubscriptionId, Uri};
use tokio::sync::Notify;

use crate::address::{BareJid, Jid};
use crate::call_ids::CallIds;
use crate::mailbox::{Door, Full, Input};
use crate::room;
use crate::spellings::Spellings;
use crate::store::Store;
use crate::translate::Parties;

/// Whom a conversation is between: the XMPP user, and the SIP user in the one spelling that all others lead to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The XMPP user.
    pub juliet: BareJid,
    /// The SIP user, `user@host` in lower case (localparts have no case).
    pub romeo: Arc<str>,
}

impl Key {
    /// The key of the conversation between these two.
    pub fn of(parties: &Parties) -> Key {
        let user = parties
            .romeo_uri
            .user_decoded()
            .unwrap_or_default()
            .to_lowercase();
        let host = parties
            .romeo_uri
            .host()
            .map(ToString::to_string)
            .unwrap_or_default()
            .to_lowercase();
        Key {
            juliet: parties.juliet.bare(),
            romeo: format!("{user}@{host}").into(),
        }
    }
}

/// Conversations there may be at a time (SEC-14).
const CONVERSATIONS: usize = 200_000;

/// Who asked for something that SIP events tell the outcome of.
#[derive(Clone, Debug)]
pub enum Owner {
    /// The conversation behind that door.
    Conversation(Door),
    /// The room behind that door.
    Room(room::Door),
}

impl Owner {
    /// Tells what came of it.
    pub fn complete(&self, event: stox_sip::Event) {
        let event = Box::new(event);
        match self {
            Owner::Conversation(door) => door.complete(Input::Sip(event)),
            Owner::Room(door) => door.complete(room::Input::Sip(event)),
        }
    }
}

/// All doors, by what leads to them.
#[derive(Debug, Default)]
pub struct Registry {
    conversation_by_key: DashMap<Key, Door>,
    room_by_address: DashMap<BareJid, room::Door>,
    owner_by_invite: DashMap<InviteId, Owner>,
    owner_by_request: DashMap<RequestId, Owner>,
    room_by_subscription: DashMap<SubscriptionId, room::Door>,
    /// Devices of XMPP users in rooms, or on their way in, and how often each has asked to enter.
    seats: DashMap<(BareJid, Jid), u32>,
    conversations: AtomicUsize,
    rooms: AtomicUsize,
    closing: AtomicBool,
    call_ids: Mutex<CallIds>,
    spellings: Mutex<Spellings>,
    store: Store,
    retired: Notify,
}

impl Registry {
    /// A registry without conversations that knows these spellings (SIP URIs by address) and keeps new ones in `store`.
    pub fn new(store: Store, spellings: &[(String, String)]) -> Registry {
        let registry = Registry {
            store,
            ..Registry::default()
        };
        {
            let mut known = registry
                .spellings
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for (address, uri) in spellings {
                if let Ok(uri) = Uri::parse(uri) {
                    known.note(address.as_str().into(), &uri);
                }
            }
        }
        registry
    }

    /// Delivers new work to the conversation of that key, which `begin` starts if there is none.
    ///
    /// The door is used while its entry is held, so that [`Registry::retire`] cannot close it in between.
    ///
    /// # Errors
    /// [`Full`] gives the work back.
    pub fn deliver(
        &self,
        key: &Key,
        input: Input,
        begin: impl FnOnce(&Key) -> Option<Door>,
    ) -> Result<(), Full> {
        self.with_door(key, begin, |door| match door {
            Some(door) => door.deliver(input),
            None => Err(Full(input)),
        })
    }

    /// The same for an INVITE, whose later events go the same way from the start.
    ///
    /// # Errors
    /// [`Full`] gives the work back.
    pub fn deliver_invite(
        &self,
        key: &Key,
        invite: InviteId,
        input: Input,
        begin: impl FnOnce(&Key) -> Option<Door>,
    ) -> Result<(), Full> {
        self.with_door(key, begin, |door| {
            let Some(door) = door else {
                return Err(Full(input));
            };
            self.expect_invite(invite, Owner::Conversation(door.clone()));
            door.deliver(input)
                .inspect_err(|_| self.forget_invite(invite))
        })
    }

    /// `None`: there are too many conversations for another one, or the gateway says goodbye, or `begin` has none.
    fn with_door<T>(
        &self,
        key: &Key,
        begin: impl FnOnce(&Key) -> Option<Door>,
        use_it: impl FnOnce(Option<&Door>) -> T,
    ) -> T {
        if let Some(door) = self.conversation_by_key.get(key)
            && !door.is_closed()
        {
            return use_it(Some(&door));
        }
        match self.conversation_by_key.entry(key.clone()) {
            // Its task has failed: the next one begins anew.
            Entry::Occupied(mut entry) if entry.get().is_closed() => match begin(key) {
                Some(door) => {
                    entry.insert(door);
                    use_it(Some(entry.get()))
                }
                None => use_it(None),
            },
            Entry::Occupied(entry) => use_it(Some(entry.get())),
            Entry::Vacant(_) if self.len() >= CONVERSATIONS || self.is_closing() => use_it(None),
            Entry::Vacant(entry) => match begin(key) {
                Some(door) => {
                    self.conversations.fetch_add(1, Ordering::Relaxed);
                    use_it(Some(&entry.insert(door)))
                }
                None => use_it(None),
            },
        }
    }

    /// Delivers to the conversation of that key if there is one.
    pub fn deliver_if_known(&self, key: &Key, input: Input) -> Option<Result<(), Full>> {
        Some(self.conversation_by_key.get(key)?.deliver(input))
    }

    /// Takes the conversation out, unless something has come for it meanwhile.
    pub fn retire(&self, key: &Key) -> bool {
        let retired = self
            .conversation_by_key
            .remove_if(key, |_, door| door.is_quiet())
            .is_some();
        if retired {
            self.conversations.fetch_sub(1, Ordering::Relaxed);
            self.retired.notify_waiters();
        }
        retired
    }

    /// Waits until there is neither a conversation nor a room.
    pub async fn emptied(&self) {
        loop {
            let retired = self.retired.notified();
            if self.is_empty() {
                return;
            }
            retired.await;
        }
    }

    /// The same, knowing the hashes of Call-IDs that earlier processes noted.
    pub fn remembering(self, call_ids: &[u64]) -> Registry {
        Registry {
            call_ids: Mutex::new(CallIds::remembering(call_ids)),
            ..self
        }
    }

    /// Takes a Call-ID for a new dialog. `false`: a dialog has had it already, perhaps one of an earlier process (CHAT-03).
    pub fn claim_call_id(&self, call_id: &str) -> bool {
        let mut call_ids = self.call_ids.lock().unwrap_or_else(PoisonError::into_inner);
        let claimed = call_ids.claim(call_id);
        if let Some(hash) = claimed {
            self.store.note_call_id(hash);
        }
        claimed.is_some()
    }

    /// Notes how a SIP user spells the own address, where it is not what the JID says (CORE-06).
    pub fn note_spelling(&self, key: &Key, uri: &Uri) {
        let has_case = uri
            .user()
            .is_some_and(|user| user.contains(char::is_uppercase));
        if has_case {
            let mut spellings = self
                .spellings
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if spellings.note(key.romeo.clone(), uri) {
                self.store.note_spelling(&key.romeo, uri.to_string());
            }
        }
    }

    /// How the SIP user of that conversation was last seen to spell the own address.
    pub fn spelling(&self, key: &Key) -> Option<Uri> {
        let spellings = self
            .spellings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        spellings.last(&key.romeo)
    }

    /// Who waits for the events of that INVITE.
    pub fn expect_invite(&self, invite: InviteId, owner: Owner) {
        self.owner_by_invite.insert(invite, owner);
    }

    /// The INVITE and its dialog are of no more concern.
    pub fn forget_invite(&self, invite: InviteId) {
        self.owner_by_invite.remove(&invite);
    }

    /// Who waits for the events of that INVITE.
    pub fn owner_of_invite(&self, invite: InviteId) -> Option<Owner> {
        self.owner_by_invite.get(&invite).map(|owner| owner.clone())
    }

    /// Who waits for the answer to that request.
    pub fn expect_request(&self, request: RequestId, owner: Owner) {
        self.owner_by_request.insert(request, owner);
    }

    /// Who waits for the answer to that request, of which there is only one.
    pub fn take_request(&self, request: RequestId) -> Option<Owner> {
        let owner = self.owner_by_request.remove(&request);
        owner.map(|(_, owner)| owner)
    }

    /// Lets no new conversation and no new room begin from now on.
    pub fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Every conversation's door, for goodbyes.
    pub fn doors(&self) -> Vec<Door> {
        self.conversation_by_key
            .iter()
            .map(|entry| entry.value().clone())
            .collect()
    }

    /// Conversations there are.
    pub fn len(&self) -> usize {
        self.conversations.load(Ordering::Relaxed)
    }

    /// Whether there is neither a conversation nor a room.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.rooms() == 0
    }
}
