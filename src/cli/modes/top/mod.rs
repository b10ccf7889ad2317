//! `top`: what the server does, on the whole screen and live, until `q` or Ctrl-C.
//!
//! `sample` asks the server, `screen` draws what it answered; ratatui owns the terminal and gives it back.

mod sample;
mod screen;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};

use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::Settings;
use crate::cli::session::Session;
use sample::View;

/// Time between two samples, if `-i` does not say another.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Whether the words are this mode. No server has a command of that name.
pub fn is_meant_by(words: &[Vec<u8>]) -> bool {
    matches!(words, [word] if word.eq_ignore_ascii_case(b"top"))
}

/// Shows the screen.
pub fn run(settings: &Settings, session: &mut Session) -> Result<bool, Failure> {
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        return Err(Failure::Usage("top needs a terminal; --stat writes lines".to_owned()));
    }
    session.connection()?; // what goes wrong here is told on the normal screen
    let mut terminal = ratatui::try_init().map_err(Failure::Input)?;
    let result = show(settings, session, &mut terminal);
    ratatui::restore();
    result.map(|()| true)
}

fn show(
    settings: &Settings,
    session: &mut Session,
    terminal: &mut DefaultTerminal,
) -> Result<(), Failure> {
    let every = if settings.interval.is_zero() { SAMPLE_EVERY } else { settings.interval };
    let resized = watch_keyboard(session.interrupt().clone());
    let mut view = View::new(session.address().to_string());
    loop {
        match view.update(session.connection()?, Instant::now()) {
            Err(Failure::Interrupted) => return Ok(()),
            updated => updated?,
        }
        let next = Instant::now() + every;
        loop {
            terminal.draw(|frame| screen::draw(frame, &view)).map_err(Failure::output)?;
            match resized.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}

/// Reads the keyboard in a thread, so that a key ends the wait for a server that does not answer, too: at a terminal in raw mode
/// Ctrl-C is a key like any other. The channel tells of each new size of the terminal, and breaks at the end.
fn watch_keyboard(interrupt: Interrupt) -> Receiver<()> {
    let (resize, resized) = mpsc::channel();
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if is_end(&event) {
                break;
            }
            if matches!(event, Event::Resize(..)) && resize.send(()).is_err() {
                return;
            }
        }
        interrupt.set();
    });
    resized
}

fn is_end(event: &Event) -> bool {
    match event {
        Event::Key(key) => match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c' | 'd') => key.modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        },
        _ => false,
    }
}
