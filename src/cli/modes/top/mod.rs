//! `top`: what the server does, on the whole screen and live, until `q` or Ctrl-C.
//!
//! `sample` asks the server, `screen` draws what it answered; ratatui owns the terminal and gives it back.

mod sample;
mod screen;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};

use crate::cli::failure::Failure;
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
    let mut view = View::new(session.address().to_string());
    loop {
        view.update(session.connection()?, Instant::now())?;
        terminal.draw(|frame| screen::draw(frame, &view)).map_err(Failure::output)?;
        let next = Instant::now() + every;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            if !event::poll(left).map_err(Failure::Input)? {
                break;
            }
            let event = event::read().map_err(Failure::Input)?;
            if is_end(&event) {
                return Ok(());
            }
            if matches!(event, Event::Resize(..)) {
                terminal.draw(|frame| screen::draw(frame, &view)).map_err(Failure::output)?;
            }
        }
        if session.interrupt().is_set() {
            return Ok(());
        }
    }
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
