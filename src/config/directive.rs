//! One configuration directive: how its value is read, checked, stored and shown.
//!
//! The rows themselves are in `table` and `kept`. Value syntax and error texts are those of Redis 7.0's `config.c`.

use std::fmt;

use super::value::{Choices, Value};
use super::{Config, words};

/// A row of the directive table.
#[derive(Clone, Copy)]
pub struct Directive {
    /// Name in files, in `CONFIG` and, with `--` in front, on the command line. Lower case.
    pub name: &'static str,
    /// Second name, accepted and shown like the first.
    pub alias: Option<&'static str>,
    /// `CONFIG GET` shows the second name only when it is asked for exactly.
    pub alias_hidden: bool,
    /// Syntax of the value.
    pub kind: Kind,
    /// Where the value lives.
    pub store: Store,
    /// The value when nobody sets one, as it is written in a file.
    pub default: &'static str,
    /// One line for `--help`; empty for directives that are only kept.
    pub help: &'static str,
    /// Takes several words, not exactly one.
    pub multi: bool,
    /// `CONFIG SET` may change it.
    pub mutable: bool,
    /// The value is a secret: never logged, redacted in SLOWLOG and MONITOR.
    pub sensitive: bool,
    /// `CONFIG SET` needs `enable-protected-configs`.
    pub protected: bool,
    /// `CONFIG SET` is refused with `-LOADING` while a dataset is loaded.
    pub deny_loading: bool,
    /// `CONFIG GET` shows it only by its exact name.
    pub hidden: bool,
    /// The server acts on it. Otherwise it is accepted, kept, shown, and a changed value is logged once at start.
    pub effect: bool,
    /// A value other than the default that would be dangerous to ignore.
    pub refusal: Option<Refusal>,
}

/// Refuses every value but the default, with the reason.
#[derive(Clone, Copy)]
pub enum Refusal {
    /// At start and in `CONFIG SET`.
    Always(&'static str),
    /// In `CONFIG SET` only.
    AtRuntime(&'static str),
}

/// Where a value lives in [`Config`].
#[derive(Clone, Copy)]
pub enum Store {
    /// In a field of its own type.
    Field {
        /// Reads the field.
        get: fn(&Config) -> Value,
        /// Fills the field with a checked value.
        set: fn(&mut Config, Value),
    },
    /// In the map of values nobody reads yet.
    Kept,
}

/// Unit of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// None.
    Plain,
    /// Base eight: file modes.
    Octal,
    /// Bytes, or with a suffix: `k` = 1000, `kb` = 1024, `m`, `mb`, `g`, `gb`.
    Memory,
    /// Like `Memory`, or `N%`, which is stored as `-N`.
    MemoryOrPercent,
}

/// A check that a kind alone does not make; the error is Redis's text.
pub type TextCheck = fn(&str) -> Result<(), &'static str>;

/// Syntax of a value.
#[derive(Clone, Copy)]
pub enum Kind {
    /// `yes` or `no`.
    Flag,
    /// An integer within limits, both included.
    Number {
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
        /// How it is written.
        unit: Unit,
    },
    /// One word of a list, or several when the row takes several words.
    Choice(Choices),
    /// One word of UTF-8 that passes the check.
    Text(TextCheck),
    /// One word of any bytes.
    Bytes,
    /// Several words with rules of their own: `save`, `bind`, ...
    Special(&'static Special),
}

/// Checks the words of a special directive and changes its field; an error changes nothing.
pub type SetSpecial = fn(&mut Config, &[Vec<u8>], Origin) -> Result<(), ValueError>;

/// Functions of a directive that fits no other kind.
pub struct Special {
    /// Changes the value.
    pub set: SetSpecial,
    /// The value as `CONFIG GET` shows it.
    pub get: fn(&Config) -> String,
    /// The value as arguments of zero or more lines of a file.
    pub lines: fn(&Config) -> Vec<String>,
    /// What `--help` and error messages say is accepted.
    pub accepted: &'static str,
}

/// Who sets a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// File, environment or flag.
    Start {
        /// The same source has set this directive before: `save` lines add up.
        again: bool,
    },
    /// `CONFIG SET`.
    Runtime,
}

/// Why a value is refused. The text is Redis's own, because clients and tests match on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ValueError {
    /// Not `yes` or `no`.
    NotYesNo,
    /// Not an integer.
    NotInteger,
    /// Not an octal number.
    NotOctal,
    /// Not a memory size.
    NotMemory,
    /// Neither a memory size nor a percentage.
    NotMemoryOrPercent,
    /// Outside the limits.
    OutOfRange {
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
        /// How the limits are shown.
        unit: Unit,
    },
    /// More than this percentage.
    PercentTooBig(i128),
    /// Not one of these words.
    NotOneOf(Choices),
    /// The wrong number of words.
    WrongNumberOfArguments,
    /// A rule of this one directive.
    Rule(&'static str),
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYesNo => f.write_str("argument must be 'yes' or 'no'"),
            Self::NotInteger => f.write_str("argument couldn't be parsed into an integer"),
            Self::NotOctal => f.write_str("argument couldn't be parsed as an octal number"),
            Self::NotMemory => f.write_str("argument must be a memory value"),
            Self::NotMemoryOrPercent => f.write_str("argument must be a memory or percent value"),
            Self::OutOfRange { min, max, unit: Unit::Octal } => {
                write!(f, "argument must be between {min:o} and {max:o} inclusive")
            }
            Self::OutOfRange { min, max, .. } => {
                write!(f, "argument must be between {min} and {max} inclusive")
            }
            Self::PercentTooBig(max) => {
                write!(f, "percentage argument must be less or equal to {max}")
            }
            Self::NotOneOf(choices) => {
                write!(f, "argument(s) must be one of the following: {}", choice_list(choices))
            }
            Self::WrongNumberOfArguments => f.write_str("wrong number of arguments"),
            Self::Rule(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ValueError {}

impl Directive {
    /// Checks the words and changes the value; an error changes nothing.
    ///
    /// # Errors
    /// The words are not what [`Directive::accepted`] says, or the value is refused by the row.
    pub fn set(
        &self,
        config: &mut Config,
        args: &[Vec<u8>],
        origin: Origin,
    ) -> Result<(), ValueError> {
        let value = match self.kind {
            Kind::Special(special) => return (special.set)(config, args, origin),
            kind => kind.parse(args, self.multi)?,
        };
        let refused = match self.refusal {
            Some(Refusal::Always(reason)) => Some(reason),
            Some(Refusal::AtRuntime(reason)) if origin == Origin::Runtime => Some(reason),
            _ => None,
        };
        if let Some(reason) = refused
            && value != self.default_value()
        {
            return Err(ValueError::Rule(reason));
        }
        match self.store {
            Store::Field { set, .. } => set(config, value),
            Store::Kept => {
                config.kept.insert(self.name, value);
            }
        }
        Ok(())
    }

    /// The value as `CONFIG GET` shows it.
    pub fn get(&self, config: &Config) -> Vec<u8> {
        match self.kind {
            Kind::Special(special) => (special.get)(config).into_bytes(),
            kind => kind.show(&self.value(config)),
        }
    }

    /// The value as arguments of zero or more lines of a file.
    pub(super) fn lines(&self, config: &Config) -> Vec<String> {
        match self.kind {
            Kind::Special(special) => (special.lines)(config),
            kind => match self.value(config) {
                // An empty string is the same as no line at all, when nothing is the default.
                Value::Text(bytes) if bytes.is_empty() && self.default.is_empty() => Vec::new(),
                Value::Text(bytes) => vec![words::quoted(&bytes)],
                value => vec![kind.write(&value)],
            },
        }
    }

    /// What may be written after the name, as a phrase.
    pub fn accepted(&self) -> String {
        match self.kind {
            Kind::Flag => "yes or no".to_owned(),
            Kind::Number { min, max, unit } => match unit {
                Unit::Plain => format!("an integer from {min} to {max}"),
                Unit::Octal => format!("an octal number from {min:o} to {max:o}"),
                Unit::Memory => {
                    format!(
                        "bytes from {min} to {max}, as a number with or without b, k, kb, m, mb, g or gb"
                    )
                }
                Unit::MemoryOrPercent => {
                    format!("bytes up to {max} (k, kb, m, mb, g, gb), or 0% to {}%", -min)
                }
            },
            Kind::Choice(choices) if self.multi => {
                format!("one or more of {}", choice_list(choices))
            }
            Kind::Choice(choices) => format!("one of {}", choice_list(choices)),
            Kind::Text(_) | Kind::Bytes => "one word, or text in quotes".to_owned(),
            Kind::Special(special) => special.accepted.to_owned(),
        }
    }

    fn value(&self, config: &Config) -> Value {
        match self.store {
            Store::Field { get, .. } => get(config),
            Store::Kept => {
                config.kept.get(self.name).cloned().unwrap_or_else(|| self.default_value())
            }
        }
    }

    fn default_value(&self) -> Value {
        let args = self.default_args();
        self.kind.parse(&args, self.multi).expect("a row's default is a value of its kind")
    }

    /// The default as words.
    pub(super) fn default_args(&self) -> Vec<Vec<u8>> {
        if self.multi {
            split_spaces(self.default.as_bytes())
        } else {
            vec![self.default.as_bytes().to_vec()]
        }
    }
}

/// `CONFIG SET` hands over one string; a directive of several words splits it at every single space, as Redis does.
pub(super) fn split_spaces(text: &[u8]) -> Vec<Vec<u8>> {
    if text.is_empty() {
        Vec::new()
    } else {
        text.split(|&b| b == b' ').map(<[u8]>::to_vec).collect()
    }
}

fn choice_list(choices: Choices) -> String {
    choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}

impl Kind {
    /// Reads a value; `multi`: of several words.
    ///
    /// # Errors
    /// The words are no value of this kind.
    ///
    /// # Panics
    /// It is special: its own functions read it.
    pub fn parse(self, args: &[Vec<u8>], multi: bool) -> Result<Value, ValueError> {
        if let Kind::Choice(choices) = self {
            return parse_choice(args, choices, multi);
        }
        let [word] = args else { return Err(ValueError::WrongNumberOfArguments) };
        match self {
            Kind::Flag if word.eq_ignore_ascii_case(b"yes") => Ok(Value::Flag(true)),
            Kind::Flag if word.eq_ignore_ascii_case(b"no") => Ok(Value::Flag(false)),
            Kind::Flag => Err(ValueError::NotYesNo),
            Kind::Number { min, max, unit } => {
                parse_number(word, min, max, unit).map(Value::Number)
            }
            Kind::Text(check) => {
                let text = str::from_utf8(word)
                    .map_err(|_| ValueError::Rule("argument must be UTF-8 text"))?;
                check(text).map_err(ValueError::Rule)?;
                Ok(Value::Text(word.clone()))
            }
            Kind::Bytes => Ok(Value::Text(word.clone())),
            Kind::Choice(_) | Kind::Special(_) => unreachable!("handled by the callers"),
        }
    }

    /// The value as `CONFIG GET` shows it.
    pub fn show(self, value: &Value) -> Vec<u8> {
        match (self, value) {
            (_, Value::Text(bytes)) => bytes.clone(),
            (Kind::Choice(choices), Value::Choice(number)) => {
                choice_names(choices, *number).into_bytes()
            }
            (Kind::Number { unit, .. }, Value::Number(number)) => {
                show_number(*number, unit).into_bytes()
            }
            (_, Value::Flag(flag)) => if *flag { "yes" } else { "no" }.into(),
            _ => unreachable!("a value is of its row's kind"),
        }
    }

    /// Like `show`, but memory sizes in the largest unit that divides them.
    fn write(self, value: &Value) -> String {
        match (self, value) {
            (
                Kind::Number { unit: Unit::Memory | Unit::MemoryOrPercent, .. },
                Value::Number(bytes),
            ) if *bytes >= 0 => write_memory(*bytes),
            _ => String::from_utf8(self.show(value)).expect("only text can hold other bytes"),
        }
    }
}

fn parse_choice(args: &[Vec<u8>], choices: Choices, multi: bool) -> Result<Value, ValueError> {
    if args.is_empty() || (!multi && args.len() != 1) {
        return Err(ValueError::NotOneOf(choices));
    }
    let mut number = 0;
    for arg in args {
        let found = choices.iter().find(|(word, _)| arg.eq_ignore_ascii_case(word.as_bytes()));
        number |= found.ok_or(ValueError::NotOneOf(choices))?.1;
    }
    if choices == super::value::SHUTDOWN_FLAGS && number & 3 == 3 {
        return Err(ValueError::Rule(
            "shutdown options SAVE and NOSAVE can't be used simultaneously",
        ));
    }
    Ok(Value::Choice(number))
}

fn choice_names(choices: Choices, number: u32) -> String {
    if let Some((word, _)) = choices.iter().find(|(_, n)| *n == number) {
        return (*word).to_owned();
    }
    choices
        .iter()
        .filter(|(_, n)| number & n != 0)
        .map(|(word, _)| *word)
        .collect::<Vec<_>>()
        .join(" ")
}

fn parse_number(word: &[u8], min: i128, max: i128, unit: Unit) -> Result<i128, ValueError> {
    let number = match unit {
        Unit::Plain => parse_integer(word).map(i128::from).ok_or(ValueError::NotInteger)?,
        Unit::Octal => parse_octal(word).ok_or(ValueError::NotOctal)?,
        // -1 stands for "no limit" where a size may be negative.
        Unit::Memory if min < 0 && word == b"-1" => -1,
        Unit::Memory => parse_memory(word).map(i128::from).ok_or(ValueError::NotMemory)?,
        Unit::MemoryOrPercent => match word.strip_suffix(b"%").map(parse_integer) {
            Some(Some(percent @ 0..)) if i128::from(percent) > -min => {
                return Err(ValueError::PercentTooBig(-min));
            }
            Some(Some(percent @ 0..)) => -i128::from(percent),
            _ => parse_memory(word).map(i128::from).ok_or(ValueError::NotMemoryOrPercent)?,
        },
    };
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(ValueError::OutOfRange { min, max, unit })
    }
}

/// Like Redis's `string2ll`: no sign but `-`, no leading zero, no space.
pub(super) fn parse_integer(word: &[u8]) -> Option<i64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let canonical = match digits {
        [b'0'] => word.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { str::from_utf8(word).ok()?.parse().ok() } else { None }
}

fn parse_octal(word: &[u8]) -> Option<i128> {
    i64::from_str_radix(str::from_utf8(word).ok()?, 8).ok().map(i128::from)
}

/// Digits and a unit. No digits mean 0, as in Redis; what does not fit in 64 bits is refused (Redis wraps around).
pub(super) fn parse_memory(word: &[u8]) -> Option<u64> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = word.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number: u64 = if digits == 0 { 0 } else { str::from_utf8(number).ok()?.parse().ok()? };
    number.checked_mul(factor)
}

fn show_number(number: i128, unit: Unit) -> String {
    match unit {
        Unit::Octal => format!("{number:o}"),
        Unit::MemoryOrPercent if number < 0 => format!("{}%", -number),
        _ => number.to_string(),
    }
}

/// The shortest form [`parse_memory`] reads back.
pub(super) fn write_memory(bytes: i128) -> String {
    for (unit, shift) in [("gb", 30), ("mb", 20), ("kb", 10)] {
        if bytes != 0 && bytes % (1 << shift) == 0 {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}
