//! Files that outlive the process: the log of changes and snapshots, as bytes. Opens no file and knows no server.

pub mod aof;
pub mod disk;
pub mod rdb;
#[cfg(test)]
pub mod testing;
