//! Namespaces that end with their test, and what stands in them.

use kernel::link::veth::Veth;
use kernel::link::{self, Link, LinkRef, Mac, bridge::Bridge};
use kernel::netns::NetNs;
use kernel::rtnl::Rtnl;
use rustix::thread::UnshareFlags;
use std::process::{Command, Stdio};

pub(crate) const HOST: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub(crate) const CONTAINER: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// Runs `f` on a thread of its own that went away from the rest by `flags`.
pub(crate) fn apart<T: Send + 'static>(flags: UnshareFlags, f: impl FnOnce() -> T + Send + 'static) -> T {
    let work = move || {
        #[expect(deprecated, reason = "the successor is unsafe only for FILES, which no test asks for")]
        rustix::thread::unshare(flags).unwrap();
        f()
    };
    std::thread::spawn(work).join().unwrap()
}

/// A new network namespace.
pub(crate) fn fresh() -> NetNs {
    apart(UnshareFlags::NEWNET, || NetNs::current().unwrap())
}

/// Two namespaces with a route socket in each.
pub(crate) struct Lab {
    pub(crate) host_ns: NetNs,
    pub(crate) container_ns: NetNs,
    pub(crate) host: Rtnl,
    pub(crate) container: Rtnl,
}

impl Lab {
    pub(crate) fn new() -> Lab {
        let (host_ns, container_ns) = (fresh(), fresh());
        let (host, container) = (Rtnl::open_in(&host_ns).unwrap(), Rtnl::open_in(&container_ns).unwrap());
        Lab { host_ns, container_ns, host, container }
    }

    /// A bridge `br0`, up.
    pub(crate) fn bridge(&mut self) -> Link {
        let mac = Mac([2, 0, 0, 0, 0, 0xb]);
        let bridge = Bridge { name: "br0", mac, mtu: None, vlan_filtering: false, promisc: false };
        self.host.request(bridge.create()).unwrap();
        self.host_link("br0")
    }

    /// A veth `p0` at the host, `eth0` in the container, down there.
    pub(crate) fn pair(&mut self, master: Option<u32>) -> (Link, Link) {
        self.host.request(pair(&self.container_ns, master).create()).unwrap();
        (self.host_link("p0"), self.container_link("eth0"))
    }

    pub(crate) fn host_link(&mut self, name: &str) -> Link {
        link::get(&mut self.host, LinkRef::Name(name)).unwrap().expect("a link at the host")
    }

    pub(crate) fn container_link(&mut self, name: &str) -> Link {
        link::get(&mut self.container, LinkRef::Name(name)).unwrap().expect("a link in the container")
    }
}

pub(crate) fn pair(netns: &NetNs, master: Option<u32>) -> Veth<'_> {
    Veth {
        host_name: "p0",
        host_mac: HOST,
        mtu: Some(1400),
        master,
        container_name: "eth0",
        container_mac: CONTAINER,
        netns,
    }
}

/// What a command prints, run in the namespace of the calling thread.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
