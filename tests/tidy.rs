//! What can be checked as text: headers, sizes, that imports point down only, and the names in the documents.

use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules from the bottom up. A module may use those before it, those of its own line, and itself.
const LAYERS: &[&[&str]] = &[
    &["clock", "version", "resp", "glob", "command_syntax"],
    &["log", "net", "config", "dict"],
    &["types"],
    &["keyspace"],
    &["persistence"],
    &["server", "commands"],
    &["host", "cli", "proxy"],
    &["bin"],
];

/// A file is one idea. What is longer has more than one.
const LINES_MAX: usize = 600;

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the sources") {
            let path = entry.expect("an entry of it").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 50, "the sources were not found");
    files
}

/// The code of a file without its tests, which may use anything.
fn code_without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().expect("a first part")
}

fn layer_of(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("{module} has no layer"))
}

fn module_of(path: &Path) -> String {
    let inside = path
        .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .expect("a path inside");
    let first = inside.components().next().expect("a name").as_os_str().to_str().expect("UTF-8");
    first.trim_end_matches(".rs").to_string()
}

#[test]
fn every_file_says_what_it_is() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} has no header", path.display());
    }
}

#[test]
fn no_file_has_more_than_one_idea() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let lines = code_without_tests(&text).lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines without its tests", path.display());
    }
}

#[test]
fn imports_point_down() {
    for path in sources() {
        let module = module_of(&path);
        if module == "lib" || path.ends_with("testing.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for used in code_without_tests(&text).split("crate::").skip(1) {
            let used: String =
                used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if used.is_empty() {
                continue; // use crate::{...}: not the style here, and caught by the next assertion's panic if it were
            }
            assert!(
                layer_of(&used) <= layer_of(&module),
                "{} uses crate::{used}, which is above it",
                path.display()
            );
        }
    }
}

/// The proxy and the client know which commands there are, and nothing of how the server keeps its data.
#[test]
fn the_servers_state_is_its_own() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let code = code_without_tests(&text);
        let outside = matches!(module_of(&path).as_str(), "proxy" | "cli");
        let uses = ["server::State", "server::Server", "crate::keyspace", "crate::types"];
        let used = uses.iter().find(|used| outside && code.contains(**used));
        assert_eq!(used, None, "{}", path.display());
    }
}

#[test]
fn only_net_knows_mio() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let uses = text.contains("mio::");
        assert!(!uses || module_of(&path) == "net", "{} uses mio", path.display());
    }
}

/// The documents name files as they are, from the root, from `src/`, or (a table of its own files) from `src/proxy/`.
#[test]
fn documents_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in ["ARCHITECTURE.md", "README.md", "CHANGELOG.md", "SECURITY.md"] {
        let text = fs::read_to_string(root.join(document)).expect("a document");
        for name in text.split('`').skip(1).step_by(2).filter_map(|code| code.split(' ').next()) {
            let is_source = [".rs", ".sh", ".txt"].iter().any(|ending| name.ends_with(ending))
                && !name.contains(['{', '<', '*']);
            let exists =
                ["", "src", "src/proxy"].iter().any(|at| root.join(at).join(name).exists());
            assert!(!is_source || exists, "{document} names {name}");
        }
    }
}

#[test]
fn nothing_is_left_open() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for word in
            ["todo!(", "unimplemented!(", concat!("TO", "DO"), concat!("FIX", "ME"), "#[ignore]"]
        {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}
