//! The system calls that make a listening socket. It also carries the options of client sockets, because an accepted
//! socket inherits them: that saves six system calls per connection.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::net::{TcpListener, UnixListener};
use rustix::fs::Mode;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::listener::ListenConfig;
use super::os_text;

/// The kernel's limit for the keepalive options; a larger one would be refused.
const KEEPALIVE_S_MAX: u32 = 32767;
/// Probes without an answer before a connection counts as dead, as in Redis.
const KEEPALIVE_PROBES: u32 = 3;
/// Longest path of a unix socket, the closing NUL not counted.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// A failed system call while making a listener.
#[derive(Debug)]
pub struct SocketError {
    /// `socket`, `bind`, ...; empty if the address itself is at fault.
    pub call: &'static str,
    /// What the operating system said.
    pub error: io::Error,
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.call.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{}", self.call, os_text(&self.error))
    }
}

/// Names the call that failed.
fn during<T>(call: &'static str, result: io::Result<T>) -> Result<T, SocketError> {
    result.map_err(|error| SocketError { call, error })
}

impl SocketError {
    /// Whether Redis would log this failure and go on without the address.
    pub(super) fn is_forgiven(&self, is_optional: bool) -> bool {
        let not_spoken = [
            Errno::NOPROTOOPT,
            Errno::PROTONOSUPPORT,
            Errno::SOCKTNOSUPPORT,
            Errno::PFNOSUPPORT,
            Errno::AFNOSUPPORT,
        ];
        match Errno::from_io_error(&self.error) {
            Some(Errno::ADDRNOTAVAIL) => is_optional,
            Some(errno) => not_spoken.contains(&errno),
            None => false,
        }
    }
}

/// The address for one word of `bind`. May ask a name server: only while starting and in `CONFIG SET`.
pub(super) fn resolve(host: &str, port: u16) -> Result<SocketAddr, SocketError> {
    let is_ipv6 = host.contains(':');
    let host = match host {
        "*" => "0.0.0.0",
        "::*" => "::",
        host => host,
    };
    let mut addresses = during("", (host, port).to_socket_addrs())?;
    let not_known = || io::Error::other("Name or service not known");
    during("", addresses.find(|address| address.is_ipv6() == is_ipv6).ok_or_else(not_known))
}

/// Listens on `address` with the backlog and the client options of `config`.
pub(super) fn listen_tcp(
    address: SocketAddr,
    config: &ListenConfig,
) -> Result<TcpListener, SocketError> {
    let socket = during(
        "socket",
        Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)),
    )?;
    if address.is_ipv6() {
        during("setsockopt", socket.set_only_v6(true))?;
    }
    during("setsockopt SO_REUSEADDR", socket.set_reuse_address(true))?;
    during("setsockopt", set_client_options(&SockRef::from(&socket), config.tcp_keepalive_s))?;
    during("bind", socket.bind(&address.into()))?;
    during("listen", socket.listen(backlog(config)))?;
    during("fcntl(F_SETFL,O_NONBLOCK)", socket.set_nonblocking(true))?;
    Ok(TcpListener::from_std(socket.into()))
}

fn backlog(config: &ListenConfig) -> i32 {
    i32::try_from(config.backlog).unwrap_or(i32::MAX)
}

/// No delay, and a dead peer is found within about twice `tcp_keepalive_s`, idle or with data on the way. (Keepalive
/// probes only an idle peer; without the user timeout, unacknowledged data is retransmitted for a quarter of an hour.)
pub(super) fn set_client_options(socket: &SockRef<'_>, tcp_keepalive_s: u32) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(tcp_keepalive_s > 0)?;
    if tcp_keepalive_s == 0 {
        return socket.set_tcp_user_timeout(None);
    }
    let idle_s = tcp_keepalive_s.min(KEEPALIVE_S_MAX);
    let (idle, interval) = (seconds(idle_s), seconds((idle_s / KEEPALIVE_PROBES).max(1)));
    let probing =
        TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&probing)?;
    socket.set_tcp_user_timeout(Some(idle + interval * KEEPALIVE_PROBES))
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

/// The file of a unix socket, removed when we stop listening: unless another server has put its own there.
pub(super) struct UnixFile {
    pub path: PathBuf,
    /// Device and inode.
    identity: Option<(u64, u64)>,
}

impl UnixFile {
    fn at(path: &Path) -> UnixFile {
        UnixFile { path: path.to_owned(), identity: Self::identity(path) }
    }

    fn identity(path: &Path) -> Option<(u64, u64)> {
        let metadata = std::fs::symlink_metadata(path).ok()?;
        metadata.file_type().is_socket().then(|| (metadata.dev(), metadata.ino()))
    }
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        if self.identity.is_some() && self.identity == Self::identity(&self.path) {
            let _ = std::fs::remove_file(&self.path); // nobody is left who could act on a failure
        }
    }
}

/// Listens on a unix socket at `path`, with the mode `config` wants.
pub(super) fn listen_unix(
    path: &Path,
    config: &ListenConfig,
) -> Result<(UnixListener, UnixFile), SocketError> {
    let bytes = path.as_os_str().len();
    if bytes > UNIX_PATH_BYTES_MAX {
        let bytes_max = UNIX_PATH_BYTES_MAX + 1;
        let text = format!("unix socket path too long ({bytes}), must be under {bytes_max}");
        return during("", Err(io::Error::other(text)));
    }
    if UnixFile::identity(path).is_some() {
        let _ = std::fs::remove_file(path); // left by a server that was killed; if it stays, bind says why
    }
    let socket = during("socket", Socket::new(Domain::UNIX, Type::STREAM, None))?;
    let address = during("bind", SockAddr::unix(path))?;
    let file = if config.unix_permissions == 0 {
        during("bind", socket.bind(&address))?;
        UnixFile::at(path)
    } else {
        // Nobody else gets in between bind and chmod, and nobody at all before listen (CVE-2023-45145).
        let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = socket.bind(&address);
        rustix::process::umask(umask);
        during("bind", bound)?;
        let file = UnixFile::at(path);
        during(
            "chmod",
            rustix::fs::chmod(path, Mode::from_raw_mode(config.unix_permissions))
                .map_err(io::Error::from),
        )?;
        file
    };
    during("listen", socket.listen(backlog(config)))?;
    during("fcntl(F_SETFL,O_NONBLOCK)", socket.set_nonblocking(true))?;
    Ok((UnixListener::from_std(socket.into()), file))
}
