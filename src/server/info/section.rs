//! The sections of `INFO`: what a client asks for and what it then gets, for the server and the proxy.

/// One section; `write` adds its lines.
#[derive(Clone, Copy)]
pub struct Section<W> {
    /// What a client asks for, in lower case.
    pub name: &'static str,
    /// The line above it.
    pub title: &'static str,
    /// Whether it is shown to clients that ask for nothing special.
    pub default: bool,
    /// A function of the program's own.
    pub write: W,
}

impl<W> Section<W> {
    /// Whether it is among the `wanted`, the default ones if that is empty.
    pub fn is_wanted(&self, wanted: &[&[u8]]) -> bool {
        wanted.is_empty() && self.default
            || wanted.iter().any(|word| match word.to_ascii_lowercase().as_slice() {
                b"all" | b"everything" => true,
                b"default" => self.default,
                b"module_list" => self.name == "modules",
                word => word == self.name.as_bytes(),
            })
    }
}
