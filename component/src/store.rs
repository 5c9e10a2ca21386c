//! What outlives the process: messages taken from the XMPP server and not handed on yet, how SIP users spell themselves
//! (CORE-06), and which Call-IDs dialogs have had (CHAT-03).
//!
//! A message is noted when it is read ([`Store::keep`]) and forgotten when it has been handed on, or when the error that
//! gives it back has provably reached the server ([`Store::release`]). Most are by then still in the journal and never
//! see a disk: only what takes longer than a few milliseconds goes into the file, many messages to a commit. What is
//! in the file when a process starts was left behind by one that ended without a goodbye.
//!
//! `journal` decides what is written when; `file` is the database and the thread that owns it.

mod file;
mod journal;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
pub use file::StoreError;
use journal::{Batch, Journal};
use tracing::warn;

/// Names a message while it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(u64);

/// A message that an earlier process left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftBehind {
    /// Its name, which it keeps until it is released.
    pub entry: EntryId,
    /// When it was read.
    pub received: SystemTime,
    /// Processes that have tried it and ended without a goodbye.
    pub tries: u32,
    /// The stanza, as it came.
    pub stanza: Bytes,
}

/// What an earlier process left behind.
#[derive(Debug, Default)]
pub struct Kept {
    /// In the order in which they were read.
    pub messages: Vec<LeftBehind>,
    /// SIP URIs by the one spelling that all others lead to.
    pub spellings: Vec<(String, String)>,
    /// Hashes of Call-IDs that dialogs have had, the oldest first.
    pub call_ids: Vec<u64>,
}

/// A handle to the store. Clones are the same store; the default one keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Store(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    /// There is something for a writer that is asleep.
    wake: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Desk {
    journal: Journal,
    writer: Writer,
}

/// Waking a thread for each message would cost more than all the rest: while messages come it looks by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Awake,
    Asleep,
}

/// A writer without anything to write stays awake for so long.
const VIGIL: Duration = Duration::from_secs(1);

impl Store {
    /// Opens the file, or makes one, and starts the thread that writes it.
    ///
    /// # Errors
    /// The file cannot be used; nothing is kept then.
    pub fn open(file: &Path) -> Result<(Store, Kept), StoreError> {
        let (mut file, kept) = file::File::open(file)?;
        let next = kept.messages.last().map_or(0, |last| last.entry.0 + 1);
        let shared = Arc::new(Shared {
            desk: Mutex::new(Desk {
                journal: Journal::beginning_at(next),
                writer: Writer::Awake,
            }),
            wake: Condvar::new(),
            thread: Mutex::default(),
        });
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.write(&mut file)
            })?;
        *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        Ok((Store(Some(shared)), kept))
    }

    /// Keeps a stanza until it is released. `None`: there is no store.
    pub fn keep(&self, stanza: &Bytes) -> Option<EntryId> {
        let shared = self.0.as_ref()?;
        let (now, time) = (Instant::now(), SystemTime::now());
        Some(shared.with_journal(|journal| journal.keep(stanza.clone(), now, time)))
    }

    /// The message has found its end.
    pub fn release(&self, entry: EntryId) {
        if let Some(shared) = &self.0 {
            shared.with_journal(|journal| journal.release(entry));
        }
    }

    /// Remembers how the SIP user of that address spells it.
    pub fn note_spelling(&self, address: &Arc<str>, uri: String) {
        if let Some(shared) = &self.0 {
            shared.with_journal(|journal| journal.note_spelling(address.clone(), uri));
        }
    }

    /// Remembers the hash of a Call-ID that a dialog has. One that is killed within a second forgets it.
    pub fn note_call_id(&self, hash: u64) {
        if let Some(shared) = &self.0 {
            shared.with_journal(|journal| journal.note_call_id(hash, Instant::now()));
        }
    }

    /// Writes what is left and closes the file. Blocks for as long as the disk takes.
    pub fn close(&self) {
        let Some(shared) = &self.0 else { return };
        shared.with_journal(Journal::close);
        let writer = shared
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            warn!(
                "the store's thread has failed: what it kept may be told again after the next start"
            );
        }
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_journal<T>(&self, change: impl FnOnce(&mut Journal) -> T) -> T {
        let mut desk = self.desk();
        let result = change(&mut desk.journal);
        let is_asleep = std::mem::replace(&mut desk.writer, Writer::Awake) == Writer::Asleep;
        drop(desk);
        if is_asleep {
            self.wake.notify_one();
        }
        result
    }

    /// The writer's thread.
    fn write(&self, file: &mut file::File) {
        while let Some(batch) = self.next_batch() {
            if let Err(wrong) = file.commit(&batch) {
                warn!(
                    error = %wrong, messages = batch.kept.len(),
                    "the store cannot be written: these messages would not survive a crash"
                );
            }
        }
    }

    /// Waits for the next batch; `None`: the store is closed and everything written.
    fn next_batch(&self) -> Option<Batch> {
        let mut idle_since = Instant::now();
        let mut desk = self.desk();
        loop {
            let now = Instant::now();
            match desk.journal.poll_timeout(now) {
                Some(due) if due <= now => return Some(desk.journal.take(now)),
                None if desk.journal.is_closed() => return None,
                None if now.duration_since(idle_since) > VIGIL => {
                    desk.writer = Writer::Asleep;
                    while desk.writer == Writer::Asleep {
                        desk = self.wake.wait(desk).unwrap_or_else(PoisonError::into_inner);
                    }
                    idle_since = Instant::now();
                }
                waiting => {
                    if waiting.is_some() {
                        idle_since = now;
                    }
                    drop(desk);
                    std::thread::sleep(waiting.map_or(journal::SETTLING, |due| due - now));
                    desk = self.desk();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_ids::CallIds;

    fn stanza(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn folder() -> std::path::PathBuf {
        let folder =
            std::env::temp_dir().join(format!("stox-store-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn what_was_not_released_is_there_again() {
        // CHAT-38: what was accepted is not lost with the process.
        let folder = folder();
        let file = folder.join("sip.example.com.redb");
        {
            let (store, kept) = Store::open(&file).unwrap();
            assert!(kept.messages.is_empty());
            let one = store.keep(&stanza("<one/>")).unwrap();
            store.keep(&stanza("<two/>")).unwrap();
            store.release(one);
            store.close();
        }
        let (store, kept) = Store::open(&file).unwrap();
        let left: Vec<_> = kept
            .messages
            .iter()
            .map(|left| (left.stanza.clone(), left.tries))
            .collect();
        assert_eq!(left, [(stanza("<two/>"), 1)]);
        let next = store.keep(&stanza("<three/>")).unwrap();
        assert!(next > kept.messages[0].entry);
        store.release(kept.messages[0].entry);
        store.release(next);
        store.close();

        let (store, kept) = Store::open(&file).unwrap();
        assert!(kept.messages.is_empty());
        store.close();
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_batch_is_released_bit_by_bit() {
        // CHAT-38: what was handed on is not told again, although others of its batch were not.
        let folder = folder();
        let file = folder.join("sip.example.com.redb");
        let names = |kept: &Kept| -> Vec<Bytes> {
            let messages = kept.messages.iter();
            messages.map(|left| left.stanza.clone()).collect()
        };
        let texts: Vec<String> = (0..10).map(|number| format!("<m n='{number}'/>")).collect();
        let (store, _) = Store::open(&file).unwrap();
        let entries: Vec<_> = texts
            .iter()
            .filter_map(|text| store.keep(&stanza(text)))
            .collect();
        store.close();

        let (store, kept) = Store::open(&file).unwrap();
        assert_eq!(
            names(&kept),
            texts.iter().map(|text| stanza(text)).collect::<Vec<_>>()
        );
        for entry in [entries[3], entries[0], entries[3]] {
            store.release(entry);
        }
        store.close();

        let (store, kept) = Store::open(&file).unwrap();
        assert_eq!(kept.messages.len(), 8);
        assert!(kept.messages.iter().all(|left| left.tries == 2));
        kept.messages
            .iter()
            .for_each(|left| store.release(left.entry));
        store.close();

        let (store, kept) = Store::open(&file).unwrap();
        assert!(kept.messages.is_empty());
        store.close();
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn spellings_outlive_the_process() {
        // CORE-06
        let folder = folder();
        let file = folder.join("sip.example.com.redb");
        let (store, _) = Store::open(&file).unwrap();
        store.note_spelling(
            &"romeo@example.net".into(),
            "sip:romEo@example.net".to_owned(),
        );
        store.note_spelling(
            &"romeo@example.net".into(),
            "sip:Romeo@example.net".to_owned(),
        );
        store.close();

        let (store, kept) = Store::open(&file).unwrap();
        assert_eq!(
            kept.spellings,
            [(
                "romeo@example.net".to_owned(),
                "sip:Romeo@example.net".to_owned()
            )]
        );
        store.close();
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn call_ids_outlive_the_process() {
        // CHAT-03 SEC-14: as many as are remembered, and those that came last.
        const MANY: u64 = CallIds::REMEMBERED as u64;
        let folder = folder();
        let file = folder.join("sip.example.com.redb");
        for part in 0..3 {
            let (store, kept) = Store::open(&file).unwrap();
            assert_eq!(kept.call_ids.len() as u64, part * MANY / 2);
            for hash in part * MANY / 2..(part + 1) * MANY / 2 {
                store.note_call_id(hash);
            }
            store.close();
        }
        let (store, kept) = Store::open(&file).unwrap();
        store.close();
        assert_eq!(kept.call_ids, (MANY / 2..MANY / 2 * 3).collect::<Vec<_>>());
        let mut call_ids = CallIds::remembering(&kept.call_ids);
        assert_eq!(call_ids.claim("a"), Some(CallIds::hash("a")));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_has_one_owner() {
        let folder = folder();
        let file = folder.join("sip.example.com.redb");
        let (store, _) = Store::open(&file).unwrap();
        assert!(matches!(Store::open(&file), Err(StoreError::InUse)));
        store.close();
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn without_a_file_nothing_is_kept() {
        let store = Store::default();
        assert_eq!(store.keep(&stanza("<one/>")), None);
        store.close();
    }
}
