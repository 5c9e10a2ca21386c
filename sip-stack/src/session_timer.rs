//! Session timers: how both sides agree on a time after which a session without a refresh is over. RFC 4028.

use std::time::{Duration, Instant};

use crate::{Headers, Name, Refresher, SessionExpires};

/// The option tag.
pub(crate) const OPTION: &str = "timer";
/// The interval we ask for, in seconds (CHAT-30).
const INTERVAL: u32 = 1800;
/// Shorter intervals there must not be, in seconds. RFC 4028 §4.
const LEAST: u32 = 90;
/// Longer ones are not agreed to because a peer finds others too small, in seconds.
const MOST: u32 = 24 * 3600;
/// How long before the end the BYE is sent, at most. RFC 4028 §10.
const MARGIN: Duration = Duration::from_secs(32);
/// The shortest pause between two refreshes.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);

/// The timer of one session, and what is known for the next agreement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    running: Option<Running>,
    /// The largest Min-SE the other side has named, in seconds.
    min_se: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Running {
    /// Seconds.
    interval: u32,
    role: Role,
    /// When the session is over.
    end: Instant,
}

/// What we do until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The next refresh is sent at this time.
    Refreshes(Instant),
    /// A refresh is under way.
    Refreshing,
    /// The peer refreshes.
    Watches,
}

/// What a request that begins or refreshes a session asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    expires: Option<SessionExpires>,
    min_se: Option<u32>,
    knows: Knows,
}

/// Whether the peer knows of session timers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Knows {
    #[default]
    No,
    Yes,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// The session is refreshed: UPDATE or re-INVITE.
    Refresh,
    /// Nobody has refreshed it: BYE.
    Expired,
}

impl Ask {
    pub(crate) fn of(request: &Headers) -> Self {
        let knows = [Name::Supported, Name::Require]
            .iter()
            .any(|name| request.contains(name, OPTION));
        Self {
            expires: request.session_expires().ok(),
            min_se: request.min_se().ok(),
            knows: if knows { Knows::Yes } else { Knows::No },
        }
    }

    /// The Min-SE to refuse it with: what it asks for is too brief. RFC 4028 §9.
    pub(crate) fn too_brief(&self) -> Option<u32> {
        let is_brief = self.expires.is_some_and(|asked| asked.interval < LEAST);
        (is_brief && self.knows == Knows::Yes).then_some(LEAST)
    }
}

impl SessionTimer {
    /// The fields of a request of ours that begins or refreshes the session. RFC 4028 §7.1, §7.4.
    pub(crate) fn ask(&self) -> Vec<(Name, String)> {
        let interval = self.running.map_or(INTERVAL, |running| running.interval);
        let expires = SessionExpires {
            interval: interval.max(self.min_se.unwrap_or(0)),
            refresher: self.running.map(|running| match running.role {
                Role::Refreshes(_) | Role::Refreshing => Refresher::Uac,
                Role::Watches => Refresher::Uas,
            }),
        };
        let mut fields = vec![(Name::SessionExpires, expires.to_string())];
        if let Some(min_se) = self.min_se {
            fields.push((Name::MinSe, min_se.to_string()));
        }
        fields
    }

    /// Agrees to what a request of the peer asks for: the fields of the 2xx. RFC 4028 §9.
    pub(crate) fn answer(&mut self, ask: &Ask, now: Instant) -> Vec<(Name, String)> {
        self.min_se = self.min_se.max(ask.min_se.map(|least| least.min(MOST)));
        let least = ask.min_se.unwrap_or(0).max(LEAST);
        let interval = match (ask.expires, ask.knows) {
            (Some(asked), _) => asked.interval.min(INTERVAL.max(least)).max(LEAST),
            (None, Knows::Yes) => INTERVAL.max(least),
            (None, Knows::No) => {
                self.running = None;
                return Vec::new();
            }
        };
        let refresher = match (ask.knows, ask.expires.and_then(|asked| asked.refresher)) {
            (Knows::No, _) | (Knows::Yes, Some(Refresher::Uas)) => Refresher::Uas,
            (Knows::Yes, Some(Refresher::Uac) | None) => Refresher::Uac,
        };
        let role = match refresher {
            Refresher::Uas => Role::Refreshes(half(interval, now)),
            Refresher::Uac => Role::Watches,
        };
        self.run(interval, role, now);
        let expires = SessionExpires {
            interval,
            refresher: Some(refresher),
        };
        let mut fields = vec![(Name::SessionExpires, expires.to_string())];
        if ask.knows == Knows::Yes {
            fields.push((Name::Require, OPTION.to_owned()));
        }
        fields
    }

    /// Takes what the 2xx to a request of ours says. RFC 4028 §7.2.
    pub(crate) fn handle_accepted(&mut self, response: &Headers, now: Instant) {
        let Ok(agreed) = response.session_expires() else {
            self.running = None;
            return;
        };
        let interval = agreed.interval.max(LEAST);
        let role = match agreed.refresher {
            Some(Refresher::Uac) | None => Role::Refreshes(half(interval, now)),
            Some(Refresher::Uas) => Role::Watches,
        };
        self.run(interval, role, now);
    }

    fn run(&mut self, interval: u32, role: Role, now: Instant) {
        self.running = Some(Running {
            interval,
            role,
            end: now + Duration::from_secs(interval.into()),
        });
    }

    /// A request of ours got 422: whether it may be sent again with what `ask` says now. RFC 4028 §7.3.
    pub(crate) fn handle_too_brief(&mut self, response: &Headers) -> bool {
        let Ok(least) = response.min_se() else {
            return false;
        };
        let asked = self.running.map_or(INTERVAL, |running| running.interval);
        let known = self.min_se.unwrap_or(asked);
        // Each time at least half as much again, so that there are few times.
        let goes_on = least > asked.max(known)
            && (self.min_se.is_none() || least >= known.saturating_add(known / 2));
        if !goes_on || least > MOST {
            return false;
        }
        self.min_se = Some(least);
        true
    }

    /// A refresh of ours could not be sent or was refused: once more later, if there is time.
    pub(crate) fn handle_refresh_failed(&mut self, now: Instant) {
        if let Some(running) = &mut self.running
            && running.role == Role::Refreshing
        {
            let half = running
                .end
                .saturating_duration_since(now)
                .checked_div(2)
                .unwrap_or_default();
            running.role = Role::Refreshes(now + half.max(SHORTEST_PAUSE));
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let running = self.running?;
        let bye_at = running.bye_at();
        Some(match running.role {
            Role::Refreshes(at) => at.min(bye_at),
            Role::Refreshing | Role::Watches => bye_at,
        })
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        let running = self.running.as_mut()?;
        if running.bye_at() <= now {
            self.running = None;
            return Some(Due::Expired);
        }
        match running.role {
            Role::Refreshes(at) if at <= now => {
                running.role = Role::Refreshing;
                Some(Due::Refresh)
            }
            Role::Refreshes(_) | Role::Refreshing | Role::Watches => None,
        }
    }
}

impl Running {
    /// A little before the end, so that both sides do not end it at the same time. RFC 4028 §10.
    fn bye_at(&self) -> Instant {
        let third = Duration::from_secs(u64::from(self.interval / 3));
        let margin = MARGIN.min(third);
        self.end.checked_sub(margin).unwrap_or(self.end)
    }
}

fn half(interval: u32, now: Instant) -> Instant {
    now + Duration::from_secs(u64::from(interval / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(Name, &str)]) -> Headers {
        let fields = fields.iter();
        fields.map(|(name, value)| (name.clone(), *value)).collect()
    }

    fn texts(fields: Vec<(Name, String)>) -> Vec<String> {
        let text = |(name, value)| format!("{name}: {value}");
        fields.into_iter().map(text).collect()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// CHAT-30. Table 2 of RFC 4028 §9, and intervals that are shortened, never lengthened.
    #[test]
    fn answers() {
        let timer = (Name::Supported, "timer");
        for (fields, expected) in [
            (vec![], vec![]),
            (vec![timer.clone()], vec!["1800;refresher=uac"]),
            (
                vec![timer.clone(), (Name::MinSe, "2000")],
                vec!["2000;refresher=uac"],
            ),
            (
                vec![timer.clone(), (Name::SessionExpires, "600")],
                vec!["600;refresher=uac"],
            ),
            (
                vec![timer.clone(), (Name::SessionExpires, "600;refresher=uas")],
                vec!["600;refresher=uas"],
            ),
            (
                vec![timer.clone(), (Name::SessionExpires, "9000;refresher=uac")],
                vec!["1800;refresher=uac"],
            ),
            (
                vec![timer, (Name::SessionExpires, "9000"), (Name::MinSe, "4000")],
                vec!["4000;refresher=uac"],
            ),
            (
                vec![(Name::SessionExpires, "600")],
                vec!["600;refresher=uas"],
            ),
        ] {
            let ask = Ask::of(&headers(&fields));
            assert_eq!(ask.too_brief(), None);
            let fields_of_answer = SessionTimer::default().answer(&ask, Instant::now());
            let expires: Vec<_> = fields_of_answer
                .iter()
                .filter(|(name, _)| *name == Name::SessionExpires)
                .map(|(_, value)| value.as_str())
                .collect();
            assert_eq!(expires, expected, "{fields:?}");
            let is_required = fields_of_answer.contains(&(Name::Require, OPTION.to_owned()));
            let knows = ask.knows == Knows::Yes;
            assert_eq!(is_required, knows, "{fields:?}");
        }
    }

    /// CHAT-30. Below the least: 422, if the peer knows what that means.
    #[test]
    fn too_brief() {
        let brief = (Name::SessionExpires, "89");
        let ask = Ask::of(&headers(&[brief.clone(), (Name::Supported, "timer")]));
        assert_eq!(ask.too_brief(), Some(90));
        let mut timer = SessionTimer::default();
        let unknowing = Ask::of(&headers(&[brief]));
        assert_eq!(unknowing.too_brief(), None);
        let fields = timer.answer(&unknowing, Instant::now());
        assert_eq!(texts(fields), ["Session-Expires: 90;refresher=uas"]);
    }

    /// CHAT-30. We refresh at half the time, with the same roles; without an answer the session ends before its end.
    #[test]
    fn we_refresh() {
        let (mut timer, start) = (SessionTimer::default(), Instant::now());
        assert_eq!(texts(timer.ask()), ["Session-Expires: 1800"]);
        let agreed = headers(&[(Name::SessionExpires, "600;refresher=uac")]);
        timer.handle_accepted(&agreed, start);
        assert_eq!(timer.poll_timeout(), Some(start + seconds(300)));
        assert_eq!(timer.handle_timeout(start + seconds(299)), None);
        let at = start + seconds(300);
        assert_eq!(timer.handle_timeout(at), Some(Due::Refresh));
        assert_eq!(texts(timer.ask()), ["Session-Expires: 600;refresher=uac"]);
        timer.handle_refresh_failed(at);
        assert_eq!(timer.poll_timeout(), Some(at + seconds(150)));
        assert_eq!(timer.handle_timeout(at + seconds(150)), Some(Due::Refresh));
        assert_eq!(timer.poll_timeout(), Some(start + seconds(568)));
        assert_eq!(
            timer.handle_timeout(start + seconds(568)),
            Some(Due::Expired)
        );
        assert_eq!(timer.poll_timeout(), None);
    }

    /// CHAT-30. The peer refreshes, or the session is over; a third of a short interval before its end.
    #[test]
    fn the_peer_refreshes() {
        let (mut timer, start) = (SessionTimer::default(), Instant::now());
        let agreed = headers(&[(Name::SessionExpires, "90;refresher=uas")]);
        timer.handle_accepted(&agreed, start);
        assert_eq!(timer.poll_timeout(), Some(start + seconds(60)));
        assert_eq!(texts(timer.ask()), ["Session-Expires: 90;refresher=uas"]);
        let ask = Ask::of(&headers(&[
            (Name::Supported, "timer"),
            (Name::SessionExpires, "90;refresher=uac"),
        ]));
        timer.answer(&ask, start + seconds(45));
        assert_eq!(timer.poll_timeout(), Some(start + seconds(105)));
        assert_eq!(
            timer.handle_timeout(start + seconds(105)),
            Some(Due::Expired)
        );
        timer.handle_accepted(&agreed, start);
        timer.handle_accepted(&Headers::new(), start);
        assert_eq!(timer.poll_timeout(), None, "switched off");
    }

    /// CHAT-30. 422: asked again with Min-SE, few times.
    #[test]
    fn asked_again_with_more() {
        let mut timer = SessionTimer::default();
        assert!(!timer.handle_too_brief(&Headers::new()));
        assert!(!timer.handle_too_brief(&headers(&[(Name::MinSe, "1800")])));
        assert!(timer.handle_too_brief(&headers(&[(Name::MinSe, "3600")])));
        assert_eq!(
            texts(timer.ask()),
            ["Session-Expires: 3600", "Min-SE: 3600"]
        );
        assert!(!timer.handle_too_brief(&headers(&[(Name::MinSe, "3601")])));
        assert!(timer.handle_too_brief(&headers(&[(Name::MinSe, "5400")])));
        assert!(!timer.handle_too_brief(&headers(&[(Name::MinSe, "99999999")])));
    }
}
