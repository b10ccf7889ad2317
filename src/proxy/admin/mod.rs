//! Commands that the proxy answers about itself.

use super::routing::Handler;

/// The commands, by full name; the name of a container stands for all its subcommands.
pub(super) const HANDLERS: &[(&str, Handler)] = &[];
