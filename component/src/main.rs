//! The `stox` program.
fn main() {}
