//! The file system side of configuration: reading files with `include`, and replacing one without ever leaving half of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::Config;
use super::flags::{self, Request};
use super::load::{Line, Reason, StartupError, load, parse_environment, parse_file};

/// What the process is to do.
#[derive(Debug)]
pub enum Start {
    /// Run a server.
    Run(Box<Loaded>),
    /// Print this and exit with 0.
    Print(String),
}

/// A configuration to run with.
#[derive(Debug)]
pub struct Loaded {
    /// The values; its `dir` is absolute, but need not exist yet.
    pub config: Config,
    /// Absolute path of the configuration file: `CONFIG REWRITE` replaces it.
    pub file: Option<PathBuf>,
    /// Sentences for the log.
    pub warnings: Vec<String>,
}

/// Reads flags, environment, file and standard input, in falling order of precedence but for the last two, which are one.
///
/// `args` are those after the program's name; relative paths count from `cwd`, which must be the working directory.
///
/// # Errors
/// Any of them is wrong: the error's text is for the user, and the process should exit with 1.
pub fn start(
    args: &[OsString],
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    cwd: &Path,
) -> Result<Start, StartupError> {
    let command_line = match flags::parse(args)? {
        Request::Print(text) => return Ok(Start::Print(text)),
        Request::Run(command_line) => command_line,
    };
    let mut lines = match &command_line.file {
        Some(path) => read_lines(path)?,
        None => Vec::new(),
    };
    if command_line.stdin {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text).map_err(|error| unreadable("-", error))?;
        lines.extend(with_includes("standard input", &text, 0)?);
    }
    // Sorted, so that two variables for one directive (its two names) always give the same result.
    let variables: BTreeMap<OsString, OsString> = environment.into_iter().collect();
    let (variables, mut warnings) = parse_environment(variables);
    lines.extend(variables);
    lines.extend(command_line.lines);
    let mut config = load(&lines)?;
    config.resolve_dir(cwd);
    if command_line.stdin && config.daemonize {
        return Err(StartupError { line: None, reason: Reason::Unsupported(NO_STDIN) });
    }
    warnings.extend(config.warnings());
    Ok(Start::Run(Box::new(Loaded {
        config,
        file: command_line.file.map(|path| cwd.join(path)),
        warnings,
    })))
}

const NO_STDIN: &str = "a configuration on the standard input, which a daemon does not have: write it to a file, or say `daemonize no`";

/// The lines of a file, with those of included files in the place of their `include`.
///
/// # Errors
/// A file that cannot be read, unbalanced quotes, includes without end.
pub fn read_lines(path: &Path) -> Result<Vec<Line>, StartupError> {
    read_nested(path, 0)
}

const INCLUDE_DEPTH_MAX: usize = 16;

fn read_nested(path: &Path, depth: usize) -> Result<Vec<Line>, StartupError> {
    let name = path.to_string_lossy();
    let text = fs::read(path).map_err(|error| unreadable(&name, error))?;
    with_includes(&name, &text, depth)
}

fn with_includes(name: &str, text: &[u8], depth: usize) -> Result<Vec<Line>, StartupError> {
    let mut lines = Vec::new();
    for line in parse_file(name, text)? {
        match line.words.as_slice() {
            [word, pattern] if word.eq_ignore_ascii_case(b"include") => {
                if depth == INCLUDE_DEPTH_MAX {
                    let line = Some(Box::new((line.place, line.text)));
                    return Err(StartupError { line, reason: Reason::IncludeTooDeep });
                }
                for path in included(&String::from_utf8_lossy(pattern)) {
                    lines.extend(read_nested(&path, depth + 1)?);
                }
            }
            _ => lines.push(line),
        }
    }
    Ok(lines)
}

/// Files an `include` means. A name with wildcards may match none (an empty conf.d); a plain name must exist.
fn included(pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![PathBuf::from(pattern)];
    }
    let options =
        glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths = glob::glob_with(pattern, options).into_iter().flatten();
    paths.map(|path| path.unwrap_or_else(|error| error.path().to_owned())).collect()
}

fn unreadable(name: &str, error: io::Error) -> StartupError {
    StartupError { line: None, reason: Reason::File { name: name.to_owned(), error } }
}

/// Replaces a file: a reader, or a machine that loses power, sees the old or the new text and nothing between.
///
/// A link is followed, and the old file's mode is kept, because it may hold a password.
///
/// # Errors
/// The new file could not be written; the old one is as it was.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut temp = path.clone().into_os_string();
    temp.push(format!(".{}.tmp", std::process::id()));
    let temp = PathBuf::from(temp);
    write_synced(&temp, text, fs::metadata(&path).ok())
        .and_then(|()| fs::rename(&temp, &path))
        .inspect_err(|_| {
            // The first error is the one to report.
            let _ = fs::remove_file(&temp);
        })?;
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn write_synced(path: &Path, text: &[u8], old: Option<fs::Metadata>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    if let Some(old) = old {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A directory of its own per test, removed at the end.
    struct TempDir(PathBuf);

    impl TempDir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir()
                .join(format!("mini-redis-config-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn included_files_count_where_they_are_included() {
        let dir = TempDir::new("include");
        let at = dir.0.display();
        dir.write("one.inc", "port 2\nhz 20\n");
        dir.write("two.inc", "port 3\n");
        let main = dir.write(
            "main.conf",
            &format!("port 1\ninclude {at}/*.inc\ninclude {at}/none-*\nhz 30\n"),
        );
        let config = load(&read_lines(&main).unwrap()).unwrap();
        assert_eq!((config.port, config.hz), (3, 30));
        let missing = dir.write("missing.conf", "include /does/not/exist\n");
        let error = read_lines(&missing).unwrap_err().to_string();
        assert!(
            error.contains("can't open config file '/does/not/exist': No such file"),
            "{error}"
        );
        let cycle = dir.write("cycle.conf", &format!("include {at}/cycle.conf\n"));
        assert!(read_lines(&cycle).unwrap_err().to_string().contains("16 levels deep"));
        dir.write("bad.inc2", "\nport x\n");
        let outer = dir.write("outer.conf", &format!("include {at}/bad.inc2\n"));
        let error = load(&read_lines(&outer).unwrap()).unwrap_err().to_string();
        assert!(error.contains(&format!("at line 2 of {at}/bad.inc2")), "{error}");
    }

    #[test]
    fn a_start_combines_all_sources_and_fixes_the_directory() {
        let dir = TempDir::new("start");
        let main = dir.write("main.conf", "port 1\nhz 20\ncrash-log-enabled no\n");
        let args: Vec<OsString> = vec![main.into(), "--port".into(), "7001".into()];
        let variables =
            [("MINI_REDIS_HZ", "30"), ("MINI_REDIS_TYPO", "1")].map(|(a, b)| (a.into(), b.into()));
        let Start::Run(loaded) = start(&args, variables, Path::new("/srv")).unwrap() else {
            panic!("no server")
        };
        assert_eq!((loaded.config.port, loaded.config.hz), (7001, 30));
        assert_eq!(loaded.config.dir, Path::new("/srv/log/7001"));
        assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
        assert_eq!(loaded.file, Some(dir.0.join("main.conf")));
    }

    #[test]
    fn replacing_keeps_the_mode_and_follows_links() {
        let dir = TempDir::new("replace");
        let path = dir.write("a.conf", "old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let link = dir.0.join("link.conf");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 2, "no temporary file is left");
        assert!(replace(&dir.0.join("none/x"), b"new").is_err());
    }
}
