//! Who is told by NOTIFY what happens in the room (RS-15 to RS-18).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use stox_sip::conference::ConferenceInfo;
use stox_sip::{Occasion, SubscriptionId};

use super::event::Action;
use super::site::Cx;

/// All subscriptions to the room.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_id: BTreeMap<SubscriptionId, Subscription>,
    /// The last change that was worked out: of many who are told the same, the first pays for it.
    change: Option<Worked>,
}

#[derive(Debug)]
struct Worked {
    from: Arc<ConferenceInfo>,
    to: Arc<ConferenceInfo>,
    change: Option<ConferenceInfo>,
}

#[derive(Debug)]
struct Subscription {
    /// Whose it is, see [`key_of`](super::member::key_of).
    aor: String,
    /// What it was told; none: that the state is not known yet (RS-16).
    told: Option<Arc<ConferenceInfo>>,
    version: u32,
    standing: Standing,
}

/// Whether somebody knows that something has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Told,
    /// A NOTIFY is asked for.
    Due,
}

impl Subscriptions {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// One more; it is told what is known, if that is the whole state.
    pub fn add(
        &mut self,
        id: SubscriptionId,
        aor: &str,
        state: Option<Arc<ConferenceInfo>>,
        cx: &mut Cx<'_>,
    ) {
        let subscription = Subscription {
            aor: aor.to_owned(),
            told: None,
            version: 0,
            standing: Standing::Told,
        };
        self.by_id.insert(id, subscription);
        match state {
            Some(state) => self.tell_all_of(id, state, cx),
            None => cx.out.push(Action::Notify(id, None)),
        }
    }

    pub fn remove(&mut self, id: SubscriptionId) {
        self.by_id.remove(&id);
    }

    /// Whose it is.
    pub fn aor(&self, id: SubscriptionId) -> Option<&str> {
        self.by_id
            .get(&id)
            .map(|subscription| subscription.aor.as_str())
    }

    /// Whether that user has one.
    pub fn has(&self, aor: &str) -> bool {
        self.by_id
            .values()
            .any(|subscription| subscription.aor == aor)
    }

    /// Whoever has that address is told the whole state.
    pub fn complete(&mut self, aor: &str, state: &Arc<ConferenceInfo>, cx: &mut Cx<'_>) {
        let own = self.by_id.iter().filter(|(_, own)| own.aor == aor);
        for id in own.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.tell_all_of(id, state.clone(), cx);
        }
    }

    /// Whoever has been told something is to be told what has changed, when the time has come.
    pub fn changed(&mut self, cx: &mut Cx<'_>) {
        for (id, subscription) in &mut self.by_id {
            if subscription.told.is_some() && subscription.standing == Standing::Told {
                subscription.standing = Standing::Due;
                cx.out.push(Action::ReportChange(*id));
            }
        }
    }

    /// The state is asked for; none: it is not known.
    pub fn on_asked(
        &mut self,
        id: SubscriptionId,
        occasion: Occasion,
        state: Option<Arc<ConferenceInfo>>,
        cx: &mut Cx<'_>,
    ) {
        let Some(state) = state else {
            return cx.out.push(Action::Notify(id, None));
        };
        let told = self.by_id.get(&id).and_then(|own| own.told.clone());
        match (occasion, told) {
            (Occasion::Changed, Some(told)) => match self.change(&told, &state) {
                Some(change) => self.tell(id, change, state, cx),
                // It is as it was: what had changed has changed back.
                None => self.tell_all_of(id, state, cx),
            },
            (Occasion::Changed | Occasion::Refreshed | Occasion::Unsubscribed, _) => {
                self.tell_all_of(id, state, cx);
            }
        }
    }

    /// That user's end; none: everybody's.
    pub fn end(&mut self, aor: Option<&str>, cx: &mut Cx<'_>) {
        self.by_id.retain(|id, subscription| {
            let ends = aor.is_none_or(|aor| subscription.aor == aor);
            if ends {
                cx.out.push(Action::EndSubscription(*id));
            }
            !ends
        });
    }

    fn change(
        &mut self,
        from: &Arc<ConferenceInfo>,
        to: &Arc<ConferenceInfo>,
    ) -> Option<ConferenceInfo> {
        let is_known = self
            .change
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(&known.from, from) && Arc::ptr_eq(&known.to, to));
        if !is_known {
            self.change = Some(Worked {
                from: from.clone(),
                to: to.clone(),
                change: to.changes_since(from),
            });
        }
        self.change.as_ref().and_then(|known| known.change.clone())
    }

    fn tell_all_of(&mut self, id: SubscriptionId, state: Arc<ConferenceInfo>, cx: &mut Cx<'_>) {
        let document = ConferenceInfo::clone(&state);
        self.tell(id, document, state, cx);
    }

    fn tell(
        &mut self,
        id: SubscriptionId,
        document: ConferenceInfo,
        state: Arc<ConferenceInfo>,
        cx: &mut Cx<'_>,
    ) {
        let Some(subscription) = self.by_id.get_mut(&id) else {
            return;
        };
        subscription.version = subscription.version.wrapping_add(1);
        subscription.told = Some(state);
        subscription.standing = Standing::Told;
        let document = ConferenceInfo {
            version: Some(subscription.version),
            ..document
        };
        let body = Bytes::from(document.to_xml());
        cx.out.push(Action::Notify(id, Some(body)));
    }
}
