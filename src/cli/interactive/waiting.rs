//! What the server sends while somebody types: pushes are shown above the prompt, and the end of the connection is told at once
//! and not at the next command.

use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::resp::Value;

/// Prints above the prompt.
pub type Printer = Box<dyn FnMut(String) + Send>;

/// A thread that waits on a connection until it is told to stop.
pub struct Waiting {
    thread: JoinHandle<Result<Connection, Failure>>,
    /// The thread sees the other end close.
    stop: UnixStream,
}

impl Waiting {
    /// Starts to wait, and shows pushes if there is a format for them; without a descriptor to spare the connection comes back.
    pub fn start(
        connection: Connection,
        format: Option<Format>,
        mut printer: Printer,
    ) -> Result<Self, Connection> {
        let Ok((stop, stopped)) = UnixStream::pair() else { return Err(connection) };
        let thread = std::thread::spawn(move || {
            let result = wait(connection, &stopped, format, &mut printer);
            if let Err(failure) = &result {
                printer(format!("{failure}\n"));
            }
            result
        });
        Ok(Self { thread, stop })
    }

    /// Stops and gives the connection back, or says why it broke.
    pub fn end(self) -> Result<Connection, Failure> {
        drop(self.stop);
        self.thread.join().expect("the thread does not panic")
    }
}

fn wait(
    mut connection: Connection,
    stopped: &UnixStream,
    format: Option<Format>,
    printer: &mut Printer,
) -> Result<Connection, Failure> {
    loop {
        let mut fds =
            [PollFd::new(&connection, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        if poll(&mut fds, None).is_err() {
            continue; // a signal
        }
        let [has_data, is_stopped] = [&fds[0], &fds[1]].map(|fd| !fd.revents().is_empty());
        if is_stopped {
            return Ok(connection);
        }
        if has_data && connection.read_some()? {
            while let Some(value) = connection.already_received()? {
                if let Some(format) = format {
                    printer(shown(format, &value));
                }
            }
        }
    }
}

/// A push as text. Keys that tracking has found changed get a line of their own, as in redis-cli.
pub fn shown(format: Format, value: &Value) -> String {
    let mut text = Vec::new();
    match value {
        Value::Push(elements) => match elements.as_slice() {
            [kind, Value::Array(keys)] if kind.as_bytes() == Some(b"invalidate") => {
                let keys: Vec<String> = keys
                    .iter()
                    .filter_map(Value::as_bytes)
                    .map(|key| format!("'{}'", key.escape_ascii()))
                    .collect();
                return format!("-> invalidate: {}\n", keys.join(", "));
            }
            _ => format.append(&mut text, value),
        },
        _ => format.append(&mut text, value),
    }
    String::from_utf8_lossy(&text).into_owned()
}
