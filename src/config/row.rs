//! Constructors of directive rows, all `const`: the table is data, and one row is one line.

use super::directive::{Directive, Kind, Refusal, Special, Store, TextCheck, Unit};
use super::value::Choices;

/// The field of the same name as the store of a row.
macro_rules! at {
    ($field:ident) => {
        Store::Field { get: |c| c.$field.to_value(), set: |c, v| c.$field = Setting::from_value(v) }
    };
}
pub(super) use at;

const fn row(
    name: &'static str,
    kind: Kind,
    store: Store,
    default: &'static str,
    help: &'static str,
) -> Directive {
    Directive {
        name,
        alias: None,
        alias_hidden: false,
        kind,
        store,
        default,
        help,
        multi: false,
        mutable: true,
        sensitive: false,
        protected: false,
        deny_loading: false,
        hidden: false,
        effect: matches!(store, Store::Field { .. }),
        refusal: None,
    }
}

/// Row of a `yes`/`no` directive.
pub const fn flag(
    name: &'static str,
    store: Store,
    default: &'static str,
    help: &'static str,
) -> Directive {
    row(name, Kind::Flag, store, default, help)
}

/// Row of an integer.
pub const fn number(
    name: &'static str,
    store: Store,
    default: &'static str,
    limits: (i128, i128),
    help: &'static str,
) -> Directive {
    row(
        name,
        Kind::Number { min: limits.0, max: limits.1, unit: Unit::Plain },
        store,
        default,
        help,
    )
}

/// Row of an integer in another [`Unit`].
pub const fn number_in(
    unit: Unit,
    name: &'static str,
    store: Store,
    default: &'static str,
    limits: (i128, i128),
    help: &'static str,
) -> Directive {
    row(name, Kind::Number { min: limits.0, max: limits.1, unit }, store, default, help)
}

/// Row of a memory size.
pub const fn memory(
    name: &'static str,
    store: Store,
    default: &'static str,
    limits: (i128, i128),
    help: &'static str,
) -> Directive {
    number_in(Unit::Memory, name, store, default, limits, help)
}

/// Row of a word from a list.
pub const fn choice(
    name: &'static str,
    store: Store,
    default: &'static str,
    choices: Choices,
    help: &'static str,
) -> Directive {
    row(name, Kind::Choice(choices), store, default, help)
}

/// Row of free text.
pub const fn text(
    name: &'static str,
    store: Store,
    default: &'static str,
    help: &'static str,
) -> Directive {
    row(name, Kind::Text(|_| Ok(())), store, default, help)
}

/// Row of text with a rule.
pub const fn checked_text(
    name: &'static str,
    store: Store,
    default: &'static str,
    check: TextCheck,
    help: &'static str,
) -> Directive {
    row(name, Kind::Text(check), store, default, help)
}

/// Row of a password: any bytes, never shown in logs.
pub const fn secret(name: &'static str, store: Store, help: &'static str) -> Directive {
    Directive { sensitive: true, ..row(name, Kind::Bytes, store, "", help) }
}

/// Row of several words with rules of their own.
pub const fn special(
    name: &'static str,
    special: &'static Special,
    default: &'static str,
    help: &'static str,
) -> Directive {
    Directive {
        multi: true,
        effect: true,
        ..row(name, Kind::Special(special), Store::Kept, default, help)
    }
}

impl Directive {
    /// With a second name.
    pub const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// With a second name that is shown only by its exact name.
    pub const fn hidden_alias(self, alias: &'static str) -> Self {
        Self { alias_hidden: true, ..self.alias(alias) }
    }

    /// Only at start.
    pub const fn immutable(self) -> Self {
        Self { mutable: false, ..self }
    }

    /// `CONFIG SET` needs `enable-protected-configs`.
    pub const fn protected(self) -> Self {
        Self { protected: true, ..self }
    }

    /// Not while a dataset is loaded.
    pub const fn deny_loading(self) -> Self {
        Self { deny_loading: true, ..self }
    }

    /// Shown only by its exact name.
    pub const fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// Never logged.
    pub const fn sensitive(self) -> Self {
        Self { sensitive: true, ..self }
    }

    /// Exactly one word, or several.
    pub const fn multi(self, multi: bool) -> Self {
        Self { multi, ..self }
    }

    /// Typed, but the server does not act on it.
    pub const fn no_effect(self) -> Self {
        Self { effect: false, ..self }
    }

    /// Only the default is accepted.
    pub const fn refuse(self, reason: &'static str) -> Self {
        Self { refusal: Some(Refusal::Always(reason)), ..self }
    }

    /// Only the default is accepted by `CONFIG SET`.
    pub const fn refuse_at_runtime(self, reason: &'static str) -> Self {
        Self { refusal: Some(Refusal::AtRuntime(reason)), ..self }
    }
}
