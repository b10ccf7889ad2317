//! What a program has put on the screen of its terminal: as much of an xterm as full-screen programs of ours need.

use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use expectrl::Expect;
use expectrl::session::OsSession;

use super::{DEADLINE, holds_within};

/// A program in a pseudo-terminal, and its screen.
pub struct Screen {
    session: OsSession,
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// The beginning of what is to come.
    unread: Vec<u8>,
}

impl Screen {
    /// Starts the program on an empty screen.
    pub fn start(command: Command, columns: u16, rows: u16) -> Screen {
        let mut session = OsSession::spawn(command).expect("a pseudo-terminal");
        session.set_expect_timeout(Some(DEADLINE));
        session.get_process_mut().set_window_size(columns, rows).expect("it is a terminal");
        let cells = vec![vec![' '; columns.into()]; rows.into()];
        Screen { session, cells, row: 0, column: 0, unread: Vec::new() }
    }

    /// Waits until the lines of the screen are as wanted; panics with them if they do not become so.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut wanted: impl FnMut(&[String]) -> bool) {
        let holds = holds_within(DEADLINE, || {
            self.read();
            std::thread::sleep(Duration::from_millis(20));
            wanted(&self.lines())
        });
        assert!(holds, "{what}: in vain; the screen shows\n{}", self.lines().join("\n"));
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        self.session.send(text).expect("the terminal takes it");
    }

    /// The program itself.
    pub fn session(&mut self) -> &mut OsSession {
        &mut self.session
    }

    fn lines(&self) -> Vec<String> {
        self.cells.iter().map(|row| row.iter().collect()).collect()
    }

    /// Takes in what the program has written.
    fn read(&mut self) {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.session.try_read(&mut buffer) {
                Ok(count @ 1..) => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        while let Some(len) = self.take_one() {
            self.unread.drain(..len);
        }
    }

    /// Draws one character or obeys one sequence; its length. None: it is not whole yet.
    fn take_one(&mut self) -> Option<usize> {
        match *self.unread.first()? {
            b'\x1b' if *self.unread.get(1)? == b'[' => {
                let end = self.unread[2..].iter().position(|byte| (b'@'..=b'~').contains(byte))?;
                let (text, last) = (self.unread[2..2 + end].to_vec(), self.unread[2 + end]);
                self.obey(&String::from_utf8_lossy(&text), last);
                Some(end + 3)
            }
            b'\x1b' => Some(2),
            b'\r' => {
                self.column = 0;
                Some(1)
            }
            b'\n' => {
                self.row += 1;
                Some(1)
            }
            first => {
                let len = match first {
                    0xf0.. => 4,
                    0xe0.. => 3,
                    0xc0.. => 2,
                    _ => 1,
                };
                let text = String::from_utf8_lossy(self.unread.get(..len)?).into_owned();
                self.draw(text.chars().next().unwrap_or(' '));
                Some(len)
            }
        }
    }

    fn draw(&mut self, character: char) {
        if let Some(cell) = self.cells.get_mut(self.row).and_then(|row| row.get_mut(self.column)) {
            *cell = character;
        }
        self.column += 1;
    }

    /// Moves the cursor, or clears; colours are not seen.
    fn obey(&mut self, text: &str, last: u8) {
        let mut numbers = text.split(';').map(|number| number.parse().unwrap_or(1_usize));
        match last {
            b'H' => {
                self.row = numbers.next().unwrap_or(1) - 1;
                self.column = numbers.next().unwrap_or(1) - 1;
            }
            b'J' => self.cells.iter_mut().for_each(|row| row.fill(' ')),
            _ => {}
        }
    }
}
