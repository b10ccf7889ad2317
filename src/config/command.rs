//! `CONFIG GET` and `CONFIG SET` on a [`Config`]; the replies themselves are the server's.
//!
//! Order of checks and error texts follow `configSetCommand` of Redis 7.0.

use std::fmt;

use super::directive::{self, Directive, Origin};
use super::{Config, directives, lookup};

/// What the client of a `CONFIG SET` may do, and when it asks.
#[derive(Clone, Copy, Default, Debug)]
pub struct Access {
    /// It may change protected directives: see [`ProtectedAction`].
    pub protected: bool,
    /// A dataset is being loaded.
    pub loading: bool,
}

/// Why `CONFIG SET` changed nothing. Displays as the whole error reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetError {
    /// No such directive.
    Unknown {
        /// As the client wrote it.
        name: Vec<u8>,
    },
    /// Not while a dataset is loaded.
    Loading,
    /// The directive cannot be changed, the value is refused, or it could not be applied.
    Failed {
        /// The directive.
        name: String,
        /// Redis's text.
        reason: String,
    },
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => {
                // An error reply is one line.
                let name = String::from_utf8_lossy(name).replace(['\r', '\n'], " ");
                write!(f, "ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            Self::Loading => f.write_str("LOADING Redis is loading the dataset in memory"),
            Self::Failed { name, reason } => {
                write!(
                    f,
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
                )
            }
        }
    }
}

impl std::error::Error for SetError {}

impl Config {
    /// `CONFIG GET`: names and values that match any of the patterns, each once, in the order of the table.
    ///
    /// `matches` is the glob matcher, given pattern and name; both names of a directive count. A pattern without wildcard
    /// comes back as the client wrote it. O(patterns x directives).
    pub fn get(
        &self,
        patterns: &[&[u8]],
        matches: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |name: &[u8], row: &Directive| {
            if !found.iter().any(|(seen, _)| seen.eq_ignore_ascii_case(name)) {
                found.push((name.to_vec(), row.get(self)));
            }
        };
        for pattern in patterns {
            if !pattern.iter().any(|byte| b"[*?".contains(byte)) {
                if let Some((row, _)) = lookup(pattern) {
                    add(pattern, row);
                }
                continue;
            }
            for row in directives() {
                for name in row
                    .shown_names()
                    .filter(|name| matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
                {
                    add(name.as_bytes(), row);
                }
            }
        }
        found
    }

    /// `CONFIG SET` of several directives, all or nothing. Returns the names of those whose value is now another.
    ///
    /// # Errors
    /// Any of the pairs is refused: nothing has changed.
    pub fn set_many(
        &mut self,
        pairs: &[(&[u8], &[u8])],
        access: Access,
    ) -> Result<Vec<&'static str>, SetError> {
        self.set_many_with(pairs, access, |_, _| Ok(()))
    }

    /// Like [`Config::set_many`], but `apply` is given the new configuration and the changed names before it counts, and may
    /// still refuse it, naming the directive and the reason.
    ///
    /// # Errors
    /// Any of the pairs is refused, or `apply` fails: nothing has changed here, and `apply` must have undone its own doings.
    pub fn set_many_with(
        &mut self,
        pairs: &[(&[u8], &[u8])],
        access: Access,
        apply: impl FnOnce(&Config, &[&'static str]) -> Result<(), (&'static str, String)>,
    ) -> Result<Vec<&'static str>, SetError> {
        let rows = check_settable(pairs, access)?;
        let mut next = self.clone();
        let failed =
            |name: &str, reason: String| SetError::Failed { name: name.to_owned(), reason };
        for ((row, name), (_, value)) in rows.iter().zip(pairs) {
            let args =
                if row.multi { directive::split_spaces(value) } else { vec![value.to_vec()] };
            row.set(&mut next, &args, Origin::Runtime)
                .map_err(|error| failed(name, error.to_string()))?;
        }
        next.clamp();
        let changed: Vec<_> = rows
            .iter()
            .filter(|(row, _)| row.get(&next) != row.get(self))
            .map(|(row, _)| row.name)
            .collect();
        apply(&next, &changed).map_err(|(name, reason)| failed(name, reason))?;
        *self = next;
        Ok(changed)
    }
}

/// Finds the rows and checks that they may be set, in the order of the pairs: the first trouble is reported.
fn check_settable(
    pairs: &[(&[u8], &[u8])],
    access: Access,
) -> Result<Vec<(&'static Directive, &'static str)>, SetError> {
    let mut rows: Vec<(&'static Directive, &'static str)> = Vec::with_capacity(pairs.len());
    for (given, _) in pairs {
        let (row, name) =
            lookup(given).ok_or_else(|| SetError::Unknown { name: given.to_vec() })?;
        let refuse = |reason: &str| {
            Err(SetError::Failed {
                name: String::from_utf8_lossy(given).into_owned(),
                reason: reason.to_owned(),
            })
        };
        if !row.mutable {
            return refuse("can't set immutable config");
        }
        if row.protected && !access.protected {
            return refuse("can't set protected config");
        }
        if row.deny_loading && access.loading {
            return Err(SetError::Loading);
        }
        // The two names of one directive are no duplicates in Redis; the last one counts.
        if rows.iter().any(|(_, seen)| *seen == name) {
            return refuse("duplicate parameter");
        }
        rows.push((row, name));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Setting;
    use crate::config::{AppendFsync, GROUPS, KeyspaceEvents, MaxmemoryPolicy};

    const ALL: Access = Access { protected: true, loading: false };

    fn set(config: &mut Config, words: &[&str]) -> Result<Vec<&'static str>, String> {
        let pairs: Vec<_> =
            words.chunks(2).map(|pair| (pair[0].as_bytes(), pair[1].as_bytes())).collect();
        config.set_many(&pairs, Access::default()).map_err(|error| error.to_string())
    }

    fn get(config: &Config, name: &str) -> String {
        let found = config.get(&[name.as_bytes()], |_, _| unreachable!("no wildcard"));
        String::from_utf8(found[0].1.clone()).unwrap()
    }

    #[test]
    fn values_are_shown_as_redis_shows_them() {
        let cases = [
            ("maxmemory", "100kB", "102400"),
            ("maxmemory", "", "0"),
            ("maxmemory", "5k", "5000"),
            ("maxmemory", "16777215tb", "argument must be a memory value"),
            ("maxmemory-clients", "5%", "5%"),
            ("maxmemory-clients", "1mb", "1048576"),
            ("hz", "1000", "500"),
            ("hz", "0", "1"),
            ("save", "60 1 30 2", "60 1 30 2"),
            ("save", "", ""),
            ("appendonly", "YES", "yes"),
            ("maxmemory-policy", "AllKeys-LRU", "allkeys-lru"),
            ("oom-score-adj", "relative", "yes"),
            ("shutdown-on-sigterm", "force nosave", "nosave force"),
            ("shutdown-on-sigterm", "default", "default"),
            ("latency-tracking-info-percentiles", "50 99.90 100.0", "50 99.9 100"),
            ("notify-keyspace-events", "g$lshzxetd", "A"),
            ("notify-keyspace-events", "nmEKg", "gKEmn"),
            (
                "client-output-buffer-limit",
                "Slave 1gb 2k 3",
                "normal 268435456 67108864 60 slave 1073741824 2000 3 pubsub 33554432 8388608 60",
            ),
            ("bind", "", ""),
            ("bind", "* -::*", "* -::*"),
            ("slave-priority", "1", "1"),
        ];
        for (name, value, want) in cases {
            let mut config = Config::default();
            match set(&mut config, &[name, value]) {
                Ok(_) => assert_eq!(get(&config, name), want, "{name} {value}"),
                Err(error) => assert!(error.ends_with(want), "{name} {value}: {error}"),
            }
        }
    }

    /// Directive, value, reason; checked against Redis 7.0.15.
    const REFUSALS: &[(&str, &str, &str)] = &[
        ("port", "70000", "argument must be between 0 and 65535 inclusive"),
        ("port", "x", "argument couldn't be parsed into an integer"),
        ("timeout", "007", "argument couldn't be parsed into an integer"),
        ("timeout", "-0", "argument couldn't be parsed into an integer"),
        ("active-expire-effort", "11", "argument must be between 1 and 10 inclusive"),
        ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
        ("appendonly", "on", "argument must be 'yes' or 'no'"),
        ("repl-backlog-size", "0", "argument must be between 1 and 9223372036854775807 inclusive"),
        (
            "proto-max-bulk-len",
            "1kb",
            "argument must be between 1048576 and 9223372036854775807 inclusive",
        ),
        ("maxmemory", "-1", "argument must be a memory value"),
        ("maxmemory-clients", "101%", "percentage argument must be less or equal to 100"),
        ("maxmemory-clients", "x%", "argument must be a memory or percent value"),
        ("appendfsync", "x", "argument(s) must be one of the following: everysec, always, no"),
        (
            "shutdown-on-sigterm",
            "save nosave",
            "shutdown options SAVE and NOSAVE can't be used simultaneously",
        ),
        ("unixsocketperm", "5", "can't set immutable config"),
        ("DIR", "/tmp", "can't set protected config"),
        ("save", "60", "Invalid save parameters"),
        ("save", "60 1  30 2", "Invalid save parameters"),
        ("save", "0 1", "Invalid save parameters"),
        ("bind", "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7", "Too many bind addresses specified."),
        ("oom-score-adj-values", "1 2", "wrong number of arguments"),
        (
            "oom-score-adj-values",
            "1 2 2001",
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
        ),
        (
            "client-output-buffer-limit",
            "normal 1 2",
            "Wrong number of arguments in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit",
            "master 1 2 3",
            "Invalid client class specified in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit",
            "slave 1 2 -3",
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
        ),
        ("notify-keyspace-events", "Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        (
            "latency-tracking-info-percentiles",
            "50 x",
            "Invalid latency-tracking-info-percentiles parameters",
        ),
        (
            "latency-tracking-info-percentiles",
            "101",
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
        ),
        ("proc-title-template", "{x}", "template format is invalid or contains unknown variables"),
        (
            "proc-title-template",
            "{title}",
            "template format is invalid or contains unknown variables",
        ),
        (
            "cluster-announce-hostname",
            "a_b",
            "Hostnames may only contain alphanumeric characters, hyphens or dots",
        ),
        ("tls-port", "1", "this server has no TLS: put a TLS proxy in front of it"),
    ];

    #[test]
    fn refusals_have_the_texts_of_redis() {
        for (name, value, text) in REFUSALS {
            let mut config = Config::default();
            let error = set(&mut config, &[name, value]).unwrap_err();
            assert_eq!(
                error,
                format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {text}")
            );
            assert_eq!(config, Config::default(), "{name} {value}");
        }
    }

    #[test]
    fn several_at_once_are_all_or_nothing() {
        let mut config = Config::default();
        assert_eq!(
            set(&mut config, &["port", "1", "hz", "10", "timeout", "5"]),
            Ok(vec!["port", "timeout"])
        );
        let before = config.clone();
        let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'no such'";
        assert_eq!(set(&mut config, &["port", "2", "no\nsuch", "1"]), Err(unknown.to_owned()));
        let duplicate =
            "ERR CONFIG SET failed (possibly related to argument 'PORT') - duplicate parameter";
        assert_eq!(set(&mut config, &["port", "2", "PORT", "3"]), Err(duplicate.to_owned()));
        // The failing directive is named as in the table, whatever the client wrote.
        let failed = "ERR CONFIG SET failed (possibly related to argument 'slave-priority') - argument couldn't be parsed into an integer";
        assert_eq!(set(&mut config, &["port", "2", "SLAVE-priority", "x"]), Err(failed.to_owned()));
        assert_eq!(config, before);
        let both_names = ["hash-max-listpack-entries", "1", "hash-max-ziplist-entries", "2"];
        assert_eq!(set(&mut config, &both_names).unwrap().len(), 2);
        assert_eq!(config.hash_max_listpack_entries, 2);
    }

    #[test]
    fn a_value_that_cannot_be_applied_changes_nothing() {
        let mut config = Config::default();
        let result =
            config.set_many_with(&[(b"port", b"1"), (b"hz", b"20")], ALL, |next, changed| {
                assert_eq!((next.port, changed), (1, &["port", "hz"][..]));
                Err(("port", "Unable to listen on this port. Check server logs.".to_owned()))
            });
        assert_eq!(
            result.unwrap_err().to_string(),
            "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs."
        );
        assert_eq!(config, Config::default());
    }

    #[test]
    fn protected_directives_need_permission_and_some_wait_for_the_dataset() {
        let mut config = Config::default();
        config.resolve_dir(std::path::Path::new("/srv"));
        assert_eq!(config.set_many(&[(b"dir", b"./sub/.")], ALL), Ok(vec!["dir"]));
        assert_eq!(get(&config, "dir"), "/srv/log/6379/sub");
        let loading = Access { protected: true, loading: true };
        assert_eq!(config.set_many(&[(b"dir", b"/tmp")], loading), Err(SetError::Loading));
        assert_eq!(SetError::Loading.to_string(), "LOADING Redis is loading the dataset in memory");
    }

    #[test]
    fn get_matches_names_and_aliases_once_and_hides_the_hidden() {
        let config = Config::default();
        let names = |patterns: &[&str]| {
            let patterns: Vec<_> = patterns.iter().map(|pattern| pattern.as_bytes()).collect();
            // A prefix is matcher enough here.
            let found = config.get(&patterns, |pattern, name| {
                name.starts_with(pattern.strip_suffix(b"*").unwrap())
            });
            found.into_iter().map(|(name, _)| String::from_utf8(name).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["PORT", "port", "none", "Slaveof"]), ["PORT", "Slaveof"]);
        assert_eq!(names(&["slave-pri*", "REPLICA-PRI*"]), ["slave-priority", "replica-priority"]);
        assert!(!names(&["*"]).contains(&"watchdog-period".to_owned()));
        assert_eq!(names(&["watchdog-period"]), ["watchdog-period"]);
        assert_eq!(names(&["bio*", "bio-cpulist"]), ["bio_cpulist", "bio-cpulist"]);
        assert_eq!(names(&["*", "port"]).iter().filter(|name| *name == "port").count(), 1);
    }

    #[test]
    fn every_default_survives_get_set_get() {
        let mut config = Config::default();
        for row in directives() {
            let before = row.get(&config);
            let args =
                if row.multi { directive::split_spaces(&before) } else { vec![before.clone()] };
            if row.name != "replicaof" {
                row.set(&mut config, &args, Origin::Runtime)
                    .unwrap_or_else(|error| panic!("{}: {error}", row.name));
            }
            assert_eq!(row.get(&config), before, "{}", row.name);
        }
    }

    #[test]
    fn every_limit_of_a_number_fits_its_field() {
        let mut config = Config::default();
        for row in directives().filter(|row| row.refusal.is_none()) {
            let directive::Kind::Number { min, max, unit } = row.kind else { continue };
            let write = |number: i128| match unit {
                directive::Unit::Octal => format!("{number:o}"),
                directive::Unit::MemoryOrPercent if number < 0 => format!("{}%", -number),
                _ => number.to_string(),
            };
            for text in [write(min), write(max)] {
                row.set(&mut config, &[text.clone().into_bytes()], Origin::Runtime).unwrap();
                assert_eq!(row.get(&config), text.into_bytes(), "{}", row.name);
            }
        }
    }

    #[test]
    fn names_are_unique_lower_case_and_every_acting_row_has_help() {
        let mut names: Vec<_> = directives().flat_map(Directive::names).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
        for (group, rows) in &GROUPS[..GROUPS.len() - 1] {
            assert!(rows.iter().all(|row| !row.help.is_empty()), "{group}");
        }
    }

    #[test]
    fn the_words_of_an_enum_are_its_variants() {
        assert_eq!(MaxmemoryPolicy::AllkeysLfu.name(), "allkeys-lfu");
        assert_eq!(AppendFsync::from_value(AppendFsync::Always.to_value()), AppendFsync::Always);
        let config = Config::default();
        assert_eq!(config.maxmemory_policy, MaxmemoryPolicy::Noeviction);
        assert_eq!(config.loglevel, crate::log::Level::Notice);
        assert!(!config.notify_keyspace_events.has(KeyspaceEvents::KEYEVENT));
    }
}
