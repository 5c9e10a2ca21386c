//! Plays every file of `tests/transcripts` against the translator cores, in virtual time. The files' own README tells
//! how they are written; the acceptance tests play the same ones between real servers.

mod play;

use std::fs;
use std::path::Path;

#[test]
fn every_transcript_plays() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/transcripts");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of transcripts")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no transcripts in {}", folder.display());

    let failures: Vec<String> = files
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).expect("a readable transcript");
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            play::play(&text)
                .err()
                .map(|failure| format!("{name}: {failure}"))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

#[test]
fn a_wrong_transcript_fails() {
    let wrong =
        "# CHAT-01\njuliet → stox  message: one\nstox → romeo  MESSAGE: one\nnothing else\n";
    let failure = play::play(wrong).expect_err("the gateway sends INVITE, not MESSAGE");
    assert!(failure.contains("line 3"), "{failure}");

    let short = "# CHAT-01\njuliet → stox  message: one\nnothing else\n";
    assert!(play::play(short).is_err(), "an INVITE is left");
}
