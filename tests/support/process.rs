//! A look at the server process from outside, through `/proc`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::process::Signal;

/// Whether the process has a handler for the signal. False when it is gone.
pub fn catches(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    caught & (1 << (signal.as_raw() - 1)) != 0
}

/// Whether the process is there and has not ended.
pub fn exists(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}

/// Resident memory in bytes.
pub fn rss_bytes(pid: u32) -> u64 {
    status_kb(pid, "VmRSS:") * 1024
}

/// The highest resident memory so far, in bytes.
pub fn peak_rss_bytes(pid: u32) -> u64 {
    status_kb(pid, "VmHWM:") * 1024
}

fn status_kb(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the server lives");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the kernel gives it");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number of kB")
}

/// Processor time used so far, user and system, in milliseconds. The kernel counts in steps of 10 ms.
pub fn cpu_ms(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server lives");
    // The name in parentheses may hold spaces: count the fields from its end.
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    let ticks = |n: usize| {
        fields.split_whitespace().nth(n).and_then(|t| t.parse::<u64>().ok()).expect("clock ticks")
    };
    (ticks(11) + ticks(12)) * 1000 / rustix::param::clock_ticks_per_second()
}

/// Number of open descriptors.
pub fn fd_count(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the server lives").count()
}

/// Memory the machine can still give away, in bytes.
pub fn available_bytes() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").expect("Linux");
    let line = info.lines().find(|line| line.starts_with("MemAvailable:")).expect("Linux 3.14");
    let kb: u64 = line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("kB");
    kb * 1024
}

/// The TCP addresses on which the process listens.
pub fn listening(pid: u32) -> Vec<SocketAddr> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let sockets: Vec<String> = entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.to_string_lossy().into_owned();
            Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_string())
        })
        .collect();
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(listener).collect::<Vec<_>>())
        .filter(|(_, inode)| sockets.contains(inode))
        .map(|(address, _)| address)
        .collect()
}

/// Address and inode of a line of `/proc/net/tcp`, if its state is LISTEN.
fn listener(line: &str) -> Option<(SocketAddr, String)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    if fields.get(3) != Some(&LISTEN) {
        return None;
    }
    let (ip, port) = fields[1].split_once(':')?;
    // Each group of eight digits is a word in the machine's byte order.
    let words: Vec<u32> = (0..ip.len() / 8)
        .map(|i| u32::from_str_radix(&ip[i * 8..i * 8 + 8], 16))
        .collect::<Result<_, _>>()
        .ok()?;
    let octets: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ip = match <[u8; 4]>::try_from(&octets[..]) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&octets[..]).ok()?)),
    };
    Some((SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), fields[9].to_string()))
}
