//! Figures out of the text of `INFO`.

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;

/// The lines `name:value` of one answer.
pub struct Info(String);

impl Info {
    /// Asks the server for a section, `default` or `everything`.
    pub fn ask(connection: &mut Connection, section: &str) -> Result<Self, Failure> {
        let reply = connection.demand("INFO", &["INFO", section])?;
        Ok(Self(String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned()))
    }

    #[cfg(test)]
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The value of a field.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim_end)
    }

    /// The value of a field that is a number; 0 where the server does not have it.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Calls of each command and the microseconds they took: `cmdstat_get:calls=5,usec=7,...`.
    pub fn commands(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.0.lines().filter_map(|line| {
            let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let mut figures = figures.split(',');
            let calls = figures.next()?.parse().ok()?;
            Some((name, calls, figures.next()?.strip_prefix("usec=")?.parse().ok()?))
        })
    }

    /// Keys in all databases: `db0:keys=5,expires=0,...`.
    pub fn keys(&self) -> u64 {
        let databases = self.0.lines().filter_map(|line| {
            let (number, figures) = line.strip_prefix("db")?.split_once(":keys=")?;
            number.parse::<u32>().ok()?;
            figures.split(',').next()?.parse::<u64>().ok()
        });
        databases.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_their_whole_name() {
        let text = "# Memory\r\nused_memory:1024\r\nused_memory_human:1K\r\ndb0:keys=5,expires=1\r\ndb3:keys=2,expires=0\r\n";
        let info = Info(text.to_owned());
        assert_eq!(info.number("used_memory"), 1024);
        assert_eq!(info.text("used_memory_human"), Some("1K"));
        assert_eq!((info.number("nosuch"), info.keys()), (0, 7));
    }

    #[test]
    fn commands_have_calls_and_time() {
        let info = Info(
            "cmdstat_get:calls=5,usec=7,usec_per_call=1.40\r\ncmdstat_x:calls=?\r\n".to_owned(),
        );
        assert_eq!(info.commands().collect::<Vec<_>>(), [("get", 5, 7)]);
    }
}
