//! `--scan`: the names of all keys, one a line.

use std::io::{self, Write};

use super::walk::Walk;
use crate::cli::failure::Failure;
use crate::cli::options::Settings;
use crate::cli::session::Session;
use crate::resp::Value;

/// Writes the names as they come.
pub fn run(settings: &Settings, session: &mut Session) -> Result<bool, Failure> {
    let interrupt = session.interrupt().clone();
    let connection = session.connection()?;
    let mut walk = Walk::new(&settings.keys);
    while let Some(keys) = walk.next(connection)? {
        let mut text = Vec::new();
        for key in keys {
            settings.format.append(&mut text, &Value::Bulk(key));
        }
        let mut out = io::stdout().lock();
        out.write_all(&text).and_then(|()| out.flush()).map_err(Failure::output)?;
        drop(out);
        interrupt.sleep(settings.interval);
    }
    Ok(true)
}
