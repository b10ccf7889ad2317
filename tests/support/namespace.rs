//! A network of a test's own, which can be cut without either side being told: no FIN and no RST comes through.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

/// A network namespace, joined to ours by a pair of virtual Ethernet devices. Gone with the test.
pub struct Namespace {
    name: String,
    device: String,
    /// The address on this side.
    pub outside: IpAddr,
    /// The address on the other side.
    pub inside: IpAddr,
}

impl Namespace {
    /// Needs root and `ip`, one per process at a time. The error says why there can be none here.
    pub fn new() -> Result<Namespace, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root may make network namespaces".to_string());
        }
        let id = std::process::id();
        // Four addresses of 10.213.0.0/16 for each process.
        let first = 0x0ad5_0000 + id % 0x4000 * 4;
        let address = |number| IpAddr::V4(Ipv4Addr::from(first + number));
        let namespace = Namespace {
            name: format!("mr{id}"),
            device: format!("mr{id}a"),
            outside: address(1),
            inside: address(2),
        };
        let Namespace { name, device, outside, inside } = &namespace;
        let inner = format!("mr{id}b");
        for step in [
            format!("netns add {name}"),
            format!("link add {device} type veth peer name {inner}"),
            format!("link set {inner} netns {name}"),
            format!("addr add {outside}/30 dev {device}"),
            format!("link set {device} up"),
            format!("-n {name} addr add {inside}/30 dev {inner}"),
            format!("-n {name} link set {inner} up"),
            format!("-n {name} link set lo up"),
        ] {
            ip(&step)?;
        }
        Ok(namespace)
    }

    /// What a command begins with that runs inside.
    pub fn wrapper(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// Cuts the wire, or joins it again.
    pub fn cut(&self, is_cut: bool) {
        let state = if is_cut { "down" } else { "up" };
        ip(&format!("link set {} {state}", self.device)).expect("the device is there");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What was not made cannot be removed.
        let _ = ip(&format!("link del {}", self.device));
        let _ = ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
