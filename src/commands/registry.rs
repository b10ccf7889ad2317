//! Finds the row of a command by its name, in any case, and gives every row a number for its statistics.

use super::error::{CommandError, shown};
use super::table::{Command, Group, KeySpec, NOT_KEY};
use crate::resp::Args;

/// Number of a command or subcommand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u16);

/// A command or subcommand under the name it has here.
pub struct Registered {
    /// The row.
    pub command: &'static Command,
    /// `get`, or `client|list`.
    pub full_name: String,
    /// The container of a subcommand.
    pub parent: Option<CommandId>,
    /// Subcommands of a container.
    pub subcommands: Vec<CommandId>,
    /// The group of the row, or of its container.
    pub group: Group,
    /// Position of its first key, 0 if it has none or it is not always at the same place.
    pub first_key: usize,
}

impl Registered {
    fn new(
        command: &'static Command,
        full_name: String,
        parent: Option<CommandId>,
        group: Group,
    ) -> Self {
        let first_key = match command.keys.first() {
            Some(KeySpec::Range { first, flags, .. }) if !flags.has(NOT_KEY) => *first,
            _ => 0,
        };
        Self { command, full_name, parent, subcommands: Vec::new(), group, first_key }
    }
}

/// All commands by name.
pub struct Registry {
    commands: Vec<Registered>,
    /// Open addressing, by `name_hash`.
    slots: Vec<NameSlot>,
}

/// A name in the index: what tells a short one from all others is here, in one place.
#[derive(Clone, Copy, Default)]
struct NameSlot {
    word: u64,
    len: usize,
    /// 0 = empty, else the number + 1.
    number: u16,
}

impl Registry {
    /// All of `tables`, some under other names; an empty new name removes a command (`rename-command`).
    /// Returns the name that is not there, or is there already, as an error.
    pub fn new(
        tables: &[(Group, &'static [Command])],
        renamed: &[(String, String)],
    ) -> Result<Self, String> {
        let mut registry = Self { commands: Vec::new(), slots: Vec::new() };
        for &(group, table) in tables {
            for command in table {
                registry.add(command, group);
            }
        }
        let mut names: Vec<Option<String>> =
            registry.commands.iter().map(|c| Some(c.full_name.clone())).collect();
        for (old, new) in renamed {
            let old = old.to_ascii_lowercase();
            let new = new.to_ascii_lowercase();
            let index = names.iter().position(|name| name.as_ref() == Some(&old));
            let index = index.filter(|&i| registry.commands[i].parent.is_none()).ok_or(old)?;
            if names.iter().any(|name| name.as_ref() == Some(&new)) {
                return Err(new);
            }
            names[index] = (!new.is_empty()).then_some(new);
        }
        registry.index(&names);
        Ok(registry)
    }

    fn add(&mut self, command: &'static Command, group: Group) {
        let id = self.next_id();
        let full_name = command.name.to_string();
        self.commands.push(Registered::new(command, full_name, None, group));
        for subcommand in command.subcommands {
            let subcommand_id = self.next_id();
            let full_name = format!("{}|{}", command.name, subcommand.name);
            self.commands.push(Registered::new(subcommand, full_name, Some(id), group));
            self.commands[usize::from(id.0)].subcommands.push(subcommand_id);
        }
    }

    fn next_id(&self) -> CommandId {
        CommandId(u16::try_from(self.commands.len()).expect("a few hundred commands"))
    }

    /// Four slots per command: most names are found at the first look.
    fn index(&mut self, names: &[Option<String>]) {
        self.slots = vec![NameSlot::default(); (names.len() * 4).next_power_of_two()];
        for (number, name) in names.iter().enumerate() {
            let Some(name) = name else { continue };
            if self.commands[number].parent.is_some() {
                continue;
            }
            let word = first_word(name.as_bytes());
            let mut slot = self.first_slot(word, name.as_bytes());
            while self.slots[slot].number != 0 {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = NameSlot { word, len: name.len(), number: number as u16 + 1 };
            self.commands[number].full_name.clone_from(name);
        }
    }

    #[inline]
    fn first_slot(&self, word: u64, name: &[u8]) -> usize {
        (name_hash(word, name) >> 32) as usize & (self.slots.len() - 1)
    }

    /// The command with that name. O(1), nothing allocated.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<CommandId> {
        let word = first_word(name);
        let mut slot = self.first_slot(word, name);
        loop {
            let NameSlot { word: its_word, len, number } = self.slots[slot];
            let number = number.checked_sub(1)?;
            if its_word == word
                && len == name.len()
                && (len <= WORD_BYTES || self.is_name_of(number, name))
            {
                return Some(CommandId(number));
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    fn is_name_of(&self, number: u16, name: &[u8]) -> bool {
        self.commands[usize::from(number)].full_name.as_bytes().eq_ignore_ascii_case(name)
    }

    /// The subcommand of `container` with that name.
    pub fn find_subcommand(&self, container: CommandId, name: &[u8]) -> Option<CommandId> {
        let mut subcommands = self.get(container).subcommands.iter().copied();
        subcommands.find(|&id| self.get(id).command.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The command or subcommand with that full name, as `client|list`, in any case.
    pub fn find_full_name(&self, name: &[u8]) -> Option<CommandId> {
        match name.iter().position(|&byte| byte == b'|') {
            None => self.find(name),
            Some(bar) => self.find_subcommand(self.find(&name[..bar])?, &name[bar + 1..]),
        }
    }

    /// The command a request names, or the subcommand if its command has them; Redis's error if there is none.
    pub fn find_request(&self, args: &Args<'_>) -> Result<CommandId, CommandError> {
        let id = self.find(args.bytes(0)).ok_or_else(|| unknown_command(args))?;
        self.find_subcommand_of(id, args)
    }

    /// The same where the command is known: itself, or the subcommand that the request names.
    #[inline]
    pub fn find_subcommand_of(
        &self,
        id: CommandId,
        args: &Args<'_>,
    ) -> Result<CommandId, CommandError> {
        if !self.get(id).subcommands.is_empty() && args.len() >= 2 {
            return self.find_in_container(id, args);
        }
        Ok(id)
    }

    fn find_in_container(&self, id: CommandId, args: &Args<'_>) -> Result<CommandId, CommandError> {
        self.find_subcommand(id, args.bytes(1)).ok_or_else(|| {
            let container = self.get(id).full_name.to_ascii_uppercase();
            let name = shown(args.bytes(1), SHOWN_MAX);
            CommandError::Bytes(
                [b"ERR unknown subcommand '", name, b"'. Try ", container.as_bytes(), b" HELP."]
                    .concat(),
            )
        })
    }

    /// The command or subcommand with that number.
    #[inline]
    pub fn get(&self, id: CommandId) -> &Registered {
        &self.commands[usize::from(id.0)]
    }

    /// All commands and subcommands, containers before their subcommands.
    pub fn iter(&self) -> impl Iterator<Item = (CommandId, &Registered)> {
        self.commands
            .iter()
            .enumerate()
            .map(|(number, registered)| (CommandId(number as u16), registered))
    }

    /// How many commands and subcommands there are.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

const WORD_BYTES: usize = size_of::<u64>();

/// The first eight bytes of a name in lower case; of a shorter one all, and zeros.
#[inline]
fn first_word(name: &[u8]) -> u64 {
    let word = match name.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => name.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    to_lower_case(word)
}

/// Eight ASCII letters at once: from the capital ones, and nothing else, bit 5 is missing.
#[inline]
fn to_lower_case(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = word & (0x7f * EACH);
    // The top bit of each byte says: at least `A`; above `Z`. No sum reaches the next byte.
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let above_z = low + (0x7f - b'Z' as u64) * EACH;
    let capital = from_a & !above_z & !word & (0x80 * EACH);
    word | capital >> 2
}

/// Mixes length and the first and last bytes, in lower case.
#[inline]
fn name_hash(word: u64, name: &[u8]) -> u64 {
    let last = u64::from(name.last().copied().unwrap_or(0) | 0x20);
    (word ^ (last << 56) ^ (name.len() as u64) << 51).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Bytes of a name, and of all arguments together, that an error repeats.
const SHOWN_MAX: usize = 128;

/// Redis's text for a command that is not there: its name and the beginning of its arguments. Line ends in them become
/// spaces where the reply is written, so that nothing can be taken for the end of the reply.
fn unknown_command(args: &Args<'_>) -> CommandError {
    let mut arguments = Vec::new();
    for argument in args.iter().skip(1) {
        if arguments.len() >= SHOWN_MAX {
            break;
        }
        let room = SHOWN_MAX - arguments.len();
        arguments.extend_from_slice(&[b"'", shown(argument, room), b"' "].concat());
    }
    let name = shown(args.bytes(0), SHOWN_MAX);
    let text = [b"ERR unknown command '", name, b"', with args beginning with: ", &arguments];
    CommandError::Bytes(text.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_becomes_lower_case_as_alone() {
        for byte in 0..=u8::MAX {
            let neighbours = [b'A', byte, 0xff, byte, b'z', 0, byte, b'Z'];
            let expected = neighbours.map(|byte| byte.to_ascii_lowercase());
            assert_eq!(to_lower_case(u64::from_le_bytes(neighbours)), u64::from_le_bytes(expected));
        }
    }

    #[test]
    fn a_name_is_found_in_any_case_and_nothing_else_is() {
        let registry = Registry::new(crate::commands::TABLES, &[]).unwrap();
        for (id, registered) in registry.iter() {
            let name = registered.full_name.as_str();
            let found = registered.parent.is_none().then_some(id);
            assert_eq!(registry.find(name.as_bytes()), found, "{name}");
            assert_eq!(registry.find(name.to_ascii_uppercase().as_bytes()), found, "{name}");
        }
        for name in
            [&b""[..], b"ge", b"gett", b"get\0", b"\x07et", b"zrangebyscor", b"zrangebyscorf"]
        {
            assert_eq!(registry.find(name), None, "{}", name.escape_ascii());
        }
    }
}
