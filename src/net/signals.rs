//! Unix signals as events of the loop. The handlers only set a flag and write a byte to a socket pair; the loop reads them
//! when it gets there. What a signal means is the service's business.

use std::io;

use mio::net::UnixStream;
use mio::{Interest, Registry};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

/// A signal the loop reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGHUP: the terminal is gone; also what log rotation sends.
    Hangup,
    /// SIGUSR1.
    User1,
}

/// Caught signals. SIGXFSZ is caught only so that it does not kill: the write then fails with EFBIG, which can be handled.
/// SIGPIPE is ignored by Rust's own start-up code.
pub(super) struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
}

impl Signals {
    /// Installs the handlers and registers the pipe they wake the loop with. They are taken back on drop.
    pub fn new(registry: &Registry, token: mio::Token) -> io::Result<Signals> {
        let (mut read, write) = UnixStream::pair()?;
        registry.register(&mut read, token, Interest::READABLE)?;
        let signals = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGXFSZ];
        Ok(Signals { delivery: SignalDelivery::with_pipe(read, write, SignalOnly, signals)? })
    }

    /// The signals that came since the last call.
    pub fn pending(&mut self) -> impl Iterator<Item = Signal> {
        self.delivery.pending().filter_map(|number| match number {
            SIGTERM => Some(Signal::Terminate),
            SIGINT => Some(Signal::Interrupt),
            SIGHUP => Some(Signal::Hangup),
            SIGUSR1 => Some(Signal::User1),
            _ => None,
        })
    }
}
