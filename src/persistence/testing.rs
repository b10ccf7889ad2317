//! A disk in memory that can fail and lose power.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Cursor, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, DiskFile};

#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

/// What is to go wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An append writes so many bytes and then fails.
    Append(usize, ErrorKind),
    /// A sync fails, and what it was to sync is lost with the power.
    Sync(ErrorKind),
    /// A file cannot be cut.
    Truncate(ErrorKind),
}

#[derive(Clone, Default)]
struct State {
    files: BTreeMap<u64, Content>,
    names: BTreeMap<PathBuf, u64>,
    synced_names: BTreeMap<PathBuf, u64>,
    faults: VecDeque<Fault>,
    syncs: usize,
    next: u64,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

struct MemoryFile {
    disk: MemoryDisk,
    number: u64,
}

impl MemoryDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The next call of that kind fails.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// All that was not synced is gone.
    pub fn cut_power(&self) {
        let mut state = self.state();
        state.names = state.synced_names.clone();
        for content in state.files.values_mut() {
            content.bytes.truncate(content.synced);
        }
    }

    /// Another disk with the same files.
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// The bytes of a file.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(Path::new(path)).map(|number| state.files[number].bytes.clone())
    }

    /// Replaces the bytes of a file.
    pub fn set_bytes(&self, path: &str, bytes: &[u8]) {
        let file = self.create(Path::new(path)).unwrap();
        file.append(bytes).unwrap();
        file.sync().unwrap();
        self.sync_directory(Path::new("")).unwrap();
    }

    /// How often something was synced.
    pub fn syncs(&self) -> usize {
        self.state().syncs
    }

    /// All names.
    pub fn all_names(&self) -> Vec<String> {
        self.state().names.keys().map(|path| path.display().to_string()).collect()
    }
}

impl State {
    fn take_fault(&mut self, matches: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let is_next = self.faults.front().is_some_and(matches);
        if is_next { self.faults.pop_front() } else { None }
    }
}

impl DiskFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        let fault = state.take_fault(|fault| matches!(fault, Fault::Append(..)));
        let file = state.files.get_mut(&self.number).unwrap();
        match fault {
            Some(Fault::Append(0, kind)) => Err(kind.into()),
            Some(Fault::Append(count, kind)) => {
                let count = count.min(bytes.len());
                file.bytes.extend_from_slice(&bytes[..count]);
                state.faults.push_front(Fault::Append(0, kind));
                Ok(count)
            }
            _ => {
                file.bytes.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.syncs += 1;
        if let Some(Fault::Sync(kind)) = state.take_fault(|fault| matches!(fault, Fault::Sync(_))) {
            return Err(kind.into());
        }
        let file = state.files.get_mut(&self.number).unwrap();
        file.synced = file.bytes.len();
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let fault = state.take_fault(|fault| matches!(fault, Fault::Truncate(_)));
        if let Some(Fault::Truncate(kind)) = fault {
            return Err(kind.into());
        }
        let file = state.files.get_mut(&self.number).unwrap();
        file.bytes.truncate(len as usize);
        file.synced = file.synced.min(len as usize);
        Ok(())
    }

    fn facts(&self) -> io::Result<(u64, u64)> {
        let state = self.disk.state();
        let links = state.names.values().filter(|&&number| number == self.number).count();
        Ok((state.files[&self.number].bytes.len() as u64, links as u64))
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        state.files.insert(number, Content::default());
        state.names.insert(path.to_path_buf(), number);
        Ok(Arc::new(MemoryFile { disk: self.clone(), number }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let number = *self.state().names.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile { disk: self.clone(), number }))
    }

    fn read(&self, path: &Path) -> io::Result<(Box<dyn io::Read + Send>, u64)> {
        let state = self.state();
        let number = state.names.get(path).ok_or(ErrorKind::NotFound)?;
        let bytes = state.files[number].bytes.clone();
        let len = bytes.len() as u64;
        Ok((Box::new(Cursor::new(bytes)), len))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let number = state.names.remove(from).ok_or(ErrorKind::NotFound)?;
        state.names.insert(to.to_path_buf(), number);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().names.remove(path).map(|_| ()).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.syncs += 1;
        state.synced_names = state.names.clone();
        Ok(())
    }

    fn make_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn names(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.state();
        let inside = state.names.keys().filter(|name| name.parent() == Some(path));
        Ok(inside.cloned().collect())
    }
}
