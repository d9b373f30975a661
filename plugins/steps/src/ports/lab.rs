//! A host of its own for a test, and mappings in short.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is the inside of tests, and a test fails by panicking"
)]

use super::{Backend, HostPorts, Mapping, Mark, Ports, Protocol, Side, Source};
use rustix::mount::MountFlags;
use rustix::thread::UnshareFlags;
use std::process::{Command, Stdio};

/// Runs `f` on a thread with a network of its own, lo up, and a `/run` of its own for the records.
pub(super) fn host(f: impl FnOnce() + Send + 'static) {
    let work = move || {
        #[expect(deprecated, reason = "the successor is unsafe only for FILES, which is not asked for")]
        rustix::thread::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS).unwrap();
        let private =
            rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).unwrap();
        rustix::mount::mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None).unwrap();
        run("ip link set lo up");
        f();
    };
    if let Err(panic) = std::thread::spawn(work).join() {
        std::panic::resume_unwind(panic);
    }
}

/// A link `to.container` with this address at the host's end.
pub(super) fn container(address: &str) {
    run("ip link add to.container type veth peer name container");
    run(&format!("ip address add {address} dev to.container nodad"));
    run("ip link set to.container up");
    run("ip link set container up");
}

/// What a command prints.
pub(super) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Mappings of containers by their addresses, backend iptables, masqueraded where needed.
pub(super) fn ports(sides: &[(&str, &[&str])]) -> Ports {
    let side = |(container, mappings): &(&str, &[&str])| Side {
        container: container.parse().unwrap(),
        mappings: mappings.iter().map(|text| mapping(text)).collect(),
        conditions: Vec::new(),
    };
    Ports {
        backend: Backend::Iptables,
        source: Source { snat: true, masquerade_all: false, mark: Mark::Bit(13) },
        sides: sides.iter().map(side).collect(),
    }
}

/// `tcp 8080 80`, `udp@192.0.2.1 5300-5303 53`.
pub(super) fn mapping(text: &str) -> Mapping {
    let [protocol, host, container] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let (protocol, address) = protocol.split_once('@').unwrap_or((protocol, ""));
    let (first, last) = host.split_once('-').unwrap_or((host, host));
    let (first, last): (u16, u16) = (first.parse().unwrap(), last.parse().unwrap());
    Mapping {
        protocol: Protocol::from_name(protocol).unwrap(),
        address: address.parse().ok(),
        host: HostPorts { first, count: last - first + 1 },
        container: container.parse().unwrap(),
    }
}
