//! Documents as bytes, valid against the schema of RFC 4575 §6.

use super::info::{ConferenceInfo, ConferenceState, Description, ElementState, Endpoint, User};
use super::{NAMESPACE, XCON_NAMESPACE};

/// Bytes of a document without users, about.
const TYPICAL_FRAME: usize = 512;
/// Bytes of a user with one endpoint, about.
const TYPICAL_USER: usize = 384;

impl ConferenceInfo {
    /// The document as XML 1.0 in UTF-8. What no XML can carry becomes U+FFFD. A full document has a description and users
    /// even if there are none (RFC 4575 §5.2); of what is deleted nothing is told but that.
    pub fn to_xml(&self) -> Vec<u8> {
        let users = self.users.len().saturating_mul(TYPICAL_USER);
        let mut xml = Writer {
            out: String::with_capacity(TYPICAL_FRAME.saturating_add(users)),
        };
        xml.out
            .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        xml.conference_info(self);
        xml.out.into_bytes()
    }
}

struct Writer {
    out: String,
}

impl Writer {
    fn conference_info(&mut self, info: &ConferenceInfo) {
        self.open("conference-info");
        self.attribute("xmlns", NAMESPACE);
        if tells_nickname(info) {
            self.attribute("xmlns:xcon", XCON_NAMESPACE);
        }
        self.attribute("entity", &info.entity);
        self.attribute("state", info.state.as_str());
        if let Some(version) = info.version {
            self.attribute("version", &version.to_string());
        }
        if info.state == ElementState::Deleted {
            return self.out.push_str("/>");
        }
        self.out.push('>');
        match &info.description {
            Some(description) => self.description(description),
            None if info.state == ElementState::Full => self.description(&Description::default()),
            None => {}
        }
        if let Some(state) = &info.conference_state {
            self.conference_state(state);
        }
        self.users(info);
        self.close("conference-info");
    }

    fn description(&mut self, description: &Description) {
        self.out.push_str("<conference-description>");
        self.element("display-text", description.display_text.as_deref());
        self.element("subject", description.subject.as_deref());
        self.element("free-text", description.free_text.as_deref());
        self.close("conference-description");
    }

    fn conference_state(&mut self, state: &ConferenceState) {
        let boolean = |value: Option<bool>| value.map(|value| if value { "true" } else { "false" });
        let user_count = state.user_count.map(|count| count.to_string());
        self.out.push_str("<conference-state>");
        self.element("user-count", user_count.as_deref());
        self.element("active", boolean(state.active));
        self.element("locked", boolean(state.locked));
        self.close("conference-state");
    }

    fn users(&mut self, info: &ConferenceInfo) {
        match (info.state, info.users_state) {
            (ElementState::Partial, ElementState::Partial) if info.users.is_empty() => {}
            (_, ElementState::Deleted) => self.out.push_str("<users state=\"deleted\"/>"),
            (_, ElementState::Full) if info.users.is_empty() => {
                self.out.push_str("<users state=\"full\"/>");
            }
            (_, state) => {
                self.open("users");
                self.attribute("state", state.as_str());
                self.out.push('>');
                for user in &info.users {
                    self.user(user);
                }
                self.close("users");
            }
        }
    }

    fn user(&mut self, user: &User) {
        self.open("user");
        self.attribute("entity", &user.entity);
        self.attribute("state", user.state.as_str());
        if user.state == ElementState::Deleted {
            return self.out.push_str("/>");
        }
        if let Some(nickname) = &user.nickname {
            self.attribute("xcon:nickname", nickname);
        }
        self.out.push('>');
        self.element("display-text", user.display_text.as_deref());
        if !user.associated_aors.is_empty() {
            self.out.push_str("<associated-aors>");
            for uri in &user.associated_aors {
                self.out.push_str("<entry>");
                self.element("uri", Some(uri));
                self.close("entry");
            }
            self.close("associated-aors");
        }
        if !user.roles.is_empty() {
            self.out.push_str("<roles>");
            for role in &user.roles {
                self.element("entry", Some(role));
            }
            self.close("roles");
        }
        for endpoint in &user.endpoints {
            self.endpoint(endpoint);
        }
        self.close("user");
    }

    fn endpoint(&mut self, endpoint: &Endpoint) {
        self.open("endpoint");
        self.attribute("entity", &endpoint.entity);
        self.attribute("state", endpoint.state.as_str());
        if endpoint.state == ElementState::Deleted {
            return self.out.push_str("/>");
        }
        self.out.push('>');
        let method = endpoint.disconnection_method.map(|method| method.as_str());
        self.element("display-text", endpoint.display_text.as_deref());
        self.element("status", endpoint.status.map(|status| status.as_str()));
        self.element("disconnection-method", method);
        for media in &endpoint.media {
            self.open("media");
            self.attribute("id", &media.id);
            self.out.push('>');
            self.element("type", media.kind.as_deref());
            self.element("status", media.status.map(|status| status.as_str()));
            self.close("media");
        }
        self.close("endpoint");
    }

    /// An element that holds text, if there is any to hold.
    fn element(&mut self, name: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        self.open(name);
        self.out.push('>');
        self.escaped(text);
        self.close(name);
    }

    fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        self.escaped(value);
        self.out.push('"');
    }

    /// Text for both places: line ends and tabs as references, or a reader would turn them into others. XML 1.0 §2.2, §2.11,
    /// §3.3.3.
    fn escaped(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(needs_escape) {
            let (before, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
            self.out.push_str(before);
            let mut characters = after.chars();
            self.out.push_str(match characters.next() {
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('&') => "&amp;",
                Some('"') => "&quot;",
                Some('\t') => "&#9;",
                Some('\n') => "&#10;",
                Some('\r') => "&#13;",
                _ => "\u{fffd}",
            });
            rest = characters.as_str();
        }
        self.out.push_str(rest);
    }
}

fn tells_nickname(info: &ConferenceInfo) -> bool {
    let is_told = |state| state != ElementState::Deleted;
    let mut users = info.users.iter();
    is_told(info.state)
        && is_told(info.users_state)
        && users.any(|user| is_told(user.state) && user.nickname.is_some())
}

fn needs_escape(c: char) -> bool {
    matches!(
        c,
        '\u{0}'..='\u{1f}' | '<' | '>' | '&' | '"' | '\u{fffe}' | '\u{ffff}'
    )
}
