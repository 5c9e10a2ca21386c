//! One session at a time, in virtual time: what comes in, and the full list of what goes out.

mod nicknames;
mod plain;
mod stage;
