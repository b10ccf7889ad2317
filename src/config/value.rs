//! The values a directive can hold, and how they move in and out of the typed fields of `Config`.

/// Words a directive accepts, each with the number it stands for. Two words may share a number; the first is shown.
pub type Choices = &'static [(&'static str, u32)];

/// A checked value on its way into, or out of, a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `yes` or `no`.
    Flag(bool),
    /// An integer, in bytes when the directive is a memory size. Wide enough for `u64` and `i64` alike.
    Number(i128),
    /// One of the directive's [`Choices`], or several of them or-ed together.
    Choice(u32),
    /// Any bytes.
    Text(Vec<u8>),
}

/// A field type of `Config` that one simple directive fills.
pub trait Setting {
    /// The value as the table handles it.
    fn to_value(&self) -> Value;

    /// Back from a checked value.
    ///
    /// # Panics
    /// When kind and range of the row do not suit the field: a mistake in the table, which its tests find.
    fn from_value(value: Value) -> Self;
}

const ROW_FITS_FIELD: &str = "kind and range of a row suit its field";

impl Setting for bool {
    fn to_value(&self) -> Value {
        Value::Flag(*self)
    }
    fn from_value(value: Value) -> Self {
        let Value::Flag(flag) = value else { unreachable!("{ROW_FITS_FIELD}") };
        flag
    }
}

impl Setting for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone().into_bytes())
    }
    fn from_value(value: Value) -> Self {
        let Value::Text(bytes) = value else { unreachable!("{ROW_FITS_FIELD}") };
        String::from_utf8(bytes).expect("text directives refuse what is not UTF-8")
    }
}

impl Setting for Vec<u8> {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
    fn from_value(value: Value) -> Self {
        let Value::Text(bytes) = value else { unreachable!("{ROW_FITS_FIELD}") };
        bytes
    }
}

macro_rules! integer_settings {
    ($($integer:ty)*) => { $(
        impl Setting for $integer {
            fn to_value(&self) -> Value {
                Value::Number(i128::from(*self))
            }
            fn from_value(value: Value) -> Self {
                let Value::Number(number) = value else { unreachable!("{ROW_FITS_FIELD}") };
                number.try_into().expect(ROW_FITS_FIELD)
            }
        }
    )* };
}
integer_settings!(u16 u32 u64 i32 i64);

/// Defines an enum whose variants are the words of a directive.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every word with its variant's number, in the order error texts list them.
            pub const CHOICES: Choices = &[$(($word, $name::$variant as u32),)*];
            const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word in configuration files.
            pub fn name(self) -> &'static str {
                Self::CHOICES[self as usize].0
            }
        }

        /// The first variant, only until the table's default is set.
        impl Default for $name {
            fn default() -> Self {
                Self::ALL[0]
            }
        }

        impl Setting for $name {
            fn to_value(&self) -> Value {
                Value::Choice(*self as u32)
            }
            fn from_value(value: Value) -> Self {
                let Value::Choice(number) = value else { unreachable!("{ROW_FITS_FIELD}") };
                Self::ALL[number as usize]
            }
        }
    };
}

choices! {
    /// What to do with a write when `maxmemory` is reached.
    MaxmemoryPolicy {
        /// Evict the least recently used of the keys with a TTL.
        VolatileLru = "volatile-lru",
        /// Evict the least frequently used of the keys with a TTL.
        VolatileLfu = "volatile-lfu",
        /// Evict any key with a TTL.
        VolatileRandom = "volatile-random",
        /// Evict the key that expires soonest.
        VolatileTtl = "volatile-ttl",
        /// Evict the least recently used key.
        AllkeysLru = "allkeys-lru",
        /// Evict the least frequently used key.
        AllkeysLfu = "allkeys-lfu",
        /// Evict any key.
        AllkeysRandom = "allkeys-random",
        /// Evict nothing, refuse the write.
        Noeviction = "noeviction",
    }
}

impl MaxmemoryPolicy {
    /// Whether it looks at how often keys are used.
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::AllkeysLfu | Self::VolatileLfu)
    }

    /// Whether it looks at how long ago keys were used.
    pub fn is_lru(self) -> bool {
        matches!(self, Self::AllkeysLru | Self::VolatileLru)
    }
}

choices! {
    /// The program that has started the server and wants to know when it is ready.
    Supervised {
        /// Upstart, which nobody has any more.
        Upstart = "upstart",
        /// systemd, with `Type=notify`.
        Systemd = "systemd",
        /// systemd, if it is there.
        Auto = "auto",
        /// None.
        No = "no",
    }
}

choices! {
    /// When the append only file is synced.
    AppendFsync {
        /// Once per second: a power cut costs about a second.
        Everysec = "everysec",
        /// Before any reply leaves.
        Always = "always",
        /// When the kernel feels like it.
        No = "no",
    }
}

choices! {
    /// Who may use a protected feature.
    ProtectedAction {
        /// Nobody.
        No = "no",
        /// Every client.
        Yes = "yes",
        /// Clients on the loopback interface or the Unix socket.
        Local = "local",
    }
}

choices! {
    /// How a replica loads a snapshot that comes straight from the socket.
    ReplDisklessLoad {
        /// Through a file on disk.
        Disabled = "disabled",
        /// From the socket when the keyspace is empty.
        OnEmptyDb = "on-empty-db",
        /// From the socket, the old keyspace kept until the new one is complete.
        Swapdb = "swapdb",
    }
}

choices! {
    /// How thoroughly the payload of RESTORE and of a snapshot is checked.
    SanitizeDumpPayload {
        /// Never in full.
        No = "no",
        /// Always in full.
        Yes = "yes",
        /// In full unless it comes from the master or from a file.
        Clients = "clients",
    }
}

/// Words of a directive as their numbers in its [`Choices`]: for directives whose words combine or share a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Word(pub u32);

impl Setting for Word {
    fn to_value(&self) -> Value {
        Value::Choice(self.0)
    }
    fn from_value(value: Value) -> Self {
        let Value::Choice(number) = value else { unreachable!("{ROW_FITS_FIELD}") };
        Self(number)
    }
}

/// The words of `oom-score-adj`.
pub const OOM_SCORE_ADJ: Choices = &[("no", 0), ("yes", 1), ("relative", 1), ("absolute", 2)];

impl Setting for crate::log::Level {
    fn to_value(&self) -> Value {
        Value::Choice(*self as u32)
    }
    fn from_value(value: Value) -> Self {
        use crate::log::Level::{Debug, Nothing, Notice, Verbose, Warning};
        let Value::Choice(number) = value else { unreachable!("{ROW_FITS_FIELD}") };
        [Debug, Verbose, Notice, Warning, Nothing][number as usize]
    }
}

/// The words of `loglevel`.
pub const LOG_LEVELS: Choices =
    &[("debug", 0), ("verbose", 1), ("notice", 2), ("warning", 3), ("nothing", 4)];

/// `save`: a snapshot is written at the end.
pub const SHUTDOWN_SAVE: u32 = 1;
/// `nosave`: none is written, whatever the save points say.
pub const SHUTDOWN_NOSAVE: u32 = 2;
/// `now`: replicas that are behind are not waited for.
pub const SHUTDOWN_NOW: u32 = 4;
/// `force`: the process ends even if something could not be written.
pub const SHUTDOWN_FORCE: u32 = 8;

/// The words of `shutdown-on-sigint` and `shutdown-on-sigterm`; all but the first combine.
pub const SHUTDOWN_FLAGS: Choices = &[
    ("default", 0),
    ("save", SHUTDOWN_SAVE),
    ("nosave", SHUTDOWN_NOSAVE),
    ("now", SHUTDOWN_NOW),
    ("force", SHUTDOWN_FORCE),
    ("safe", 16),
    ("failover", 32),
];
