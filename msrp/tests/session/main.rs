//! One session at a time, in virtual time: what comes in, and the full list of what goes out.

mod long_messages;
mod nicknames;
mod plain;
mod recovery;
mod stage;
