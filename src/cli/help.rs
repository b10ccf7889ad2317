//! `client help`: the command table as text. What the table does not know is asked of the server.

use std::fmt::Write;

use crate::commands::table::Group;
use crate::commands::{Registered, Registry, TABLES};

/// Widest line of the list of names.
const COLUMNS: usize = 100;

/// All commands, under the names Redis gives them.
pub fn registry() -> Registry {
    Registry::new(TABLES, &[]).expect("a test proves that names are unique")
}

/// The help for `topics`: nothing (a list of all), a command with or without a subcommand, or `@group`. `None`: not known here.
pub fn help(topics: &[String]) -> Option<String> {
    let registry = registry();
    match topics {
        [] => Some(overview(&registry)),
        [group] if group.starts_with('@') => help_of_group(&registry, &group[1..]),
        words => {
            let name = words.join("|").to_ascii_lowercase();
            let id = registry.find_full_name(name.as_bytes())?;
            Some(help_of_command(&registry, registry.get(id)))
        }
    }
}

fn overview(registry: &Registry) -> String {
    let mut text = String::from(
        "Commands by group. `help COMMAND` explains one, `help @GROUP` all of a group.\n",
    );
    for &(group, _) in TABLES {
        let _ = write!(text, "\n@{}\n ", group.name());
        let mut column = 1;
        for registered in commands_of(registry, group) {
            let name = registered.full_name.to_ascii_uppercase();
            if column + name.len() + 1 > COLUMNS {
                text.push_str("\n ");
                column = 1;
            }
            column += name.len() + 1;
            let _ = write!(text, " {name}");
        }
        text.push('\n');
    }
    text
}

fn commands_of(registry: &Registry, group: Group) -> impl Iterator<Item = &Registered> {
    let commands = registry.iter().map(|(_, registered)| registered);
    commands.filter(move |registered| registered.parent.is_none() && registered.group == group)
}

fn help_of_group(registry: &Registry, name: &str) -> Option<String> {
    let (group, _) = TABLES.iter().find(|(group, _)| group.name().eq_ignore_ascii_case(name))?;
    let commands = commands_of(registry, *group);
    Some(
        commands
            .map(|registered| help_of_command(registry, registered))
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

fn help_of_command(registry: &Registry, registered: &Registered) -> String {
    let command = registered.command;
    let rows = [
        ("summary", command.summary),
        ("since", command.since),
        ("complexity", command.complexity),
        ("group", registered.group.name()),
    ];
    let mut text = page(&registered.full_name, command.syntax, rows);
    for &id in &registered.subcommands {
        let subcommand = registry.get(id);
        let name = shown_name(&subcommand.full_name);
        let _ =
            writeln!(text, "    {}", format!("{name} {}", subcommand.command.syntax).trim_end());
    }
    text
}

/// One page: the line to type, then what is known about it.
pub fn page<'r>(
    full_name: &str,
    syntax: &str,
    rows: impl IntoIterator<Item = (&'r str, &'r str)>,
) -> String {
    let mut text = format!("\n  {}", shown_name(full_name));
    if !syntax.is_empty() {
        let _ = write!(text, " {syntax}");
    }
    text.push('\n');
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "  {name}: {value}");
    }
    text
}

/// `client|list` as it is typed.
pub fn shown_name(full_name: &str) -> String {
    full_name.replace('|', " ").to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help_of(topics: &[&str]) -> Option<String> {
        help(&topics.iter().map(|topic| (*topic).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_command_is_in_the_overview() {
        let text = help_of(&[]).unwrap();
        let names: Vec<&str> = text.split_whitespace().collect();
        let registry = registry();
        let commands = registry.iter().map(|(_, registered)| registered);
        for registered in commands.filter(|registered| registered.parent.is_none()) {
            let name = registered.full_name.to_ascii_uppercase();
            assert!(names.contains(&name.as_str()), "{name}");
        }
        assert!(text.lines().all(|line| line.len() <= COLUMNS));
    }

    #[test]
    fn a_command_is_explained_by_its_row() {
        let text = help_of(&["append"]).unwrap();
        assert!(text.starts_with("\n  APPEND key value\n  summary: "), "{text}");
        assert!(text.contains("\n  group: string\n"), "{text}");
    }

    #[test]
    fn containers_list_their_subcommands_and_these_have_pages() {
        assert!(help_of(&["CLIENT"]).unwrap().contains("    CLIENT GETNAME\n"));
        assert!(help_of(&["client", "getname"]).unwrap().starts_with("\n  CLIENT GETNAME\n"));
    }

    #[test]
    fn a_group_is_the_pages_of_its_commands() {
        assert!(help_of(&["@String"]).unwrap().contains("\n  GETDEL key\n"));
        assert_eq!(help_of(&["@nosuch"]), None);
        assert_eq!(help_of(&["nosuch"]), None);
    }
}
