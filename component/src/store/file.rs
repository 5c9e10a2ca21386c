//! Shell: the database file.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::journal::Batch;
use super::{EntryId, Kept, LeftBehind};
use crate::call_ids::CallIds;

/// What one commit wrote, by its first entry: entry, when it was read (milliseconds since 1970), stanza. One row for many
/// messages: a row each would cost more than handing them on.
const BATCHES: TableDefinition<u64, Vec<Message>> = TableDefinition::new("batches");

/// The entries of a batch that were released since, until all are and the batch goes.
const RELEASED: TableDefinition<u64, Vec<u64>> = TableDefinition::new("released");

/// How many processes have tried a batch, by its first entry.
const TRIES: TableDefinition<u64, u32> = TableDefinition::new("tries");

type Message = (u64, u64, &'static [u8]);

/// SIP URI by address.
const SPELLINGS: TableDefinition<&str, &str> = TableDefinition::new("spellings");

/// As many spellings are kept: strangers choose them.
const MAX_SPELLINGS: u64 = 65_536;

/// Call-IDs that dialogs had, as hashes; one row for all of a commit, counted up.
const CALL_IDS: TableDefinition<u64, Vec<u64>> = TableDefinition::new("call_ids");

/// Bytes of the file's pages that are held in memory.
const CACHE: usize = 4 * 1024 * 1024;

/// Why nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("another process, perhaps another stox with this domain, uses it")]
    InUse,
    /// The folder or the file.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no store, or a broken one.
    #[error("{0}")]
    Unusable(Box<redb::Error>),
}

/// The open file.
#[derive(Debug)]
pub(super) struct File {
    database: Database,
    path: PathBuf,
    /// What is in it, by the first entry.
    batch_by_first: BTreeMap<u64, Remains>,
    /// Its rows of Call-IDs, oldest first, and how many each has.
    call_ids: VecDeque<(u64, usize)>,
}

/// What is left of a batch.
#[derive(Debug, Default)]
struct Remains {
    kept: HashSet<u64>,
    released: Vec<u64>,
}

impl File {
    /// Opens the file, or makes one; reads what was left behind, and counts this process among those that try it.
    pub fn open(path: &Path) -> Result<(File, Kept), StoreError> {
        let database = Database::builder().set_cache_size(CACHE).create(path);
        let database = database.map_err(|wrong| match wrong {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
            wrong => unusable(wrong),
        })?;
        let mut file = File {
            database,
            path: path.to_owned(),
            batch_by_first: BTreeMap::new(),
            call_ids: VecDeque::new(),
        };
        let kept = file.take_stock().map_err(unusable)?;
        Ok((file, kept))
    }

    fn take_stock(&mut self) -> Result<Kept, redb::Error> {
        let mut kept = Kept::default();
        let transaction = self.database.begin_write()?;
        {
            let batches = transaction.open_table(BATCHES)?;
            let released = transaction.open_table(RELEASED)?;
            let mut tries = transaction.open_table(TRIES)?;
            for batch in batches.iter()? {
                let (first, messages) = batch?;
                let first = first.value();
                let released = released.get(first)?.map(|released| released.value());
                let released = released.unwrap_or_default();
                let try_number = tries.get(first)?.map_or(0, |tries| tries.value()) + 1;
                tries.insert(first, try_number)?;
                let mut remains = Remains::default();
                for (entry, received, stanza) in messages.value() {
                    if released.contains(&entry) {
                        continue;
                    }
                    remains.kept.insert(entry);
                    kept.messages.push(LeftBehind {
                        entry: EntryId(entry),
                        received: UNIX_EPOCH + Duration::from_millis(received),
                        tries: try_number,
                        stanza: Bytes::copy_from_slice(stanza),
                    });
                }
                remains.released = released;
                self.batch_by_first.insert(first, remains);
            }
            for entry in transaction.open_table(SPELLINGS)?.iter()? {
                let (address, uri) = entry?;
                let spelling = (address.value().to_owned(), uri.value().to_owned());
                kept.spellings.push(spelling);
            }
            for row in transaction.open_table(CALL_IDS)?.iter()? {
                let (number, hashes) = row?;
                let hashes = hashes.value();
                self.call_ids.push_back((number.value(), hashes.len()));
                kept.call_ids.extend(hashes);
            }
        }
        transaction.commit()?;
        Ok(kept)
    }

    /// Writes one batch; on return it is on the disk.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch).map_err(unusable)
    }

    fn write(&mut self, batch: &Batch) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut batches = transaction.open_table(BATCHES)?;
            if let Some((first, ..)) = batch.kept.first() {
                let kept = batch.kept.iter();
                let row: Vec<_> = kept
                    .map(|(entry, received, stanza)| (entry.0, millis(*received), &stanza[..]))
                    .collect();
                batches.insert(first.0, row)?;
                let kept = batch.kept.iter().map(|(entry, ..)| entry.0).collect();
                let remains = Remains {
                    kept,
                    released: Vec::new(),
                };
                self.batch_by_first.insert(first.0, remains);
            }
            let mut released = transaction.open_table(RELEASED)?;
            for first in self.release(&batch.released) {
                match self.batch_by_first.get(&first) {
                    Some(remains) if !remains.kept.is_empty() => {
                        released.insert(first, &remains.released)?;
                    }
                    Some(_) | None => {
                        self.batch_by_first.remove(&first);
                        batches.remove(first)?;
                        released.remove(first)?;
                        transaction.open_table(TRIES)?.remove(first)?;
                    }
                }
            }
        }
        if !batch.spellings.is_empty() {
            let mut spellings = transaction.open_table(SPELLINGS)?;
            for (address, uri) in &batch.spellings {
                if spellings.len()? < MAX_SPELLINGS || spellings.get(&**address)?.is_some() {
                    spellings.insert(&**address, uri.as_str())?;
                }
            }
        }
        if !batch.call_ids.is_empty() {
            let mut rows = transaction.open_table(CALL_IDS)?;
            let number = self.call_ids.back().map_or(0, |(last, _)| last + 1);
            rows.insert(number, &batch.call_ids)?;
            self.call_ids.push_back((number, batch.call_ids.len()));
            let mut all: usize = self.call_ids.iter().map(|(_, count)| count).sum();
            while let Some((oldest, count)) = self.call_ids.front().copied()
                && all - count >= CallIds::REMEMBERED
            {
                rows.remove(oldest)?;
                self.call_ids.pop_front();
                all -= count;
            }
        }
        transaction.commit()?;
        tracing::trace!(
            file = %self.path.display(), kept = batch.kept.len(), released = batch.released.len(),
            "store written"
        );
        Ok(())
    }

    /// Takes the entries out of their batches; says which batches these are.
    fn release(&mut self, entries: &[EntryId]) -> BTreeSet<u64> {
        let mut touched = BTreeSet::new();
        for EntryId(entry) in entries {
            let batch = self.batch_by_first.range_mut(..=entry).next_back();
            if let Some((first, remains)) = batch
                && remains.kept.remove(entry)
            {
                remains.released.push(*entry);
                touched.insert(*first);
            }
        }
        touched
    }
}

fn unusable(wrong: impl Into<redb::Error>) -> StoreError {
    match wrong.into() {
        redb::Error::Io(error) => StoreError::Io(error),
        wrong => StoreError::Unusable(Box::new(wrong)),
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
