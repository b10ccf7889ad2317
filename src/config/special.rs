//! Directives of several words with rules of their own: `bind`, `save`, `client-output-buffer-limit`, ...
//!
//! Rules and texts follow the special configs at the end of Redis 7.0's `config.c`.

use std::path::{Component, Path, PathBuf};

use super::Config;
use super::directive::{Origin, Special, ValueError, parse_integer, parse_memory, write_memory};

/// One `save` rule: a snapshot when this many changes were made and this many seconds have passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SavePoint {
    /// Seconds since the last snapshot, at least 1.
    pub seconds: u64,
    /// Changes since the last snapshot.
    pub changes: u64,
}

/// When a client whose replies pile up is closed. 0 means no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutputLimit {
    /// Closed at once above this many bytes.
    pub hard_bytes: u64,
    /// Closed when above this many bytes ...
    pub soft_bytes: u64,
    /// ... for this many seconds on end.
    pub soft_seconds: u64,
}

impl OutputLimit {
    /// The same with a hard limit, if there is one, of at least so many bytes.
    pub fn at_least(mut self, bytes: u64) -> Self {
        if self.hard_bytes > 0 {
            self.hard_bytes = self.hard_bytes.max(bytes);
        }
        self
    }
}

/// Output limits by class of client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutputLimits {
    /// Clients that are neither replicas nor subscribed.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients subscribed to a channel or pattern.
    pub pubsub: OutputLimit,
}

impl OutputLimits {
    /// Default for normal clients: not unlimited as in Redis, so that one slow reader cannot take all memory.
    pub(super) const DEFAULT: &str =
        "normal 256mb 64mb 60 replica 256mb 64mb 60 pubsub 32mb 8mb 60";

    fn class_mut(&mut self, name: &[u8]) -> Option<&mut OutputLimit> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Some(&mut self.normal),
            b"slave" | b"replica" => Some(&mut self.replica),
            b"pubsub" => Some(&mut self.pubsub),
            _ => None,
        }
    }

    fn by_class(&self, replica_name: &'static str) -> [(&'static str, OutputLimit); 3] {
        [("normal", self.normal), (replica_name, self.replica), ("pubsub", self.pubsub)]
    }
}

/// Classes of keyspace notifications, as bits with Redis's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyspaceEvents(pub u16);

impl KeyspaceEvents {
    /// `K`: publish to `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: u16 = 1 << 0;
    /// `E`: publish to `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: u16 = 1 << 1;
    /// `g`: commands for keys of any type.
    pub const GENERIC: u16 = 1 << 2;
    /// `$`: string commands.
    pub const STRING: u16 = 1 << 3;
    /// `l`: list commands.
    pub const LIST: u16 = 1 << 4;
    /// `s`: set commands.
    pub const SET: u16 = 1 << 5;
    /// `h`: hash commands.
    pub const HASH: u16 = 1 << 6;
    /// `z`: sorted set commands.
    pub const ZSET: u16 = 1 << 7;
    /// `x`: a key expired.
    pub const EXPIRED: u16 = 1 << 8;
    /// `e`: a key was evicted.
    pub const EVICTED: u16 = 1 << 9;
    /// `t`: stream commands.
    pub const STREAM: u16 = 1 << 10;
    /// `m`: a missing key was read; not part of `A`.
    pub const KEY_MISS: u16 = 1 << 11;
    /// `d`: module commands.
    pub const MODULE: u16 = 1 << 13;
    /// `n`: a key was created; not part of `A`.
    pub const NEW: u16 = 1 << 14;
    /// `o`: a key was set to another value as a whole; not part of `A`.
    pub const OVERWRITTEN: u16 = 1 << 15;
    /// `c`: and to one of another type; not part of `A`. Redis's number has no room in 16 bits; this one it uses for what
    /// only modules see.
    pub const TYPE_CHANGED: u16 = 1 << 12;
    /// `A`: `g$lshzxetd`.
    pub const ALL: u16 = 0b10_0111_1111_1100;

    const CLASSES: [(u8, u16); 10] = [
        (b'g', Self::GENERIC),
        (b'$', Self::STRING),
        (b'l', Self::LIST),
        (b's', Self::SET),
        (b'h', Self::HASH),
        (b'z', Self::ZSET),
        (b'x', Self::EXPIRED),
        (b'e', Self::EVICTED),
        (b't', Self::STREAM),
        (b'd', Self::MODULE),
    ];
    const MODES: [(u8, u16); 6] = [
        (b'K', Self::KEYSPACE),
        (b'E', Self::KEYEVENT),
        (b'm', Self::KEY_MISS),
        (b'n', Self::NEW),
        (b'o', Self::OVERWRITTEN),
        (b'c', Self::TYPE_CHANGED),
    ];

    /// True when every bit of `class` is on.
    #[inline]
    pub fn has(self, class: u16) -> bool {
        self.0 & class == class
    }

    fn parse(letters: &[u8]) -> Option<Self> {
        let mut bits = 0;
        for letter in letters {
            bits |= match letter {
                b'A' => Self::ALL,
                _ => Self::CLASSES.iter().chain(&Self::MODES).find(|(name, _)| name == letter)?.1,
            };
        }
        Some(Self(bits))
    }

    fn letters(self) -> String {
        let all = self.has(Self::ALL);
        let classes = Self::CLASSES.iter().filter(|_| !all).chain(&Self::MODES);
        let letters =
            classes.filter(|(_, bit)| self.has(*bit)).map(|(letter, _)| char::from(*letter));
        all.then_some('A').into_iter().chain(letters).collect()
    }
}

/// `replicaof`: who our master is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MasterAddress {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

fn utf8(word: &[u8]) -> Result<String, ValueError> {
    String::from_utf8(word.to_vec()).map_err(|_| ValueError::Rule("argument must be UTF-8 text"))
}

/// A host name or address as it can be written into a file without quotes; `error` if it is none.
fn host_name(word: &[u8], error: &'static str) -> Result<String, ValueError> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".:-*%_".contains(byte);
    if word.is_empty() || !word.iter().all(plain) {
        Err(ValueError::Rule(error))
    } else {
        utf8(word)
    }
}

/// A single empty word means none at all: `bind ""`.
fn none_if_empty(args: &[Vec<u8>]) -> &[Vec<u8>] {
    match args {
        [only] if only.is_empty() => &[],
        _ => args,
    }
}

fn quoted_if_empty(words: String) -> String {
    if words.is_empty() { "\"\"".to_owned() } else { words }
}

pub(super) const DEFAULT_BIND: &str = "127.0.0.1 -::1";

const BIND_ADDRESSES_MAX: usize = 16;

pub(super) const BIND: Special = Special {
    set: |config, args, _| {
        if args.len() > BIND_ADDRESSES_MAX {
            return Err(ValueError::Rule("Too many bind addresses specified."));
        }
        let addresses = none_if_empty(args).iter();
        config.bind = addresses
            .map(|word| host_name(word, "Failed to bind to specified addresses."))
            .collect::<Result<_, _>>()?;
        Ok(())
    },
    get: |config| config.bind.join(" "),
    // Redis takes the line away where it says the default. Ours is loopback: a Redis that reads the file after us would
    // listen everywhere.
    lines: |config| vec![quoted_if_empty(config.bind.join(" "))],
    accepted: "up to 16 addresses, `*` for all, `-` in front for one that may be missing",
};

const BAD_SAVE: ValueError = ValueError::Rule("Invalid save parameters");

pub(super) const SAVE: Special = Special {
    set: |config, args, origin| {
        let clear = matches!(args, [only] if only.is_empty());
        let mut points = Vec::new();
        for pair in none_if_empty(args).chunks(2) {
            let [seconds, changes] = pair else { return Err(BAD_SAVE) };
            let seconds =
                parse_integer(seconds).and_then(|n| u64::try_from(n).ok()).filter(|&n| n > 0);
            let changes = parse_integer(changes).and_then(|n| u64::try_from(n).ok());
            let (Some(seconds), Some(changes)) = (seconds, changes) else { return Err(BAD_SAVE) };
            points.push(SavePoint { seconds, changes });
        }
        if clear || origin != (Origin::Start { again: true }) {
            config.save.clear();
        }
        config.save.extend(points);
        Ok(())
    },
    get: |config| save_pairs(config).join(" "),
    lines: |config| match save_pairs(config) {
        none if none.is_empty() => vec!["\"\"".to_owned()],
        pairs => pairs,
    },
    accepted: "pairs of <seconds> <changes>, or \"\" for no snapshots",
};

fn save_pairs(config: &Config) -> Vec<String> {
    config.save.iter().map(|point| format!("{} {}", point.seconds, point.changes)).collect()
}

pub(super) const CLIENT_OUTPUT_BUFFER_LIMIT: Special = Special {
    set: |config, args, _| {
        let mut limits = config.client_output_buffer_limit;
        if args.len() % 4 != 0 {
            return Err(ValueError::Rule(
                "Wrong number of arguments in buffer limit configuration.",
            ));
        }
        for four in args.chunks(4) {
            let class = limits.class_mut(&four[0]).ok_or(ValueError::Rule(
                "Invalid client class specified in buffer limit configuration.",
            ))?;
            *class = parse_output_limit(&four[1..]).ok_or(ValueError::Rule(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ))?;
        }
        config.client_output_buffer_limit = limits;
        Ok(())
    },
    get: |config| {
        let classes = config.client_output_buffer_limit.by_class("slave");
        let show = |(name, limit): &(_, OutputLimit)| {
            format!("{name} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
        };
        classes.iter().map(show).collect::<Vec<_>>().join(" ")
    },
    lines: |config| {
        let classes = config.client_output_buffer_limit.by_class("replica");
        let write = |(name, limit): &(_, OutputLimit)| {
            let [hard, soft] =
                [limit.hard_bytes, limit.soft_bytes].map(|bytes| write_memory(bytes.into()));
            format!("{name} {hard} {soft} {}", limit.soft_seconds)
        };
        classes.iter().map(write).collect()
    },
    accepted: "<class> <hard limit> <soft limit> <soft seconds>, class normal, replica or pubsub, 0 for no limit",
};

fn parse_output_limit(words: &[Vec<u8>]) -> Option<OutputLimit> {
    let [hard, soft, seconds] = words else { return None };
    Some(OutputLimit {
        hard_bytes: parse_memory(hard)?,
        soft_bytes: parse_memory(soft)?,
        soft_seconds: parse_integer(seconds)?.try_into().ok()?,
    })
}

pub(super) const OOM_SCORE_ADJ_VALUES: Special = Special {
    set: |config, args, _| {
        let [_, _, _] = args else { return Err(ValueError::WrongNumberOfArguments) };
        let mut values = [0; 3];
        for (value, word) in values.iter_mut().zip(args) {
            let number = parse_integer(word).filter(|n| (-2000..=2000).contains(n));
            *value = number.and_then(|n| i32::try_from(n).ok()).ok_or(ValueError::Rule(
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
            ))?;
        }
        config.oom_score_adj_values = values;
        Ok(())
    },
    get: |config| config.oom_score_adj_values.map(|value| value.to_string()).join(" "),
    lines: |config| vec![config.oom_score_adj_values.map(|value| value.to_string()).join(" ")],
    accepted: "three integers from -2000 to 2000: master, replica, child",
};

pub(super) const NOTIFY_KEYSPACE_EVENTS: Special = Special {
    set: |config, args, _| {
        let [letters] = args else { return Err(ValueError::WrongNumberOfArguments) };
        config.notify_keyspace_events = KeyspaceEvents::parse(letters)
            .ok_or(ValueError::Rule("Invalid event class character. Use 'Ag$lshzxeKEtmdn'."))?;
        Ok(())
    },
    get: |config| config.notify_keyspace_events.letters(),
    lines: |config| vec![format!("\"{}\"", config.notify_keyspace_events.letters())],
    accepted: "letters of Ag$lshzxeKEtmdnoc, or \"\" for none",
};

pub(super) const LATENCY_TRACKING_INFO_PERCENTILES: Special = Special {
    set: |config, args, _| {
        let mut percentiles = Vec::new();
        for word in none_if_empty(args) {
            let number = str::from_utf8(word).ok().and_then(|text| text.parse::<f64>().ok());
            let number = number.filter(|number| !number.is_nan());
            let number = number
                .ok_or(ValueError::Rule("Invalid latency-tracking-info-percentiles parameters"))?;
            if !(0.0..=100.0).contains(&number) {
                return Err(ValueError::Rule(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
                ));
            }
            percentiles.push(number);
        }
        config.latency_tracking_info_percentiles = percentiles;
        Ok(())
    },
    get: percentiles,
    lines: |config| vec![quoted_if_empty(percentiles(config))],
    accepted: "percentages from 0 to 100, or \"\" for none",
};

/// `%f` without trailing zeros, as Redis prints them.
fn percentiles(config: &Config) -> String {
    let show = |number: &f64| {
        let digits = format!("{number:.6}");
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    config.latency_tracking_info_percentiles.iter().map(show).collect::<Vec<_>>().join(" ")
}

pub(super) const REPLICAOF: Special = Special {
    set: |config, args, _| {
        let [host, port] = args else { return Err(ValueError::WrongNumberOfArguments) };
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            config.replicaof = None;
            return Ok(());
        }
        let port = parse_integer(port).and_then(|number| u16::try_from(number).ok());
        let port = port.ok_or(ValueError::Rule("Invalid master port"))?;
        config.replicaof =
            Some(MasterAddress { host: host_name(host, "Invalid master host")?, port });
        Ok(())
    },
    get: replicaof,
    lines: |config| {
        Some(replicaof(config)).filter(|address| !address.is_empty()).into_iter().collect()
    },
    accepted: "<host> <port>, or no one",
};

fn replicaof(config: &Config) -> String {
    config
        .replicaof
        .as_ref()
        .map(|master| format!("{} {}", master.host, master.port))
        .unwrap_or_default()
}

pub(super) const DIR: Special = Special {
    set: |config, args, _| {
        let [dir] = args else { return Err(ValueError::WrongNumberOfArguments) };
        let dir = utf8(dir)?;
        if dir.is_empty() && !config.dir.as_os_str().is_empty() {
            return Err(ValueError::Rule("No such file or directory"));
        }
        // Relative to where we are, as the `chdir` of Redis is.
        config.dir = without_dots(&config.dir.join(dir));
        Ok(())
    },
    get: |config| config.dir.to_string_lossy().into_owned(),
    lines: |config| {
        let dir = config.dir.as_os_str().as_encoded_bytes();
        if config.dir == config.default_dir { Vec::new() } else { vec![super::words::quoted(dir)] }
    },
    accepted: "a directory",
};

/// The path without `.` components. `..` stays: only the file system knows where it leads. `.` alone stays too.
pub(super) fn without_dots(path: &Path) -> PathBuf {
    let cleaned: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    if cleaned.as_os_str().is_empty() && !path.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        cleaned
    }
}
