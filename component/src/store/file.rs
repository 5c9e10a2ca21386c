//! Shell: the database file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::journal::Batch;
use super::{EntryId, Kept, LeftBehind};

/// By entry: when it was read (milliseconds since 1970), how many processes have tried it, the stanza.
const MESSAGES: TableDefinition<u64, (u64, u32, &[u8])> = TableDefinition::new("messages");

/// SIP URI by address.
const SPELLINGS: TableDefinition<&str, &str> = TableDefinition::new("spellings");

/// As many spellings are kept: strangers choose them.
const MAX_SPELLINGS: u64 = 65_536;

/// Bytes of the file's pages that are held in memory.
const CACHE: usize = 4 * 1024 * 1024;

/// Why nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("another process uses it")]
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
}

impl File {
    /// Opens the file, or makes one; reads what was left behind, and counts this process among those that try it.
    pub fn open(path: &Path) -> Result<(File, Kept), StoreError> {
        let database = Database::builder().set_cache_size(CACHE).create(path);
        let database = database.map_err(|wrong| match wrong {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
            wrong => unusable(wrong),
        })?;
        let file = File {
            database,
            path: path.to_owned(),
        };
        let kept = file.take_stock().map_err(unusable)?;
        Ok((file, kept))
    }

    fn take_stock(&self) -> Result<Kept, redb::Error> {
        let mut kept = Kept::default();
        let transaction = self.database.begin_write()?;
        {
            let mut messages = transaction.open_table(MESSAGES)?;
            for entry in messages.iter()? {
                let (entry, message) = entry?;
                let (received, tries, stanza) = message.value();
                kept.messages.push(LeftBehind {
                    entry: EntryId(entry.value()),
                    received: UNIX_EPOCH + Duration::from_millis(received),
                    tries: tries.saturating_add(1),
                    stanza: Bytes::copy_from_slice(stanza),
                });
            }
            for left in &kept.messages {
                messages.insert(
                    left.entry.0,
                    (millis(left.received), left.tries, &left.stanza[..]),
                )?;
            }
            for entry in transaction.open_table(SPELLINGS)?.iter()? {
                let (address, uri) = entry?;
                kept.spellings
                    .push((address.value().to_owned(), uri.value().to_owned()));
            }
        }
        transaction.commit()?;
        Ok(kept)
    }

    /// Writes one batch; on return it is on the disk.
    pub fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch).map_err(unusable)
    }

    fn write(&self, batch: &Batch) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut messages = transaction.open_table(MESSAGES)?;
            for (entry, received, stanza) in &batch.kept {
                messages.insert(entry.0, (millis(*received), 0, &stanza[..]))?;
            }
            for entry in &batch.released {
                messages.remove(entry.0)?;
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
        transaction.commit()?;
        tracing::trace!(
            file = %self.path.display(), kept = batch.kept.len(), released = batch.released.len(), "store written"
        );
        Ok(())
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
