//! The listening sockets: which ones there are, how one set replaces another at run time, and accepting from them.
//!
//! `bind` follows Redis: `*` and `::*` are all addresses, an address with a colon is IPv6 (and IPv6 only), a leading `-`
//! forgives an address this machine does not have, and a protocol the kernel does not speak is always forgiven.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::{Interest, Registry};
use socket2::SockRef;

use super::bind::{SocketError, UnixFile, listen_tcp, listen_unix, resolve, set_client_options};
use super::connection::Stream;
use super::os_text;
use super::service::Peer;
use super::table::Origin;

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

impl ListenError {
    /// The address is taken, perhaps by an old listener of ours.
    fn is_address_in_use(&self) -> bool {
        matches!(self, Self::Tcp { cause, .. } if cause.error.kind() == io::ErrorKind::AddrInUse)
    }
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
    /// Given when it is registered.
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
        let (mut wanted, mut made) = (Vec::new(), Vec::new());
        let (names, port) = config.port.map_or((&[][..], 0), |port| (&config.bind[..], port));
        for name in names {
            let optional = name.strip_prefix('-');
            let host = optional.unwrap_or(name);
            match self.tcp_listener(host, port, config) {
                Ok((address, listener)) => {
                    wanted.push(address);
                    made.extend(listener);
                }
                Err(cause) => {
                    let is_forgiven = cause.is_forgiven(optional.is_some());
                    let error = ListenError::Tcp { address: host.to_owned(), port, cause };
                    if !is_forgiven {
                        return Err(error);
                    }
                    self.warnings.push(format!("Warning: {error}"));
                }
            }
        }
        if let Some(path) = &config.unix_socket {
            let (address, listener) =
                self.unix_listener(path, config).map_err(ListenError::Unix)?;
            wanted.push(address);
            made.extend(listener);
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

    /// The address for one word of `bind`, and a listener if there is none at it yet.
    fn tcp_listener(
        &self,
        host: &str,
        port: u16,
        config: &ListenConfig,
    ) -> Result<(Address, Option<Listener>), SocketError> {
        let socket_address = resolve(host, port)?;
        let address = Address::Tcp(socket_address);
        if self.has(&address) {
            return Ok((address, None));
        }
        let listening = Listening::Tcp(listen_tcp(socket_address, config)?);
        Ok((address.clone(), Some(Listener::new(address, listening))))
    }

    /// The same for the unix socket.
    fn unix_listener(
        &self,
        path: &Path,
        config: &ListenConfig,
    ) -> Result<(Address, Option<Listener>), SocketError> {
        let address = Address::Unix(path.to_owned());
        if self.has(&address) {
            return Ok((address, None));
        }
        let (listener, file) = listen_unix(path, config)?;
        let listening = Listening::Unix { listener, file };
        Ok((address.clone(), Some(Listener::new(address, listening))))
    }

    fn has(&self, address: &Address) -> bool {
        self.sockets.iter().any(|listener| listener.address == *address)
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
    fn new(address: Address, listening: Listening) -> Listener {
        Listener { id: 0, address, listening, ready: false }
    }

    /// Takes one connection from the queue.
    pub fn accept(&self) -> io::Result<(Stream, Peer)> {
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
pub(super) fn endpoint(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.to_string(),
        SocketAddr::V6(address) => format!("[{}]:{}", address.ip(), address.port()),
    }
}
