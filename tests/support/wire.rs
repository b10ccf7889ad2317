//! A wire between two servers that a test can cut: a TCP proxy.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The wire. Its threads end with the connections, the one that accepts with the test program.
pub struct Wire {
    port: u16,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    refuses: Arc<AtomicBool>,
}

impl Wire {
    /// A wire to a server, on a port of its own.
    pub fn to(server: SocketAddr) -> Wire {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let wire = Wire { port, connections: Arc::default(), refuses: Arc::default() };
        let (connections, refuses) = (wire.connections.clone(), wire.refuses.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(upstream) = TcpStream::connect(server) else { continue };
                if refuses.load(Ordering::SeqCst) {
                    continue; // both are dropped
                }
                connections.lock().expect("no thread panics").extend(join(client, upstream));
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
}

/// Copies bytes both ways, until one side ends.
fn join(client: TcpStream, upstream: TcpStream) -> [TcpStream; 2] {
    let handle = |stream: &TcpStream| stream.try_clone().expect("a descriptor is free");
    let handles = [handle(&client), handle(&upstream)];
    let (other_client, other_upstream) = (handle(&client), handle(&upstream));
    thread::spawn(move || copy(client, upstream));
    thread::spawn(move || copy(other_upstream, other_client));
    handles
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
