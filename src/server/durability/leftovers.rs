//! Files that a crash has left in the directory of the log: half-written ones, and those that a rewrite had replaced and
//! did not come to remove.

use std::path::Path;

use crate::persistence::aof::Manifest;
use crate::persistence::disk::{Done, Lane};
use crate::server::State;

impl State {
    /// Has what a crash has left removed. To be called when the log is loaded and open. One that stays takes room and
    /// nothing else.
    pub(super) fn remove_leftovers(&mut self) {
        let (paths, disk) = (self.log_paths(), self.environment.disk());
        let manifest = self.durability.manifest.clone();
        self.durability.manifest.history.clear();
        let job = move || {
            let names = disk.names(&paths.directory).unwrap_or_default();
            let old = names.iter().filter(|path| is_leftover(path, &paths.name, &manifest));
            old.for_each(|path| drop(disk.remove(path)));
            Done::Files(0, Ok(()))
        };
        self.environment.run_job(Lane::Files, Box::new(job));
    }
}

fn is_leftover(path: &Path, log: &str, manifest: &Manifest) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    if name.starts_with("temp-") || manifest.history.iter().any(|file| file.name == name) {
        return true;
    }
    // Only what is older than all that counts: a file that nobody knows of may be dear to somebody.
    let Some((number, kind)) = numbered(name, log) else { return false };
    let first = match kind {
        "base.rdb" | "base.aof" => manifest.base.as_ref(),
        "incr.aof" => manifest.incr.first(),
        _ => None,
    };
    first.is_some_and(|first| number < first.number)
}

/// The number in the name of a file of the log, and what follows it.
fn numbered<'a>(name: &'a str, log: &str) -> Option<(u64, &'a str)> {
    let (number, kind) = name.strip_prefix(log)?.strip_prefix('.')?.split_once('.')?;
    Some((number.parse().ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_or_is_not_known_stays() {
        let text = "file l.3.base.rdb seq 3 type b\nfile l.2.incr.aof seq 2 type h\nfile l.4.incr.aof seq 4 type i\n";
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        for (name, expected) in [
            ("temp-rewriteaof.rdb", true),
            ("l.2.base.rdb", true),
            ("l.1.base.aof", true),
            ("l.3.base.rdb", false),
            ("l.4.base.rdb", false),
            ("l.2.incr.aof", true),
            ("l.3.incr.aof", true),
            ("l.4.incr.aof", false),
            ("l.5.incr.aof", false),
            ("l.manifest", false),
            ("l.1.backup", false),
            ("other.1.base.rdb", false),
        ] {
            assert_eq!(
                is_leftover(&Path::new("dir").join(name), "l", &manifest),
                expected,
                "{name}"
            );
        }
    }
}
