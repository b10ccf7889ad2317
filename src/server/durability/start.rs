//! Opening the files of the log when the server starts: what is there is loaded, what is not there is made.

use std::io::Read as _;
use std::sync::Arc;

use super::load::{Ending, Source};
use super::{LogPaths, SharedDisk};
use crate::log::Level;
use crate::persistence::aof::block::Line;
use crate::persistence::aof::manifest::LogFile;
use crate::persistence::aof::{FileKind, Log, Manifest};
use crate::persistence::disk::{self, DiskFile};
use crate::server::{Server, State};

impl Server {
    /// Begins to load the files that are there, and makes those that are needed. To be called once, before clients are
    /// served. An error is for the log; the process cannot start.
    pub fn open_files(&mut self) -> Result<(), String> {
        let sources = if self.state.config.appendonly {
            self.state.read_manifest()?;
            self.state.sources_of_log()?
        } else {
            self.state.source_of_snapshot().into_iter().collect()
        };
        if sources.is_empty() {
            return self.state.finish_loading(&mut self.keyspace, &Ending::default());
        }
        self.state.begin_loading(&mut self.keyspace, sources);
        Ok(())
    }
}

impl State {
    pub(super) fn log_paths(&self) -> LogPaths {
        let directory = self.config.dir.join(&self.config.appenddirname);
        LogPaths { directory, name: self.config.appendfilename.clone() }
    }

    pub(super) fn read_manifest(&mut self) -> Result<(), String> {
        let (paths, disk) = (self.log_paths(), self.environment.disk());
        let cannot = |what: &str, error: std::io::Error| {
            let error = crate::net::os_text(&error);
            format!("Can't {what} '{}': {error}", paths.directory.display())
        };
        disk.make_directory(&paths.directory)
            .map_err(|error| cannot("make the directory", error))?;
        match disk.read(&paths.manifest()) {
            Ok((mut file, _)) => {
                let mut text = Vec::new();
                file.read_to_end(&mut text)
                    .map_err(|error| cannot("read the manifest in", error))?;
                self.durability.manifest = Manifest::parse(&text)
                    .map_err(|error| format!("\n*** FATAL AOF MANIFEST FILE ERROR ***\n{error}"))?;
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.adopt_old_file(&*disk, &paths)
            }
            Err(error) => Err(cannot("read the manifest in", error)),
        }
    }

    /// Before Redis 7 the log was one file beside the snapshot: it becomes the base.
    fn adopt_old_file(&mut self, disk: &dyn disk::Disk, paths: &LogPaths) -> Result<(), String> {
        let old = self.config.dir.join(&paths.name);
        if disk.read(&old).is_err() {
            return Ok(());
        }
        self.log(
            Level::Notice,
            format_args!(
                "Moving '{}' of an older version into '{}'",
                old.display(),
                paths.directory.display()
            ),
        );
        let base = LogFile { name: paths.name.clone(), number: 1 };
        let manifest = Manifest { base: Some(base), ..Manifest::default() };
        disk::replace(disk, &paths.manifest(), manifest.to_string().as_bytes())
            .and_then(|()| disk.rename(&old, &paths.file(&paths.name)))
            .and_then(|()| disk.sync_directory(&paths.directory))
            .map_err(|error| format!("Can't move the old log: {error}"))?;
        self.durability.manifest = manifest;
        Ok(())
    }

    /// The files of the log, to be loaded. The error is for the log of events.
    pub fn sources_of_log(&mut self) -> Result<Vec<Source>, String> {
        let (paths, disk) = (self.log_paths(), self.environment.disk());
        let mut sources = Vec::new();
        let files: Vec<_> = self
            .durability
            .manifest
            .files()
            .map(|(kind, file)| (kind, file.name.clone()))
            .collect();
        if files.is_empty() {
            // A log that is new begins with what the snapshot has: nobody means to lose that.
            return Ok(self.source_of_snapshot().into_iter().collect());
        }
        for (kind, name) in files {
            let (file, len) =
                disk.read(&paths.file(&name)).map_err(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => format!("The AOF file {name} doesn't exist"),
                    _ => format!(
                        "Fatal error: can't open the append log file {name} for reading: {}",
                        crate::net::os_text(&error)
                    ),
                })?;
            sources.push(Source::new(name, kind == FileKind::Incr, file, len));
        }
        Ok(sources)
    }

    /// The file that `SAVE` writes, to be loaded, if it is there.
    pub fn source_of_snapshot(&mut self) -> Option<Source> {
        let path = self.config.dir.join(&self.config.dbfilename);
        let (file, len) = self.environment.disk().read(&path).ok()?;
        Some(Source::new(self.config.dbfilename.clone(), false, file, len))
    }

    /// Opens the log for what will come: after the last file that was loaded, if it can go on there.
    pub(super) fn open_log(&mut self, ending: &Ending) -> Result<(), String> {
        let (paths, disk) = (self.log_paths(), self.environment.disk());
        let last = self.durability.manifest.incr.last().map(|file| file.name.clone());
        let torn_before =
            ending.torn_before.as_ref().filter(|(name, _)| Some(name) != last.as_ref());
        let cut = torn_before.map_or(Ok(()), |(name, len)| cut_file(&*disk, &paths, name, *len));
        let opened = cut.and_then(|()| match last {
            Some(name) => continue_file(&disk, &paths, &name, ending),
            None => self.first_file(&disk, &paths),
        });
        let (file, len) = opened.map_err(|error| {
            format!("Can't open the append-only file: {}", crate::net::os_text(&error))
        })?;
        self.durability.log = Some(Log::new(file, len, ending.next_block, self.config.appendfsync));
        self.apply_effect_readers();
        self.effects.forget_selected();
        Ok(())
    }

    /// Begins a log in a file that is empty (`CONFIG SET appendonly yes`).
    pub(super) fn start_log(&mut self, file: Arc<dyn DiskFile>) {
        let mut log = Log::new(file, 0, 0, self.config.appendfsync);
        log.write_line(Line::Open(0));
        self.durability.log = Some(log);
        self.apply_effect_readers();
    }

    /// Bytes in the files of the log.
    pub fn log_len(&mut self) -> u64 {
        let (paths, disk) = (self.log_paths(), self.environment.disk());
        let len_of = |name: &str| disk.read(&paths.file(name)).map_or(0, |(_, len)| len);
        self.durability.manifest.files().map(|(_, file)| len_of(&file.name)).sum()
    }

    fn first_file(
        &mut self,
        disk: &SharedDisk,
        paths: &LogPaths,
    ) -> std::io::Result<(Arc<dyn DiskFile>, u64)> {
        let number = self.durability.manifest.next_incr();
        let name = Manifest::incr_name(&paths.name, number);
        self.log(Level::Notice, format_args!("Creating AOF incr file {name} on server start"));
        let opened = create_file(&**disk, paths, &name, 0)?;
        self.durability.manifest.incr.push(LogFile { name, number });
        let text = self.durability.manifest.to_string();
        disk::replace(&**disk, &paths.manifest(), text.as_bytes())?;
        Ok(opened)
    }
}

/// Makes a file of the log that says that blocks follow, and brings it to the device, but not its name.
pub(super) fn create_file(
    disk: &dyn disk::Disk,
    paths: &LogPaths,
    name: &str,
    next_block: u64,
) -> std::io::Result<(Arc<dyn DiskFile>, u64)> {
    let file = disk.create(&paths.file(name))?;
    let len = write_open_line(&*file, 0, next_block)?;
    Ok((file, len))
}

/// Cuts a file that another one follows, before anything is written to that.
fn cut_file(disk: &dyn disk::Disk, paths: &LogPaths, name: &str, len: u64) -> std::io::Result<()> {
    let file = disk.open(&paths.file(name))?;
    file.truncate(len)?;
    disk::sync(&*file)
}

fn continue_file(
    disk: &SharedDisk,
    paths: &LogPaths,
    name: &str,
    ending: &Ending,
) -> std::io::Result<(Arc<dyn DiskFile>, u64)> {
    let file = disk.open(&paths.file(name))?;
    let (len, _) = file.facts()?;
    if ending.sound_end < len {
        file.truncate(ending.sound_end)?;
    }
    let len = write_open_line(&*file, ending.sound_end.min(len), ending.next_block)?;
    Ok((file, len))
}

/// Says in the file that blocks follow, and brings that to the device. Returns the file's length.
fn write_open_line(file: &dyn DiskFile, len: u64, next_block: u64) -> std::io::Result<u64> {
    let mut line = Vec::new();
    Line::Open(next_block).write(&mut line);
    disk::append_all(file, &line).map_err(|(_, error)| error)?;
    disk::sync(file)?;
    Ok(len + line.len() as u64)
}
