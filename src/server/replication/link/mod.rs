//! The link of a replica to its master.

use crate::config::MasterAddress;

/// What a replica knows of its master.
#[derive(Debug)]
pub struct Link {
    /// Where the master is.
    pub master: MasterAddress,
}
