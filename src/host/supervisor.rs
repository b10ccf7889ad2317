//! systemd as the parent: with `Type=notify` it waits until it is told that the service is ready.
//!
//! The protocol is that of `sd_notify(3)`: lines of `NAME=value` in one datagram to the Unix socket in `NOTIFY_SOCKET`.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::Supervised;
use crate::server::Phase;

/// Where the supervisor listens, if there is one.
pub struct Supervisor(Option<Socket>);

impl Supervisor {
    /// The one that `supervised` asks for, and a sentence for the log if it is not there.
    pub fn find(supervised: Supervised) -> (Self, Option<String>) {
        let address = std::env::var_os("NOTIFY_SOCKET");
        let found = match (supervised, address) {
            (Supervised::No, _) | (Supervised::Auto, None) => return (Self(None), None),
            (Supervised::Upstart, _) => Err("upstart supervision is not supported".to_string()),
            (Supervised::Systemd, None) => {
                Err("systemd supervision requested, but NOTIFY_SOCKET not found!".to_string())
            }
            (Supervised::Systemd | Supervised::Auto, Some(address)) => {
                connect(address).map_err(|error| format!("systemd supervision error: {error}"))
            }
        };
        match found {
            Ok(socket) => (Self(Some(socket)), None),
            Err(complaint) => (Self(None), Some(complaint)),
        }
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Tells it, if it is there.
    pub fn tell(&self, phase: Phase) -> io::Result<()> {
        let lines: &[u8] = match phase {
            Phase::Ready => b"READY=1\nSTATUS=Ready to accept connections\n",
            Phase::Stopping => b"STOPPING=1\n",
        };
        self.0.as_ref().map_or(Ok(0), |socket| socket.send(lines)).map(|_| ())
    }
}

/// `@` in front stands for the zero byte of an address that is no file.
fn connect(address: OsString) -> io::Result<Socket> {
    let mut address = address.into_vec();
    if address.first() == Some(&b'@') {
        address[0] = 0;
    }
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.connect(&SockAddr::unix(std::ffi::OsStr::from_bytes(&address))?)?;
    Ok(socket)
}
