//! The files of a snapshot: what is made before it begins, and how it counts in the end. All of it may have to wait for the
//! disk, and is run by jobs: no client waits with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{LogPaths, SharedDisk};
use crate::persistence::aof::Manifest;
use crate::persistence::disk::{self, Disk, DiskFile};

/// What was made.
pub(super) struct MadeFiles {
    /// The snapshot's own file.
    pub file: Arc<dyn DiskFile>,
    /// The one in which the log goes on.
    pub incr: Option<Arc<dyn DiskFile>>,
}

/// The file of changes that is to be made for a rewrite.
pub(super) struct NewIncr {
    pub path: PathBuf,
    pub paths: LogPaths,
    /// The manifest with it in; `None`: the log begins with this rewrite, and its files count when the base does.
    pub manifest: Option<String>,
}

/// Makes the files that a snapshot begins with.
pub(super) fn make_files(
    disk: &dyn Disk,
    temporary: &Path,
    incr: Option<NewIncr>,
) -> io::Result<MadeFiles> {
    let file = disk.create(temporary)?;
    let Some(NewIncr { path, paths, manifest }) = incr else {
        return Ok(MadeFiles { file, incr: None });
    };
    let incr = disk.create(&path)?;
    disk::sync(&*incr)?;
    match manifest {
        Some(text) => disk::replace(disk, &paths.manifest(), text.as_bytes())?,
        None => disk.sync_directory(&paths.directory)?,
    }
    Ok(MadeFiles { file, incr: Some(incr) })
}

/// Brings a file to the device and gives it its name there.
pub(super) fn install(
    disk: &SharedDisk,
    file: &dyn DiskFile,
    from: &Path,
    to: &Path,
) -> io::Result<()> {
    disk::sync(file)?;
    disk.rename(from, to)?;
    disk.sync_directory(to.parent().unwrap_or(Path::new(".")))
}

/// Gives the base its name, then makes it count, then takes away what it replaces: at each moment one whole log is there.
pub(super) fn install_base(
    disk: &SharedDisk,
    file: &dyn DiskFile,
    temporary: &Path,
    paths: &LogPaths,
    manifest: &Manifest,
    history: &[String],
) -> io::Result<()> {
    let base = manifest.base.as_ref().map_or("", |file| file.name.as_str());
    install(disk, file, temporary, &paths.file(base))?;
    disk::replace(&**disk, &paths.manifest(), manifest.to_string().as_bytes())?;
    for name in history {
        // One that stays takes room and nothing else.
        let _ = disk.remove(&paths.file(name));
    }
    Ok(())
}
