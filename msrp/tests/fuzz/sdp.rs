//! Bytes as a session description: whatever is offered has an answer that can be read and fits it line by line.

use stox_msrp::sdp::{
    Chatroom, LocalMedia, Origin, SessionDescription, answer, answer_role, offer, offerer_role,
};
use stox_msrp::{MsrpUri, Role};

/// The bytes as a peer offers them (MSRP-06, MSRP-27, NEG-06, NEG-09).
pub fn run(data: &[u8]) {
    let Ok(offered) = SessionDescription::parse(data) else {
        return;
    };
    let lines: Vec<_> = offered.media_lines().collect();
    assert!(lines.len() <= 64);
    for index in 0..=lines.len() {
        let media = offered.msrp_at(index);
        assert!(index < lines.len() || media.is_none());
        assert!(media.is_none_or(|media| !media.path.is_empty()));
        for name in ["path", "file-selector", "setup", "x"] {
            let _ = offered.attribute(index, name);
        }
    }
    let _ = offered.origin();

    let local: MsrpUri = "msrp://[2001:db8::1]:2855/ours;tcp".parse().unwrap();
    let origin = Origin { id: 7, version: 8 };
    let media = LocalMedia {
        accept_types: offered
            .msrp()
            .map_or_else(Vec::new, |(_, media)| printable(&media.accept_types)),
        accept_wrapped_types: vec!["text/plain".to_owned()],
        max_size: Some(1000),
        chatroom: Some(Chatroom::default()),
        cema: true,
        ..LocalMedia::default()
    };
    let Some((index, msrp)) = offered.msrp() else {
        return;
    };
    assert_eq!(offered.msrp_at(index).as_ref(), Some(&msrp));
    assert_ne!(msrp.port, 0);

    let answered = answer(&offered, index, &local, origin, &media);
    let answered = SessionDescription::parse(&answered).expect("our answer can be read");
    let answers: Vec<_> = answered.media_lines().collect();
    assert_eq!(answers.len(), lines.len());
    for (at, (line, answer)) in lines.iter().zip(&answers).enumerate() {
        if at != index {
            assert_eq!(answer.port, 0, "declined");
            assert_eq!((answer.kind, answer.proto), (line.kind, line.proto));
        }
    }
    let (at, ours) = answered.msrp().expect("our answer takes the session");
    assert_eq!((at, ours.path), (index, vec![local.clone()]));
    assert_eq!(ours.accept_types, media.accept_types);
    let roles = (answer_role(msrp.setup), offerer_role(ours.setup));
    assert!(matches!(
        roles,
        (Role::Active, Role::Passive) | (Role::Passive, Role::Active)
    ));

    let offer = SessionDescription::parse(&offer(&local, origin, &media));
    let (_, ours) = offer
        .ok()
        .and_then(|offer| offer.msrp())
        .expect("our offer can be read");
    assert_eq!(ours.accept_types, media.accept_types);
}

/// The words without control characters, as they are written (SEC-09).
fn printable(words: &[String]) -> Vec<String> {
    let words = words.iter().map(|word| word.replace(char::is_control, ""));
    words.filter(|word| !word.is_empty()).collect()
}
