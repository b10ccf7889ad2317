//! Files that outlive the process: the log of changes and snapshots, as bytes. Opens no file and knows no server.

pub mod aof;
pub mod disk;
#[cfg(test)]
pub mod testing;
