//! Listening sockets: TCP on several addresses, and a unix socket. Also the options of client sockets, because an accepted
//! socket inherits them from its listener: that saves six system calls per connection.
//!
//! `bind` follows Redis: `*` and `::*` are all addresses, an address with a colon is IPv6 (and IPv6 only), a leading `-`
//! forgives an address this machine does not have, and a protocol the kernel does not speak is always forgiven.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::event::Source;
use mio::{Interest, Registry};
use rustix::fs::Mode;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::connection::Stream;
use super::os_text;
use super::service::Peer;
use super::table::Origin;

/// The kernel's limit for the keepalive options; a larger one would be refused.
const KEEPALIVE_S_MAX: u32 = 32767;
/// Probes without an answer before a connection counts as dead, as in Redis.
const KEEPALIVE_PROBES: u32 = 3;
/// Longest path of a unix socket, the closing NUL not counted.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// Where and how to listen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListenConfig {
    /// Addresses and host names, as in `bind`.
    pub bind: Vec<String>,
    /// TCP port; `Some(0)` lets the kernel choose, `None` means no TCP (in the configuration file: `port 0`).
    pub port: Option<u16>,
    /// Connections the kernel keeps until they are accepted, `tcp-backlog`.
    pub backlog: u32,
    /// Path of the unix socket, if one is wanted.
    pub unix_socket: Option<PathBuf>,
    /// Mode of the unix socket; zero leaves it to the umask.
    pub unix_permissions: u32,
    /// Seconds of silence before a peer is probed; zero never probes.
    pub tcp_keepalive_s: u32,
}

/// Why the loop cannot listen. Printed in Redis's words.
#[derive(Debug)]
pub enum ListenError {
    /// A TCP address could not be used.
    Tcp {
        /// As configured, without the leading `-`.
        address: String,
        /// As configured.
        port: u16,
        /// What failed.
        cause: SocketError,
    },
    /// The unix socket could not be made.
    Unix(SocketError),
    /// No address, no unix socket: nobody could ever connect.
    Nowhere,
    /// The poll or the signal pipe could not be made.
    EventLoop(io::Error),
}

/// A failed system call while making a listener.
#[derive(Debug)]
pub struct SocketError {
    /// `socket`, `bind`, ...; empty if the address itself is at fault.
    pub call: &'static str,
    /// What the operating system said.
    pub error: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, port, cause } => {
                write!(f, "Could not create server TCP listening socket {address}:{port}: {cause}")
            }
            Self::Unix(cause) => write!(f, "Failed opening Unix socket: {cause}"),
            Self::Nowhere => f.write_str("Configured to not listen anywhere, exiting."),
            Self::EventLoop(error) => {
                write!(f, "Failed creating the event loop. Error message: '{}'", os_text(error))
            }
        }
    }
}

impl std::error::Error for ListenError {}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.call.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{}", self.call, os_text(&self.error))
    }
}

impl ListenError {
    /// The address is taken, perhaps by an old listener of ours.
    fn is_address_in_use(&self) -> bool {
        matches!(self, Self::Tcp { cause, .. } if cause.error.kind() == io::ErrorKind::AddrInUse)
    }
}

/// Names the call that failed.
fn during<T>(call: &'static str, result: io::Result<T>) -> Result<T, SocketError> {
    result.map_err(|error| SocketError { call, error })
}

/// What was asked for, before the kernel chose a port. Two listeners with the same wish are the same.
#[derive(Clone, PartialEq, Eq)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

enum Listening {
    Tcp(mio::net::TcpListener),
    Unix { listener: mio::net::UnixListener, file: UnixFile },
}

/// One listening socket.
pub(super) struct Listener {
    id: u32,
    address: Address,
    listening: Listening,
    /// May have connections waiting: an edge came, and `accept` has not said `WouldBlock` since.
    pub ready: bool,
}

/// The listening sockets, and what they were made from.
#[derive(Default)]
pub(super) struct Listeners {
    pub sockets: Vec<Listener>,
    config: ListenConfig,
    last_id: u32,
    /// Forgiven failures nobody was told about yet.
    pub warnings: Vec<String>,
}

impl Listeners {
    /// Listens according to `config`. Listeners it has in common with the present ones live on with their queues; on an
    /// error everything stays as it was.
    pub fn listen(
        &mut self,
        registry: &Registry,
        config: &ListenConfig,
    ) -> Result<(), ListenError> {
        let result = match self.switch_to(registry, config) {
            // Perhaps our own old listener is in the way: `*` and `127.0.0.1` exclude each other on the same port.
            Err(error) if error.is_address_in_use() && self.config.port == config.port => {
                self.sockets.clear();
                self.switch_to(registry, config).inspect_err(|_| {
                    let previous = self.config.clone();
                    if let Err(error) = self.switch_to(registry, &previous) {
                        self.warnings.push(error.to_string());
                    }
                })
            }
            result => result,
        };
        if result.is_ok() {
            self.config = config.clone();
        }
        result
    }

    /// Makes what is missing; drops what is not wanted only when that has worked.
    fn switch_to(&mut self, registry: &Registry, config: &ListenConfig) -> Result<(), ListenError> {
        let mut wanted = Vec::new();
        let mut made = Vec::new();
        let has =
            |address: &Address| self.sockets.iter().any(|listener| listener.address == *address);
        for (name, port) in
            config.bind.iter().filter_map(|name| config.port.map(|port| (name, port)))
        {
            let (host, is_optional) =
                name.strip_prefix('-').map_or((name.as_str(), false), |host| (host, true));
            let listener = resolve(host, port).and_then(|address| {
                wanted.push(Address::Tcp(address));
                if has(&Address::Tcp(address)) {
                    Ok(None)
                } else {
                    listen_tcp(address, config).map(Some)
                }
            });
            match listener {
                Ok(listener) => made.extend(listener),
                Err(cause) => {
                    let forgiven = is_forgiven(&cause.error, is_optional);
                    let error = ListenError::Tcp { address: host.to_owned(), port, cause };
                    if !forgiven {
                        return Err(error);
                    }
                    self.warnings.push(format!("Warning: {error}"));
                }
            }
        }
        if let Some(path) = &config.unix_socket {
            wanted.push(Address::Unix(path.clone()));
            if !has(&Address::Unix(path.clone())) {
                made.push(listen_unix(path, config).map_err(ListenError::Unix)?);
            }
        }
        for listener in &mut made {
            self.last_id = self.last_id.wrapping_add(1);
            listener.register(registry, self.last_id).map_err(ListenError::EventLoop)?;
        }
        for listener in &self.sockets {
            listener.set_client_options(config.tcp_keepalive_s).map_err(ListenError::EventLoop)?;
        }
        self.sockets.retain(|listener| wanted.contains(&listener.address));
        self.sockets.append(&mut made);
        Ok(())
    }

    /// Stops listening. Clients whose connection was not accepted yet are reset.
    pub fn close(&mut self) {
        self.sockets.clear();
    }

    /// A connection is waiting at this listener.
    pub fn note_event(&mut self, id: u32) {
        if let Some(listener) = self.sockets.iter_mut().find(|listener| listener.id == id) {
            listener.ready = true;
        }
    }

    /// Whether some listener may have connections waiting.
    pub fn has_work(&self) -> bool {
        self.sockets.iter().any(|listener| listener.ready)
    }

    /// The TCP addresses, with the ports the kernel chose.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        let tcp = self.sockets.iter().filter_map(|listener| match &listener.listening {
            Listening::Tcp(listener) => listener.local_addr().ok(),
            Listening::Unix { .. } => None,
        });
        tcp.collect()
    }
}

impl Listener {
    /// Takes one connection from the queue.
    pub fn accept(&self) -> io::Result<(Stream, Peer)> {
        use std::os::fd::AsRawFd;
        match &self.listening {
            Listening::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                let peer = Peer {
                    address: endpoint(address),
                    local_address: stream.local_addr().map(endpoint).unwrap_or_default(),
                    fd: stream.as_raw_fd(),
                    is_unix: false,
                    is_loopback: address.ip().to_canonical().is_loopback(),
                };
                Ok((Stream::Tcp(stream), peer))
            }
            Listening::Unix { listener, file } => {
                let (stream, _) = listener.accept()?;
                let address = format!("{}:0", file.path.display());
                let fd = stream.as_raw_fd();
                let peer = Peer {
                    local_address: address.clone(),
                    address,
                    fd,
                    is_unix: true,
                    is_loopback: true,
                };
                Ok((Stream::Unix(stream), peer))
            }
        }
    }

    fn register(&mut self, registry: &Registry, id: u32) -> io::Result<()> {
        self.id = id;
        let source: &mut dyn Source = match &mut self.listening {
            Listening::Tcp(listener) => listener,
            Listening::Unix { listener, .. } => listener,
        };
        source.register(registry, Origin::Listener(id).encode(), Interest::READABLE)
    }

    /// The options of the sockets this listener will accept.
    fn set_client_options(&self, tcp_keepalive_s: u32) -> io::Result<()> {
        match &self.listening {
            Listening::Tcp(listener) => {
                set_client_options(&SockRef::from(listener), tcp_keepalive_s)
            }
            Listening::Unix { .. } => Ok(()),
        }
    }
}

/// `address:port`, without the zone of a link-local address, as Redis prints it.
fn endpoint(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.to_string(),
        SocketAddr::V6(address) => format!("[{}]:{}", address.ip(), address.port()),
    }
}

/// Whether Redis would log this failure and go on without the address.
fn is_forgiven(error: &io::Error, is_optional: bool) -> bool {
    let not_spoken = [
        Errno::NOPROTOOPT,
        Errno::PROTONOSUPPORT,
        Errno::SOCKTNOSUPPORT,
        Errno::PFNOSUPPORT,
        Errno::AFNOSUPPORT,
    ];
    match Errno::from_io_error(error) {
        Some(Errno::ADDRNOTAVAIL) => is_optional,
        Some(errno) => not_spoken.contains(&errno),
        None => false,
    }
}

/// The address for one word of `bind`. May ask a name server: only while starting and in `CONFIG SET`.
fn resolve(host: &str, port: u16) -> Result<SocketAddr, SocketError> {
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

fn listen_tcp(address: SocketAddr, config: &ListenConfig) -> Result<Listener, SocketError> {
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
    let listening = Listening::Tcp(mio::net::TcpListener::from_std(socket.into()));
    Ok(Listener { id: 0, address: Address::Tcp(address), listening, ready: false })
}

fn backlog(config: &ListenConfig) -> i32 {
    i32::try_from(config.backlog).unwrap_or(i32::MAX)
}

/// No delay, and a dead peer is found within about twice `tcp_keepalive_s`, idle or with data on the way. (Keepalive
/// probes only an idle peer; without the user timeout, unacknowledged data is retransmitted for a quarter of an hour.)
fn set_client_options(socket: &SockRef<'_>, tcp_keepalive_s: u32) -> io::Result<()> {
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
struct UnixFile {
    path: PathBuf,
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

fn listen_unix(path: &Path, config: &ListenConfig) -> Result<Listener, SocketError> {
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
    let listening =
        Listening::Unix { listener: mio::net::UnixListener::from_std(socket.into()), file };
    Ok(Listener { id: 0, address: Address::Unix(path.to_owned()), listening, ready: false })
}
