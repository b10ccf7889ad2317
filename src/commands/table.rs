//! What a row of the command table says: everything about a command that is not behaviour.
//!
//! Dispatch, `COMMAND`, `COMMAND DOCS`, ACL categories, the client's help and completion and the proxy's routing all
//! read these rows, so a name, an arity or a key position is written once.

use super::{CommandResult, Ctx};
use crate::resp::Args;

/// A command's code: reads its arguments, checks all that can fail, changes, calls `ctx.modified`, replies.
/// One that returns `Err` has changed nothing and written nothing.
pub type Handler = fn(&mut Ctx<'_>, &Args<'_>) -> CommandResult;

/// How many arguments a command takes, its name (and its subcommand's) included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// Just so many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
}

impl Arity {
    /// Whether `argc` arguments are right.
    #[inline]
    pub fn accepts(self, argc: usize) -> bool {
        match self {
            Self::Exactly(n) => argc == n,
            Self::AtLeast(n) => argc >= n,
        }
    }

    /// As `COMMAND INFO` says it: negative for "or more".
    pub fn number(self) -> i64 {
        match self {
            Self::Exactly(n) => n as i64,
            Self::AtLeast(n) => -(n as i64),
        }
    }
}

/// A set of command flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(pub u32);

impl std::ops::BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Both sets; `const`, where `|` is not.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all flags of `other` are in this set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the flags in it, in Redis's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        FLAG_NAMES
            .iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & 1 << bit != 0)
            .map(|(_, name)| *name)
    }
}

/// Flag names as `COMMAND INFO` gives them; the index is the bit.
const FLAG_NAMES: [&str; 19] = [
    "write",
    "readonly",
    "denyoom",
    "admin",
    "pubsub",
    "noscript",
    "blocking",
    "loading",
    "stale",
    "skip_monitor",
    "skip_slowlog",
    "asking",
    "fast",
    "no_auth",
    "may_replicate",
    "no_mandatory_keys",
    "no_async_loading",
    "no_multi",
    "allow_busy",
];

/// Changes the keyspace.
pub const WRITE: Flags = Flags(1);
/// Reads the keyspace.
pub const READ: Flags = Flags(1 << 1);
/// May need memory: refused when `maxmemory` is reached.
pub const DENYOOM: Flags = Flags(1 << 2);
/// For administrators.
pub const ADMIN: Flags = Flags(1 << 3);
/// Has to do with channels.
pub const PUBSUB: Flags = Flags(1 << 4);
/// Not for scripts.
pub const NOSCRIPT: Flags = Flags(1 << 5);
/// May block the client.
pub const BLOCKING: Flags = Flags(1 << 6);
/// Works while the dataset is loading.
pub const LOADING: Flags = Flags(1 << 7);
/// Works on a replica whose data is stale.
pub const STALE: Flags = Flags(1 << 8);
/// Not shown by `MONITOR`.
pub const SKIP_MONITOR: Flags = Flags(1 << 9);
/// Not in the slow log.
pub const SKIP_SLOWLOG: Flags = Flags(1 << 10);
/// Accepted in a slot that is being imported.
pub const ASKING: Flags = Flags(1 << 11);
/// O(1) or O(log N).
pub const FAST: Flags = Flags(1 << 12);
/// Works before `AUTH`.
pub const NO_AUTH: Flags = Flags(1 << 13);
/// Is replicated although it writes no key.
pub const MAY_REPLICATE: Flags = Flags(1 << 14);
/// May be given no keys.
pub const NO_MANDATORY_KEYS: Flags = Flags(1 << 15);
/// Refused while loading asynchronously.
pub const NO_ASYNC_LOADING: Flags = Flags(1 << 16);
/// Not within `MULTI`.
pub const NO_MULTI: Flags = Flags(1 << 17);
/// Works while a script keeps the server busy.
pub const ALLOW_BUSY: Flags = Flags(1 << 18);

/// So quick that it is timed together with its neighbours. Not shown: Redis has no such flag.
pub const QUICK: Flags = Flags(1 << 19);
/// Runs in spite of `CLIENT PAUSE`. Not shown: Redis has no such flag.
pub const NEVER_PAUSED: Flags = Flags(1 << 20);

/// Works for a RESP2 client that is subscribed. Not shown: Redis has no such flag.
pub const WHILE_SUBSCRIBED: Flags = Flags(1 << 21);
/// Subscribes or unsubscribes: its replies are messages.
pub const SUBSCRIBING: Flags = PUBSUB.and(WHILE_SUBSCRIBED);

/// What a command does with a key: access class and effect, as in Redis's key specifications.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyFlags(pub u16);

impl KeyFlags {
    /// Both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all flags of `other` are in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the flags in it, in Redis's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [&str; 11] = [
            "RO",
            "RW",
            "OW",
            "RM",
            "access",
            "update",
            "insert",
            "delete",
            "not_key",
            "incomplete",
            "variable_flags",
        ];
        NAMES
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & 1 << bit != 0)
            .map(|(_, name)| name)
    }
}

/// Reads the value, returns some of it.
pub const RO: KeyFlags = KeyFlags(1);
/// Reads and changes the value.
pub const RW: KeyFlags = KeyFlags(1 << 1);
/// Overwrites the value without reading it.
pub const OW: KeyFlags = KeyFlags(1 << 2);
/// Deletes the key.
pub const RM: KeyFlags = KeyFlags(1 << 3);
/// Returns, copies or uses the content.
pub const ACCESS: KeyFlags = KeyFlags(1 << 4);
/// Changes content.
pub const UPDATE: KeyFlags = KeyFlags(1 << 5);
/// Adds content.
pub const INSERT: KeyFlags = KeyFlags(1 << 6);
/// Removes content.
pub const DELETE: KeyFlags = KeyFlags(1 << 7);
/// Names something that is no key, but is placed like one: a shard channel.
pub const NOT_KEY: KeyFlags = KeyFlags(1 << 8);
/// Not all keys may be found this way.
pub const INCOMPLETE: KeyFlags = KeyFlags(1 << 9);
/// Which access it is depends on the other arguments.
pub const VARIABLE_FLAGS: KeyFlags = KeyFlags(1 << 10);

/// One rule that finds keys among the arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeySpec {
    /// From argument `first` to `last` (negative: from the end, -1 is the last), each `step`th.
    Range {
        /// First key.
        first: usize,
        /// Last key.
        last: i32,
        /// Distance.
        step: usize,
        /// What is done with them.
        flags: KeyFlags,
    },
    /// Argument `count` says how many keys follow it, `step` apart.
    Counted {
        /// Where the number is.
        count: usize,
        /// Distance of keys.
        step: usize,
        /// What is done with them.
        flags: KeyFlags,
    },
    /// All that follows a word among the options of `MIGRATE`; then the other specs do not count.
    Keyword {
        /// The word.
        word: &'static str,
        /// Where the options begin.
        options_at: usize,
        /// What is done with them.
        flags: KeyFlags,
    },
    /// Keys that no position tells, for the reason in `notes`.
    Unknown {
        /// Why.
        notes: &'static str,
        /// The option of `SORT` that they follow; `None` if they are not among the arguments at all.
        option: Option<&'static str>,
        /// What is done with them.
        flags: KeyFlags,
    },
}

/// One key, argument 1.
pub const fn one(flags: KeyFlags) -> KeySpec {
    at(1, flags)
}

/// One key, argument `index`.
pub const fn at(index: usize, flags: KeyFlags) -> KeySpec {
    KeySpec::Range { first: index, last: index as i32, step: 1, flags }
}

/// All arguments from the first on.
pub const fn all(flags: KeyFlags) -> KeySpec {
    every(1, flags)
}

/// All arguments from the first on, `step` apart (`MSET`: 2).
pub const fn every(step: usize, flags: KeyFlags) -> KeySpec {
    KeySpec::Range { first: 1, last: -1, step, flags }
}

/// As many keys as argument `count` says, `step` apart.
pub const fn counted(count: usize, step: usize, flags: KeyFlags) -> KeySpec {
    KeySpec::Counted { count, step, flags }
}

/// What a command is about: its place in the documentation, and its ACL category where it has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Strings.
    String,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Hashes.
    Hash,
    /// Keys of any type.
    Generic,
    /// The connection itself.
    Connection,
    /// The server as a whole.
    Server,
    /// Programs that run in the server.
    Scripting,
    /// Sorted sets.
    SortedSet,
    /// Commands that run together.
    Transactions,
    /// Channels and their subscribers.
    Pubsub,
}

impl Group {
    /// As `COMMAND DOCS` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::Generic => "generic",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Scripting => "scripting",
            Self::SortedSet => "sorted-set",
            Self::Transactions => "transactions",
            Self::Pubsub => "pubsub",
        }
    }

    /// The ACL category that all commands of the group have, if any.
    pub fn category(self) -> Option<&'static str> {
        match self {
            Self::String => Some("string"),
            Self::List => Some("list"),
            Self::Set => Some("set"),
            Self::Hash => Some("hash"),
            Self::Generic => Some("keyspace"),
            Self::Connection => Some("connection"),
            Self::Server => None,
            Self::Scripting => Some("scripting"),
            Self::SortedSet => Some("sortedset"),
            Self::Transactions => Some("transaction"),
            Self::Pubsub => None,
        }
    }
}

/// What becomes of a command between `MULTI` and `EXEC`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InMulti {
    /// It is queued.
    Queued,
    /// It runs at once, and the transaction goes on.
    Runs,
    /// It runs at once, whatever the memory, and there is no transaction any more.
    Ends,
    /// The same; it runs what was queued, and so may do all that is done there.
    Executes,
}

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Command {
    /// Name, in lower case.
    pub name: &'static str,
    /// Number of arguments.
    pub arity: Arity,
    /// Flags.
    pub flags: Flags,
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// Code. A command with subcommands has one for being called without any known one.
    pub handler: Handler,
    /// Place in the documentation.
    pub group: Group,
    /// First version of Redis, Valkey (9.x) or this server's kin that has it.
    pub since: &'static str,
    /// Arguments, in the notation of the documentation.
    pub syntax: &'static str,
    /// Time complexity.
    pub complexity: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// ACL categories beyond those that follow from flags and group.
    pub categories: &'static [&'static str],
    /// Whether it is in the category of its group.
    pub in_group_category: bool,
    /// `COMMAND INFO`'s tips for clients and proxies.
    pub tips: &'static [&'static str],
    /// What becomes of it between `MULTI` and `EXEC`.
    pub in_multi: InMulti,
    /// Subcommands; their arity counts from the container's name.
    pub subcommands: &'static [Command],
}

/// A row: name, arity, flags, keys, code. The documentation follows with `docs`.
pub const fn command(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    keys: &'static [KeySpec],
    handler: Handler,
) -> Command {
    Command {
        name,
        arity,
        flags,
        keys,
        handler,
        group: Group::Server,
        since: "",
        syntax: "",
        complexity: "",
        summary: "",
        categories: &[],
        in_group_category: true,
        tips: &[],
        in_multi: InMulti::Queued,
        subcommands: &[],
    }
}

impl Command {
    /// Adds the documentation: since, syntax, complexity, summary.
    pub const fn docs(
        mut self,
        since: &'static str,
        syntax: &'static str,
        complexity: &'static str,
        summary: &'static str,
    ) -> Self {
        self.since = since;
        self.syntax = syntax;
        self.complexity = complexity;
        self.summary = summary;
        self
    }

    /// Adds ACL categories that do not follow from flags and group.
    pub const fn categories(mut self, categories: &'static [&'static str]) -> Self {
        self.categories = categories;
        self
    }

    /// Takes it out of the ACL category of its group.
    pub const fn outside_group_category(mut self) -> Self {
        self.in_group_category = false;
        self
    }

    /// Adds tips.
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// Says what becomes of it between `MULTI` and `EXEC`, if it is not queued.
    pub const fn in_multi(mut self, in_multi: InMulti) -> Self {
        self.in_multi = in_multi;
        self
    }

    /// Adds subcommands.
    pub const fn subcommands(mut self, subcommands: &'static [Command]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// The positions of the keys among `argc` arguments of which `number(i)` reads argument i as a count.
    /// `None` if the arguments cannot be right.
    pub fn key_positions(&self, args: &Args<'_>) -> Option<Vec<(usize, KeyFlags)>> {
        let mut positions = Vec::new();
        for spec in self.keys {
            let (range, step, flags) = match *spec {
                KeySpec::Range { first, last, step, flags } => {
                    let last = if last < 0 {
                        args.len().checked_sub(last.unsigned_abs() as usize)?
                    } else {
                        last as usize
                    };
                    if last >= args.len() {
                        return None;
                    }
                    (first..=last, step, flags)
                }
                KeySpec::Counted { count, step, flags } => {
                    let keys =
                        usize::try_from(crate::resp::number::parse_i64(args.get(count)?)?).ok()?;
                    let last = count.checked_add(keys.checked_mul(step)?)?;
                    if keys == 0 || last >= args.len() {
                        return None;
                    }
                    (count + 1..=last, step, flags)
                }
                KeySpec::Keyword { word, options_at, flags } => {
                    if let Some(found) = migrate_option(args, word, options_at) {
                        positions.clear();
                        positions.extend((found + 1..args.len()).map(|position| (position, flags)));
                    }
                    continue;
                }
                KeySpec::Unknown { option, flags, .. } => {
                    let found = option.and_then(|option| sort_option(args, option));
                    positions.extend(found.map(|position| (position, flags)));
                    continue;
                }
            };
            if flags.has(NOT_KEY) {
                continue;
            }
            positions.extend(range.step_by(step).map(|position| (position, flags)));
        }
        Some(positions)
    }
}

/// The position of a word among the options of `MIGRATE`.
fn migrate_option(args: &Args<'_>, word: &str, mut at: usize) -> Option<usize> {
    while let Some(option) = args.get(at) {
        at += match option.to_ascii_lowercase().as_slice() {
            _ if option.eq_ignore_ascii_case(word.as_bytes()) => return Some(at),
            b"auth" => 2,
            b"auth2" => 3,
            _ => 1,
        };
    }
    None
}

/// The position of what follows the last `option` among the options of `SORT`.
fn sort_option(args: &Args<'_>, option: &str) -> Option<usize> {
    let (mut at, mut found) = (2, None);
    while let Some(word) = args.get(at) {
        at += match word.to_ascii_lowercase().as_slice() {
            word if word == option.as_bytes() && at + 1 < args.len() => {
                found = Some(at + 1);
                2
            }
            b"limit" => 3,
            b"get" | b"by" => 2,
            _ => 1,
        };
    }
    found
}
