//! A wire between two servers that a test can cut, or make long: a TCP proxy.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The wire. Its threads end with the connections, the one that accepts with the test program.
pub struct Wire {
    port: u16,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    refuses: Arc<AtomicBool>,
    /// How long bytes take to the server, in milliseconds.
    delay_ms: Arc<AtomicU64>,
}

impl Wire {
    /// A wire to a server, on a port of its own.
    pub fn to(server: SocketAddr) -> Wire {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let wire = Wire {
            port,
            connections: Arc::default(),
            refuses: Arc::default(),
            delay_ms: Arc::default(),
        };
        let (connections, refuses) = (wire.connections.clone(), wire.refuses.clone());
        let delay_ms = wire.delay_ms.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(upstream) = TcpStream::connect(server) else { continue };
                if refuses.load(Ordering::SeqCst) {
                    continue; // both are dropped
                }
                let handles = join(client, upstream, delay_ms.clone());
                connections.lock().expect("no thread panics").extend(handles);
            }
        });
        wire
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections.
    pub fn cut(&self) {
        for connection in self.connections.lock().expect("no thread panics").drain(..) {
            let _ = connection.shutdown(Shutdown::Both); // it may have ended by itself
        }
    }

    /// Whether new connections end at once.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// How long bytes take to the server from now on; those from it come at once.
    pub fn delay_ms(&self, delay_ms: u64) {
        self.delay_ms.store(delay_ms, Ordering::SeqCst);
    }
}

/// Copies bytes both ways, until one side ends.
fn join(client: TcpStream, upstream: TcpStream, delay_ms: Arc<AtomicU64>) -> [TcpStream; 2] {
    let handle = |stream: &TcpStream| stream.try_clone().expect("a descriptor is free");
    let handles = [handle(&client), handle(&upstream)];
    let (other_client, other_upstream) = (handle(&client), handle(&upstream));
    thread::spawn(move || copy(client, upstream, &delay_ms));
    thread::spawn(move || copy(other_upstream, other_client, &AtomicU64::new(0)));
    handles
}

fn copy(mut from: TcpStream, mut to: TcpStream, delay_ms: &AtomicU64) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        thread::sleep(Duration::from_millis(delay_ms.load(Ordering::SeqCst)));
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
