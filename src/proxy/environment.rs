//! What the proxy cannot have of itself, because a test must be able to give it: chance, the log, names of hosts.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use super::address::Address;
use crate::log::Level;
use crate::server::ProcessFacts;

/// What the proxy is given from outside.
pub trait Environment {
    /// A number that nobody can guess.
    fn random(&mut self) -> u64;

    /// Writes a line to the log.
    fn log(&mut self, level: Level, message: fmt::Arguments<'_>);

    /// Facts about the process.
    fn process(&mut self) -> ProcessFacts;

    /// The least that is logged from now on.
    fn set_log_level(&mut self, level: Level);

    /// Has the addresses of a host looked up where that may take its time; [`Environment::resolved`] answers with the
    /// number, and the loop is woken.
    fn resolve(&mut self, number: u64, host: &str, port: u16);

    /// What came of a look-up that has ended and was not asked for yet.
    fn resolved(&mut self) -> Option<(u64, io::Result<Vec<SocketAddr>>)>;

    /// Reads the list of nodes from the configuration file again; none, if there is no file or flags are stronger.
    fn reload_nodes(&mut self) -> Option<Result<Vec<Address>, String>>;
}
