//! Who is in the MUC, as its presences tell, and the documents that tell it to SIP users (T16, RS-16 to RS-20).

use std::collections::BTreeMap;
use std::sync::Arc;

use stox_sip::conference::{
    ConferenceInfo, ConferenceState, Description, Endpoint, EndpointStatus, Media, User,
};

use super::site::Site;
use crate::address::{Jid, xmpp_uri};
use crate::text;
use crate::xmpp::{Affiliation, MucItem, Role};

/// Occupants that are known of one room (SEC-14).
const OCCUPANTS: usize = 20_000;

/// Who is in the MUC.
#[derive(Debug, Default)]
pub(super) struct Roster {
    occupant_by_nick: BTreeMap<String, Occupant>,
    subject: Option<String>,
    exposure: Exposure,
    /// Counts the times it was told anew.
    round: u32,
    /// The document of what is known now, until that changes.
    document: Option<Arc<ConferenceInfo>>,
}

/// Whether the room shows real addresses to everybody (RS-20).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Exposure {
    #[default]
    Anonymous,
    Open,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Occupant {
    affiliation: Affiliation,
    role: Role,
    jid: Option<Jid>,
    round: u32,
}

impl Roster {
    /// Somebody is there. Returns whether that is news.
    pub fn note(&mut self, nick: &str, item: Option<&MucItem>) -> bool {
        let occupant = Occupant {
            affiliation: item.map(|item| item.affiliation).unwrap_or_default(),
            role: item.map_or(Role::Participant, |item| item.role),
            jid: item.and_then(|item| item.jid.clone()),
            round: self.round,
        };
        let is_full = self.occupant_by_nick.len() >= OCCUPANTS;
        match self.occupant_by_nick.get_mut(nick) {
            Some(known) => {
                let is_news = (known.affiliation, known.role)
                    != (occupant.affiliation, occupant.role)
                    || (self.exposure == Exposure::Open && known.jid != occupant.jid);
                *known = occupant;
                self.changed_if(is_news)
            }
            None if is_full => false,
            None => {
                self.occupant_by_nick.insert(nick.to_owned(), occupant);
                self.changed_if(true)
            }
        }
    }

    /// Somebody is gone. Returns whether that is news.
    pub fn remove(&mut self, nick: &str) -> bool {
        let is_news = self.occupant_by_nick.remove(nick).is_some();
        self.changed_if(is_news)
    }

    /// Somebody has another nickname, which is one change (RS-19).
    pub fn rename(&mut self, nick: &str, to: &str) -> bool {
        let Some(occupant) = self.occupant_by_nick.remove(nick) else {
            return false;
        };
        self.occupant_by_nick.insert(to.to_owned(), occupant);
        self.changed_if(true)
    }

    /// The room shows real addresses to everybody, or does not any more.
    pub fn expose(&mut self, is_open: bool) -> bool {
        let exposure = match is_open {
            true => Exposure::Open,
            false => Exposure::Anonymous,
        };
        let is_news = self.exposure != exposure;
        self.exposure = exposure;
        self.changed_if(is_news)
    }

    /// The subject is that now; empty: none.
    pub fn set_subject(&mut self, subject: &str) -> bool {
        let is_news = self.subject.as_deref().unwrap_or_default() != subject;
        self.subject = Some(subject.to_owned());
        self.changed_if(is_news)
    }

    pub fn has(&self, nick: &str) -> bool {
        self.occupant_by_nick.contains_key(nick)
    }

    /// Everybody is about to be told anew.
    pub fn begin_round(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Everybody has been: who was not named is gone (RS-36).
    pub fn end_round(&mut self) -> bool {
        let (before, round) = (self.occupant_by_nick.len(), self.round);
        self.occupant_by_nick
            .retain(|_, occupant| occupant.round == round);
        let is_news = self.occupant_by_nick.len() != before;
        self.changed_if(is_news)
    }

    /// Nobody of ours is in any more: what is known will be told anew.
    pub fn clear(&mut self) {
        *self = Roster {
            round: self.round,
            ..Roster::default()
        };
    }

    /// The whole state; its version is each subscription's own.
    pub fn document(&mut self, site: &Site) -> Arc<ConferenceInfo> {
        if let Some(document) = &self.document {
            return document.clone();
        }
        let users = self.occupant_by_nick.iter();
        let users = users.filter_map(|(nick, occupant)| self.user(nick, occupant, site));
        let document = Arc::new(ConferenceInfo {
            entity: site.uri.to_string(),
            description: Some(Description {
                subject: self
                    .subject
                    .as_deref()
                    .map(|text| text::for_xml(text).into()),
                ..Description::default()
            }),
            conference_state: Some(ConferenceState {
                user_count: u32::try_from(self.occupant_by_nick.len()).ok(),
                active: Some(true),
                ..ConferenceState::default()
            }),
            users: users.collect(),
            ..ConferenceInfo::default()
        });
        self.document = Some(document.clone());
        document
    }

    fn user(&self, nick: &str, occupant: &Occupant, site: &Site) -> Option<User> {
        let entity = site.addresses.sip_of_xmpp(&site.occupant(nick)?).ok()?;
        let entity = entity.to_string();
        let shown = text::for_xml(nick).into_owned();
        let aors = match (self.exposure, &occupant.jid) {
            (Exposure::Open, Some(jid)) => vec![xmpp_uri(jid)],
            (Exposure::Open, None) | (Exposure::Anonymous, _) => Vec::new(),
        };
        Some(User {
            display_text: Some(shown.clone()),
            nickname: Some(shown),
            associated_aors: aors,
            roles: roles(occupant).map(str::to_owned).collect(),
            endpoints: vec![Endpoint {
                entity: entity.clone(),
                status: Some(EndpointStatus::Connected),
                media: vec![Media {
                    id: "1".to_owned(),
                    kind: Some("message".to_owned()),
                    status: None,
                }],
                ..Endpoint::default()
            }],
            ..User::new(entity)
        })
    }

    fn changed_if(&mut self, is_news: bool) -> bool {
        if is_news {
            self.document = None;
        }
        is_news
    }
}

/// T16.
fn roles(occupant: &Occupant) -> impl Iterator<Item = &'static str> {
    let administers = matches!(
        occupant.affiliation,
        Affiliation::Owner | Affiliation::Admin
    );
    let role: &[&str] = match occupant.role {
        Role::Moderator => &["moderator", "participant"],
        Role::Participant => &["participant"],
        Role::Visitor | Role::None => &["observer"],
    };
    let administrator: &[&str] = if administers { &["administrator"] } else { &[] };
    role.iter().chain(administrator).copied()
}
