//! Drives of a test's own: a small one that runs full, one whose power can be cut, and one that takes what it cannot keep.
//! All need root.
//!
//! The power cut is `FS_IOC_SHUTDOWN` of Linux on an ext4 file system in a file: all that was not synced is dropped, and
//! every later access fails. Mounting it again is the restart of the machine.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Cuts the power of each file system named on a line of its input, flag 2: without writing the journal first.
const CUT: &str = "
import fcntl, os, struct, sys
for line in sys.stdin:
    directory = os.open(line.strip(), os.O_RDONLY)
    fcntl.ioctl(directory, 0x8004587D, struct.pack('I', 2))
    os.close(directory)
    print('cut', flush=True)
";

/// A mounted file system, gone with the test.
pub struct Mount {
    folder: PathBuf,
}

impl Mount {
    /// A file system in memory with room for `bytes`. The error says why there can be none.
    pub fn small(bytes: u64) -> Result<Mount, String> {
        let mount = Mount { folder: new_folder()? };
        let size = format!("size={bytes}");
        mount.run(&["-t", "tmpfs", "-o", &size, "tmpfs"])?;
        Ok(mount)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Its path as an argument.
    pub fn arg(&self) -> &str {
        self.folder.to_str().expect("a name of ours")
    }

    /// Makes it read-only.
    pub fn protect(&self) {
        self.run(&["-o", "remount,ro"]).expect("it is mounted");
    }

    /// Mounts the file system in the file `image`.
    fn run_loop(&self, image: &Path) -> Result<(), String> {
        self.run(&["-o", "loop", image.to_str().expect("a name of ours")])
    }

    fn run(&self, words: &[&str]) -> Result<(), String> {
        run("mount", &[words, &[self.arg()]].concat())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a server of a test that fails may still be in it. Fails where nothing is mounted.
        let _ = run("umount", &["-l", self.arg()]);
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A drive whose power can be cut.
pub struct Drive {
    mount: Mount,
    image: PathBuf,
    cutter: Child,
    answers: BufReader<ChildStdout>,
}

impl Drive {
    /// A new one with an empty ext4 file system. The error says why there can be none here.
    pub fn new() -> Result<Drive, String> {
        let mount = Mount { folder: new_folder()? };
        let image = mount.folder.with_extension("img");
        let mut cutter = Command::new("python3")
            .args(["-c", CUT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("python3: {error}"))?;
        let answers = BufReader::new(cutter.stdout.take().expect("it was asked for"));
        let drive = Drive { mount, image, cutter, answers };
        make_file_system(&drive.image, 64 << 20)?;
        drive.mount.run_loop(&drive.image)?;
        Ok(drive)
    }

    /// Where its file system is.
    pub fn path(&self) -> &Path {
        &self.mount.folder
    }

    /// Its path as an argument.
    pub fn arg(&self) -> &str {
        self.mount.arg()
    }

    /// Cuts the power: what was not synced is gone.
    pub fn cut(&mut self) {
        let line = format!("{}\n", self.mount.arg());
        let input = self.cutter.stdin.as_mut().expect("it was asked for");
        input.write_all(line.as_bytes()).expect("python3 runs");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("python3 runs");
        assert_eq!(answer, "cut\n", "the file system has no FS_IOC_SHUTDOWN");
    }

    /// The power is back. Nobody may use the file system any more when this is called.
    pub fn restart(&self) {
        run("umount", &[self.arg()]).expect("nobody uses it");
        self.mount.run_loop(&self.image).expect("it was mounted before");
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        let _ = self.cutter.kill();
        let _ = self.cutter.wait();
        let _ = fs::remove_file(&self.image);
    }
}

/// A drive with less behind it than it says: when that runs out, a write still succeeds, its sync fails, and what was written
/// is dropped; a second sync of it then says that all is well.
pub struct OverbookedDrive {
    mount: Mount, // before what it is in
    store: Mount,
}

impl OverbookedDrive {
    /// A new one, which still has what it promises. The error says why there can be none here.
    pub fn new() -> Result<OverbookedDrive, String> {
        let store = Mount::small(40 << 20)?;
        let image = store.path().join("image");
        make_file_system(&image, 24 << 20)?;
        // All of it takes room, and then what is free is given back: the file system's own blocks keep theirs.
        let bytes = fs::read(&image).map_err(|error| error.to_string())?;
        let mut file = fs::OpenOptions::new().write(true).open(&image).expect("it is ours");
        file.write_all(&bytes).map_err(|error| error.to_string())?;
        drop(file);
        let drive = OverbookedDrive { mount: Mount { folder: new_folder()? }, store };
        drive.mount.run_loop(&image)?;
        run("fstrim", &[drive.arg()])?;
        Ok(drive)
    }

    /// Where its file system is.
    pub fn path(&self) -> &Path {
        self.mount.path()
    }

    /// Its path as an argument.
    pub fn arg(&self) -> &str {
        self.mount.arg()
    }

    /// From here on nothing new can be kept.
    pub fn run_out(&self) {
        let mut ballast = fs::File::create(self.ballast()).expect("a name is free");
        while ballast.write_all(&[b'x'; 4096]).is_ok() {}
    }

    /// What is synced from here on is kept.
    pub fn give_room(&self) {
        fs::remove_file(self.ballast()).expect("it has run out");
    }

    /// As a restart of the machine: what is read afterwards is what was kept. Nobody may use it when this is called.
    pub fn restart(&self) {
        run("umount", &[self.arg()]).expect("nobody uses it");
        self.mount.run_loop(&self.store.path().join("image")).expect("it was mounted before");
    }

    fn ballast(&self) -> PathBuf {
        self.store.path().join("ballast")
    }
}

/// Makes a file with an empty ext4 file system in it.
fn make_file_system(image: &Path, bytes: u64) -> Result<(), String> {
    let file = fs::File::create(image).map_err(|error| error.to_string())?;
    file.set_len(bytes).map_err(|error| error.to_string())?;
    run("mkfs.ext4", &["-q", "-F", image.to_str().expect("a name of ours")])
}

/// A folder to mount on: in memory if there is such a place, for then the machine's own disk does not matter.
fn new_folder() -> Result<PathBuf, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    if !rustix::process::geteuid().is_root() {
        return Err("only root may mount".to_string());
    }
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = base.join(format!("mini-redis-drive-{}-{count}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    Ok(folder)
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
