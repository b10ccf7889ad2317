//! How `INFO` is written: titles, fields, and numbers in the forms that people read.

use std::fmt::{Display, Write as _};

/// The text of `INFO`, as far as it is written.
#[derive(Default)]
pub struct Text(String);

impl Text {
    /// Begins a section.
    pub fn title(&mut self, title: &str) {
        let gap = if self.0.is_empty() { "" } else { "\r\n" };
        self.line(format_args!("{gap}# {title}"));
    }

    /// A field.
    pub fn field(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name}:{value}"));
    }

    /// Several fields.
    pub fn fields(&mut self, fields: &[(&str, &dyn Display)]) {
        for (name, value) in fields {
            self.field(name, value);
        }
    }

    /// Counters of what this server does not do.
    pub fn zeros(&mut self, names: &[&str]) {
        for name in names {
            self.field(name, 0);
        }
    }

    /// Bytes: as a number, and under `<name>_human` in a short form.
    pub fn bytes(&mut self, name: &str, bytes: usize) {
        self.field(name, bytes);
        self.line(format_args!("{name}_human:{}", human(bytes)));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        write!(self.0, "{line}\r\n").expect("writing to a string succeeds");
    }

    /// All of it.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// `918.88K`: two digits after the point, units of 1024.
pub(super) fn human(bytes: usize) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.2}{}", UNITS[unit])
}

/// Two digits after the point; zero where there is nothing to divide by.
pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A name without the characters that structure the text.
pub fn safe(name: &str) -> String {
    name.replace(['#', ':', '\n', '\r'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_units_of_1024() {
        for (bytes, shown) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (940_928, "918.88K"),
            (12_443_648, "11.87M"),
            (25_276_510_208, "23.54G"),
            (1 << 50, "1.00P"),
            (usize::MAX, "16384.00P"),
        ] {
            assert_eq!(human(bytes), shown);
        }
    }

    #[test]
    fn a_name_cannot_break_the_format() {
        assert_eq!(safe("a#b:c\r\nd|e"), "a_b_c__d|e");
    }
}
