//! RDB files and DUMP payloads go both ways between us and real servers: Redis 7.0, Redis 8 and Valkey 9.
//! A peer that is missing is skipped with a line.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use mini_redis::keyspace::{Recency, ValueRef};
use mini_redis::persistence::rdb::{
    Encoder, Event, Format, Key, Limits, Reader, Writer, dump, restore,
};
use mini_redis::types::limits::PackedLimits;
use mini_redis::types::list::NodeLimit;
use support::keyspace::{Content, Keyspace, LATER_MS, content_of, fill, keyspace_of, one};
use support::peers::find_peer;
use support::{Raw, TestServer, skipped, works};

/// A kind of server that can be there or not.
struct PeerKind {
    program: &'static str,
    /// What it says of its version.
    version: &'static str,
    check: &'static str,
    /// What it loads.
    formats: &'static [Format],
    has_field_expiry: bool,
}

const REDIS_7: PeerKind = PeerKind {
    program: "redis-server",
    version: "v=7.0.",
    check: "redis-check-rdb",
    formats: &[Format::Redis10],
    has_field_expiry: false,
};

const REDIS_8: PeerKind = PeerKind {
    program: "redis8-server",
    version: "v=8.",
    check: "redis8-check-rdb",
    formats: &[Format::Redis10, Format::Redis11, Format::Redis12],
    has_field_expiry: true,
};

const VALKEY_9: PeerKind = PeerKind {
    program: "valkey-server",
    version: "v=9.",
    check: "valkey-check-rdb",
    formats: &[Format::Redis10, Format::Redis11, Format::Valkey80],
    has_field_expiry: true,
};

/// The limits of Redis 7.0.
fn limits() -> Limits {
    Limits {
        list: NodeLimit::new(-2),
        set_intset_entries: 512,
        set: PackedLimits { entries: 0, value_bytes: 0 },
        sorted_set: PackedLimits { entries: 128, value_bytes: 64 },
        hash: PackedLimits { entries: 128, value_bytes: 64 },
        hash_key: (7, 8),
        now_ms: LATER_MS / 2,
    }
}

impl PeerKind {
    /// A server with the files of a folder, if there is the program.
    fn start(&self, test: &str, folder: &Path) -> Option<TestServer> {
        let Some(path) = find_peer(self.program, self.version) else {
            skipped(test, &format!("{} ({}) is not there", self.program, self.version));
            return None;
        };
        let folder = folder.to_str().expect("a name of ours");
        let flags = ["--dir", folder, "--save", "", "--enable-debug-command", "yes"];
        Some(TestServer::start_program(&path, &[], &flags))
    }

    /// Asserts that its checker finds nothing wrong with a file.
    fn check(&self, file: &Path) {
        let Some(path) = find_peer(self.check, "") else { return };
        assert!(works(&path, &[file.to_str().expect("a name of ours")]), "{path} finds errors");
    }
}

/// A folder for the files of a test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("rdb-{name}"));
    let _ = fs::remove_dir_all(&folder); // there is one only after a run that failed
    fs::create_dir_all(&folder).expect("the target folder is ours");
    folder
}

fn content(value: ValueRef<'_>) -> Content {
    match value {
        ValueRef::String(string) => Content::String(string.to_vec()),
        ValueRef::List(list) => Content::List(list.iter().map(|e| e.to_vec()).collect()),
        ValueRef::Set(set) => Content::Set(set.iter().map(|member| member.to_vec()).collect()),
        ValueRef::SortedSet(set) => {
            Content::SortedSet(set.iter().map(|(member, score)| (member.to_vec(), score)).collect())
        }
        ValueRef::Hash(hash) => Content::Hash(
            hash.iter_all()
                .map(|field| (field.name.to_vec(), (field.value.to_vec(), field.expire_at_ms)))
                .collect(),
        ),
    }
}

fn without_field_expiry(keyspace: &Keyspace) -> Keyspace {
    let mut keyspace = keyspace.clone();
    for (content, _) in keyspace.values_mut() {
        if let Content::Hash(fields) = content {
            fields.values_mut().for_each(|(_, expire_at_ms)| *expire_at_ms = None);
        }
    }
    keyspace
}

/// The keys of a file, with their databases.
fn read(file: &[u8]) -> Vec<(u64, Key)> {
    let (mut reader, mut db, mut keys) = (Reader::new(limits(), true), 0, Vec::new());
    let mut ended = false;
    for piece in file.chunks(1000) {
        reader.feed(piece);
        while let Some(event) = reader.next_event().expect("the file is sound") {
            match event {
                Event::SelectDb(number) => db = number,
                Event::Key(key) => keys.push((db, key)),
                Event::End { has_checksum } => ended = has_checksum,
                _ => {}
            }
        }
    }
    assert_eq!(reader.finish(), Ok(()));
    assert!(ended && reader.rest().is_empty());
    keys
}

fn keyspace_in(keys: &[(u64, Key)]) -> Keyspace {
    keys.iter()
        .map(|(db, key)| ((*db, key.name.clone()), (content(key.value.as_ref()), key.expire_at_ms)))
        .collect()
}

/// A file with these keys.
fn write(format: Format, keys: &[(u64, Key)]) -> Vec<u8> {
    let (mut writer, mut file) = (Writer::new(format, true, true), Vec::new());
    writer.begin(&mut file);
    writer.aux(&mut file, b"redis-ver", b"7.0.15");
    writer.aux(&mut file, b"redis-bits", b"64");
    let mut selected = None;
    for (db, key) in keys {
        if selected.replace(*db) != Some(*db) {
            let count = keys.iter().filter(|(other, _)| other == db).count();
            writer.select_db(&mut file, *db, count as u64, 0);
        }
        let value = key.value.as_ref();
        let mut step = writer.begin_key(&mut file, &key.name, value, key.expire_at_ms, key.recency);
        while !writer.step(&mut file, &mut step, value, 512) {}
    }
    writer.end(&mut file);
    file
}

/// All of it with one kind of peer.
fn goes_both_ways(test: &str, kind: &PeerKind) {
    let files = folder(test);
    let Some(server) = kind.start(test, &files) else { return };
    let mut client = server.connect();
    fill(&mut client, kind.has_field_expiry);
    client.run("SAVE").is("+OK");
    let expected = keyspace_of(&mut client, kind.has_field_expiry);
    assert!(expected.len() > 25);

    let keys = read(&fs::read(files.join("dump.rdb")).expect("it was saved"));
    assert_eq!(keyspace_in(&keys), expected);

    for &format in kind.formats {
        let folder = folder(&format!("{test}-{format:?}"));
        let file = write(format, &keys);
        fs::write(folder.join("dump.rdb"), &file).expect("the folder is ours");
        kind.check(&folder.join("dump.rdb"));
        let second = kind.start(test, &folder).expect("the first one has started");
        let mut second = second.connect();
        let found = keyspace_of(&mut second, kind.has_field_expiry);
        if format.has_field_expiry() || !kind.has_field_expiry {
            assert_eq!(found, expected, "{format:?}");
            let digest = |client: &mut Raw| client.run("DEBUG DIGEST").wire();
            assert_eq!(digest(&mut second), digest(&mut client));
        } else {
            assert_eq!(found, without_field_expiry(&expected), "{format:?}");
        }
        fs::remove_dir_all(folder).expect("the folder is ours");
    }
    payloads_go_both_ways(&mut client, kind, &expected);
    fs::remove_dir_all(files).expect("the folder is ours");
}

/// What DUMP gives is read, and what we make of it is taken by RESTORE.
fn payloads_go_both_ways(client: &mut Raw, kind: &PeerKind, expected: &Keyspace) {
    for ((db, key), (expected, _)) in expected {
        if *db != 0 {
            continue;
        }
        let theirs = one(client, &[b"DUMP", key]);
        let name = String::from_utf8_lossy(key);
        let value = restore(&theirs, &limits()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(content(value.as_ref()), *expected, "{name}");
        let ours = dump(value.as_ref(), &mut Encoder::new(true));
        let is_ordered = !matches!(theirs[0], 2 | 4); // the types of tables: in no order
        if kind.program == REDIS_7.program && is_ordered {
            assert!(ours == theirs, "{name}: {ours:?} {theirs:?}");
        }
        if value.as_ref().has_field_expiry() && kind.program == VALKEY_9.program {
            continue; // it takes no version 12
        }
        assert_eq!(one(client, &[b"RESTORE", b"copy", b"0", &ours, b"REPLACE"]), b"OK", "{name}");
        assert_eq!(content_of(client, b"copy", kind.has_field_expiry), *expected, "{name}");
    }
}

#[test]
fn rdb_and_redis_7() {
    goes_both_ways("rdb_and_redis_7", &REDIS_7);
}

#[test]
fn rdb_and_redis_8() {
    goes_both_ways("rdb_and_redis_8", &REDIS_8);
}

#[test]
fn rdb_and_valkey_9() {
    goes_both_ways("rdb_and_valkey_9", &VALKEY_9);
}

#[test]
fn access_times_and_streams_in_files_of_redis_7() {
    let (test, files) = ("access_times_and_streams_in_files_of_redis_7", folder("access"));
    let Some(server) = REDIS_7.start(test, &files) else { return };
    let mut client = server.connect();
    client.run("CONFIG SET maxmemory-policy allkeys-lfu").is("+OK");
    client.run("SET k v").is("+OK");
    client.run("SAVE").is("+OK");
    let file = || fs::read(files.join("dump.rdb")).expect("it was saved");
    assert!(matches!(read(&file())[0].1.recency, Recency::Frequency(_)));
    client.run("CONFIG SET maxmemory-policy allkeys-lru").is("+OK");
    client.run("SAVE").is("+OK");
    // In the field where the frequency was: any number of seconds.
    assert!(matches!(read(&file())[0].1.recency, Recency::IdleSeconds(_)));

    client.run("XADD stream * a b");
    client.run("SAVE").is("+OK");
    let mut reader = Reader::new(limits(), true);
    reader.feed(&file());
    let error = loop {
        match reader.next_event() {
            Ok(event) => assert!(event.is_some()),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().starts_with("streams are not supported, at offset "));
    fs::remove_dir_all(files).expect("the folder is ours");
}

/// `MIGRATE` of all types from `source` to `target`, and that nothing is left.
fn migrates(source: &TestServer, target: &TestServer) {
    let (mut from, mut to) = (source.connect(), target.connect());
    from.run("FLUSHALL").is("+OK");
    fill(&mut from, false);
    let expected = keyspace_of(&mut from, false);
    let (port, mut keys) = (target.port(), Vec::new());
    for (db, name) in expected.keys() {
        if *db == 0 {
            keys.push(name.as_slice());
        }
    }
    assert!(keys.len() > 10);
    let port = port.to_string();
    let head: [&[u8]; 7] =
        [b"MIGRATE", b"127.0.0.1", port.as_bytes(), b"", b"0", b"20000", b"KEYS"];
    from.command(&[&head[..], &keys].concat()).is("+OK");
    from.run("DBSIZE").is(":0");
    for key in keys {
        let name = (0, key.to_vec());
        assert_eq!(content_of(&mut to, key, false), expected[&name].0);
    }
    from.run(&format!("MIGRATE 127.0.0.1 {port} missing 0 1000")).is("+NOKEY");
}

#[test]
fn keys_migrate_to_redis_7_and_back() {
    let (test, files) = ("keys_migrate_to_redis_7_and_back", folder("migrate"));
    let Some(peer) = REDIS_7.start(test, &files) else { return };
    let ours = TestServer::start(&["--appendonly", "no"]);
    migrates(&ours, &peer);
    peer.connect().run("FLUSHALL").is("+OK");
    migrates(&peer, &ours);
}
