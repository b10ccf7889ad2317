//! System calls that fail, are late or are noted: the server as the tracee of Debian's `strace`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::works;

/// Whether `strace` is here and may trace.
pub fn can_trace() -> bool {
    works("strace", &["-qq", "-o", "/dev/null", "true"])
}

/// What `strace` writes, removed with the test.
pub struct Trace {
    file: PathBuf,
    options: Vec<String>,
}

impl Trace {
    /// A trace with these expressions: `trace=fdatasync`, `inject=fdatasync:error=EIO:when=2`. Counts of `when` are
    /// those of one thread.
    pub fn new(expressions: &[&str]) -> Trace {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mini-redis-{}-{count}.strace", std::process::id());
        let file = std::env::temp_dir().join(name);
        let options = expressions.iter().flat_map(|words| ["-e".to_string(), words.to_string()]);
        Trace { file, options: options.collect() }
    }

    /// Only calls about this file.
    pub fn of_file(mut self, path: &Path) -> Trace {
        self.options.extend(["-P".to_string(), path.to_string_lossy().into_owned()]);
        self
    }

    /// Shows the paths of descriptors.
    pub fn with_paths(mut self) -> Trace {
        self.options.push("-y".to_string());
        self
    }

    /// What to start the server under. It ends in the traced program itself: process ids and signals are the server's.
    pub fn wrapper(&self) -> Vec<&str> {
        let file = self.file.to_str().expect("a name of ours");
        // `-D`: the server is our child, `strace` is not.
        let mut wrapper = vec!["strace", "-D", "-f", "-qq", "-o", file];
        wrapper.extend(self.options.iter().map(String::as_str));
        wrapper
    }

    /// What was traced so far, a call a line.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap_or_default()
    }

    /// How many faults were injected.
    pub fn injected(&self) -> usize {
        self.text().matches("(INJECTED)").count()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}
