//! Transcripts as text: one step a line.

/// Who does something, or to whom it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    Juliet,
    Stox,
    Romeo,
    /// The conference focus of an MSRP room, with its switch.
    Focus,
    /// The MUC.
    Room,
}

/// One step.
#[derive(Debug)]
pub struct Line {
    pub number: usize,
    pub text: String,
    pub from: Option<Party>,
    pub to: Option<Party>,
    pub what: String,
}

/// The steps of a transcript. `Err`: it is none.
pub fn read(text: &str) -> Result<Vec<Line>, String> {
    if !text.starts_with("# ") {
        return Err("the head with its requirement IDs is missing".to_owned());
    }
    if !text.trim_end().ends_with("nothing else") {
        return Err("a transcript ends with `nothing else`".to_owned());
    }
    let lines = text.lines().enumerate();
    let steps = lines.filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
    steps.map(|(at, line)| step(at + 1, line)).collect()
}

fn step(number: usize, line: &str) -> Result<Line, String> {
    let Some((left, right)) = line.split_once('→') else {
        let what = line.trim().to_owned();
        return Ok(Line {
            number,
            text: what.clone(),
            from: None,
            to: None,
            what,
        });
    };
    // The label, if there is one, comes before the name.
    let from = left.split_whitespace().last().unwrap_or_default();
    let (to, what) = right
        .trim_start()
        .split_once(char::is_whitespace)
        .unwrap_or((right.trim(), ""));
    Ok(Line {
        number,
        text: line.trim().to_owned(),
        from: Some(party(number, from)?),
        to: Some(party(number, to)?),
        what: without_remark(what.trim()).to_owned(),
    })
}

/// Words in brackets at the end and `, promise kept` are for the reader. What somebody says is taken as it stands.
fn without_remark(what: &str) -> &str {
    if what.contains(": ") {
        return what;
    }
    let what = match what.rsplit_once(" (") {
        Some((before, after)) if after.ends_with(')') => before.trim_end(),
        _ => what,
    };
    what.strip_suffix(", promise kept").unwrap_or(what)
}

fn party(number: usize, name: &str) -> Result<Party, String> {
    match name {
        "juliet" => Ok(Party::Juliet),
        "stox" => Ok(Party::Stox),
        "romeo" => Ok(Party::Romeo),
        "focus" => Ok(Party::Focus),
        "room" => Ok(Party::Room),
        other => Err(format!("line {number}: nobody is called `{other}`")),
    }
}
