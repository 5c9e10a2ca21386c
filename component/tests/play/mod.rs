//! Plays transcripts against the cores, in virtual time: who takes part says which core it is for.

mod conversation;
mod msrp_room;
mod muc;
mod script;
mod stanza;

use std::collections::VecDeque;

use script::{Line, Party};

/// Plays a transcript; `Err` says at which line what happened instead.
pub fn play(text: &str) -> Result<(), String> {
    let lines = script::read(text)?;
    let takes_part = |party| {
        lines
            .iter()
            .any(|line| line.from == Some(party) || line.to == Some(party))
    };
    match (takes_part(Party::Focus), takes_part(Party::Room)) {
        (true, _) => act(&mut msrp_room::Stage::new(), &lines),
        (_, true) => act(&mut muc::Stage::new(), &lines),
        _ => act(&mut conversation::Stage::new(), &lines),
    }
}

/// A core with those around it who do what a transcript says.
trait Play {
    fn step(&mut self, line: &Line) -> Result<(), String>;
    /// Everything that happened, for a failure's message.
    fn seen(&self) -> String;
}

fn act(stage: &mut impl Play, lines: &[Line]) -> Result<(), String> {
    for line in lines {
        stage.step(line).map_err(|failure| {
            let seen = stage.seen();
            format!(
                "line {}: `{}`: {failure}\n  so far:\n    {seen}",
                line.number, line.text
            )
        })?;
    }
    Ok(())
}

/// What stox did and no line has asked for yet, in a transcript's words.
#[derive(Default)]
struct Done(VecDeque<(Party, String)>);

impl Done {
    fn note(&mut self, to: Party, what: impl Into<String>) {
        self.0.push_back((to, what.into()));
    }

    /// In place of the last thing that was done there, if that was of the same kind.
    fn note_again(&mut self, to: Party, kind: &str, what: String) {
        let mut before = self.0.iter_mut().filter(|(party, _)| *party == to);
        match before.next_back() {
            Some((_, last)) if last.starts_with(kind) => *last = what,
            _ => self.note(to, what),
        }
    }

    /// The next thing that was done towards `to` is this.
    fn expect(&mut self, to: Party, what: &str) -> Result<(), String> {
        let at = self.0.iter().position(|(party, _)| *party == to);
        match at.and_then(|at| self.0.remove(at)) {
            None => Err("nothing more was sent there".to_owned()),
            Some((_, done)) if done == what => Ok(()),
            Some((_, done)) => Err(format!("it was `{done}`")),
        }
    }

    /// Nothing is left.
    fn is_all(&self) -> Result<(), String> {
        match self.0.front() {
            Some((_, what)) => Err(format!("there is still `{what}`")),
            None => Ok(()),
        }
    }
}
