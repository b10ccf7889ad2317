//! ACL categories: which of them a command is in follows from its flags and its group; a row only names the rest.

use super::Registered;
use super::table::{ADMIN, BLOCKING, FAST, PUBSUB, READ, WRITE};

/// All categories, in Redis's order.
pub const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

impl Registered {
    /// Whether the command is in the category of that name, in lower case.
    pub fn is_in_category(&self, category: &str) -> bool {
        let flags = self.command.flags;
        let own = self.command.categories.contains(&category);
        // A container does nothing itself, so it has no part in what its group works on.
        let of_group = self.command.in_group_category
            && self.command.subcommands.is_empty()
            && self.group.category() == Some(category);
        own || of_group
            || match category {
                // Scripts may write, whatever the command that runs them is called.
                "read" => flags.has(READ) && !self.command.categories.contains(&"scripting"),
                "write" => flags.has(WRITE),
                "admin" | "dangerous" => flags.has(ADMIN),
                "pubsub" => flags.has(PUBSUB),
                "blocking" => flags.has(BLOCKING),
                "fast" => flags.has(FAST),
                "slow" => !flags.has(FAST),
                _ => false,
            }
    }

    /// The categories the command is in, in Redis's order.
    pub fn categories(&self) -> impl Iterator<Item = &'static str> {
        CATEGORIES.into_iter().filter(|category| self.is_in_category(category))
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::{Registry, TABLES};

    fn categories(name: &str, subcommand: Option<&str>) -> Vec<&'static str> {
        let registry = Registry::new(TABLES, &[]).unwrap();
        let id = registry.find(name.as_bytes()).unwrap();
        let id = subcommand.map_or(id, |s| registry.find_subcommand(id, s.as_bytes()).unwrap());
        registry.get(id).categories().collect()
    }

    #[test]
    fn categories_follow_from_flags_and_group() {
        assert_eq!(categories("get", None), ["read", "string", "fast"]);
        assert_eq!(categories("set", None), ["write", "string", "slow"]);
        assert_eq!(categories("keys", None), ["keyspace", "read", "slow", "dangerous"]);
        assert_eq!(categories("config", Some("get")), ["admin", "slow", "dangerous"]);
        assert_eq!(categories("info", None), ["slow", "dangerous"]);
        assert_eq!(categories("command", Some("docs")), ["slow", "connection"]);
    }

    #[test]
    fn a_container_has_no_part_in_its_group() {
        assert_eq!(categories("object", None), ["slow"]);
        assert_eq!(categories("object", Some("freq")), ["keyspace", "read", "slow"]);
    }
}
