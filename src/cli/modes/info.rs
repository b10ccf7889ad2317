//! Figures out of the text of `INFO`.

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;

/// The lines `name:value` of one answer.
pub struct Info(String);

impl Info {
    /// Asks the server for a section, `default` or `everything`. One that knows no sections (a proxy) says what it has.
    pub fn ask(connection: &mut Connection, section: &str) -> Result<Self, Failure> {
        let reply = match connection.demand("INFO", &["INFO", section]) {
            Err(Failure::Refused { .. }) => connection.demand("INFO", &["INFO"])?,
            reply => reply?,
        };
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

    /// Nodes behind a proxy: `node0:addr=10.0.0.5:6379,role=master,...`, as far as the values go.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.0.lines().filter_map(|line| {
            let (number, fields) = line.strip_prefix("node")?.split_once(':')?;
            number.parse::<u32>().ok()?;
            let node = Node(fields.trim_end());
            node.address().map(|_| node)
        })
    }

    /// Keys in all databases: `db0:keys=5,expires=0,...`. None where that is not told: by a proxy.
    pub fn keys(&self) -> Option<u64> {
        if !self.0.contains("# Keyspace") {
            return None;
        }
        let databases = self.0.lines().filter_map(|line| {
            let (number, figures) = line.strip_prefix("db")?.split_once(":keys=")?;
            number.parse::<u32>().ok()?;
            figures.split(',').next()?.parse::<u64>().ok()
        });
        Some(databases.fold(0, u64::saturating_add))
    }
}

/// What a proxy tells of one of its nodes.
#[derive(Clone, Copy)]
pub struct Node<'i>(&'i str);

impl<'i> Node<'i> {
    /// Where it is.
    pub fn address(self) -> Option<&'i str> {
        self.text("addr").or(self.text("address"))
    }

    /// The value of a field.
    pub fn text(self, name: &str) -> Option<&'i str> {
        let mut fields = self.0.split(',').filter_map(|field| field.split_once('='));
        fields.find(|(field, _)| *field == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_their_whole_name() {
        let text = "# Memory\r\nused_memory:1024\r\nused_memory_human:1K\r\n# Keyspace\r\ndb0:keys=5,expires=1\r\ndb3:keys=2,expires=0\r\n";
        let info = Info(text.to_owned());
        assert_eq!(info.number("used_memory"), 1024);
        assert_eq!(info.text("used_memory_human"), Some("1K"));
        assert_eq!((info.number("nosuch"), info.keys()), (0, Some(7)));
        assert_eq!(Info("# Nodes\r\n".to_owned()).keys(), None);
    }

    #[test]
    fn commands_have_calls_and_time() {
        let info = Info(
            "cmdstat_get:calls=5,usec=7,usec_per_call=1.40\r\ncmdstat_x:calls=?\r\n".to_owned(),
        );
        assert_eq!(info.commands().collect::<Vec<_>>(), [("get", 5, 7)]);
    }

    #[test]
    fn nodes_have_the_fields_that_the_proxy_tells() {
        let text = "# Nodes\r\nnodes:2\r\nnode0:addr=[::1]:6379,role=master,requests=5\r\n\
                    node7:slots=0-100,address=h:1\r\nnode8:state=new\r\n";
        let info = Info(text.to_owned());
        let nodes: Vec<_> = info.nodes().collect();
        assert_eq!(nodes.len(), 2);
        assert_eq!(
            (nodes[0].address(), nodes[0].text("requests")),
            (Some("[::1]:6379"), Some("5"))
        );
        assert_eq!((nodes[1].address(), nodes[1].text("requests")), (Some("h:1"), None));
    }
}
