//! A fresh host for one test: network, /run and /var/lib of its own, containers, and nothing left afterwards.
pub mod answer;
pub mod chain;
pub mod command;
pub mod conf;
pub mod containerd;
pub mod daemon;
pub mod fake;
pub mod firewall;
pub mod kill;
pub mod netns;
pub mod nightly;
pub mod plugin;
pub mod podman;
pub mod portmap;
pub mod processes;
pub mod rate;
pub mod runtimes;
pub mod skip;
pub mod snapshot;
pub mod traffic;

use std::cell::RefCell;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

pub use netns::Netns;
pub use plugin::{Call, Outcome, Plugin, Plugins};
pub use snapshot::Snapshot;

/// Where the lab keeps what is the test's own.
pub const HOME: &str = "/run/lab";
/// Where the lab pins network namespaces, as `ip netns` does.
pub const PINS: &str = "/run/netns";

/// A host for one test. The thread that makes it lives in it until the guard is dropped, and so does every program
/// that this thread starts. /run and /var/lib are empty and private, therefore plugins may use their default paths.
///
/// The kernel removes namespaces with their last user: even a test that is killed leaves nothing behind.
#[derive(Debug)]
pub struct Lab {
    plugins: Plugins,
    host: Netns,
    containers: RefCell<Vec<Container>>,
    way_back: [OwnedFd; 2],
    // Namespaces belong to the thread.
    not_send: PhantomData<*const ()>,
}

/// A container as plugins see it: an id, and a pinned network namespace without anything but a loopback that is down.
#[derive(Debug, Clone)]
pub struct Container {
    /// CNI_CONTAINERID.
    pub id: String,
    /// Its pinned namespace.
    pub netns: Netns,
}

impl Lab {
    /// Moves the calling thread into a fresh host with these plugins.
    pub fn new(plugins: Plugins) -> Lab {
        command::needs(&["ip", "nft"]);
        let way_back = [own_namespace("net"), own_namespace("mnt")];
        enter_fresh_namespaces();
        private_directories();
        netns::as_after_boot();
        let host = Netns::pin_own(&Path::new(PINS).join("host"));
        command::run("ip link set lo up");
        Lab { plugins, host, containers: RefCell::default(), way_back, not_send: PhantomData }
    }

    /// A host with the plugins of this repository.
    pub fn ours() -> Lab {
        Lab::new(Plugins::ours())
    }

    /// The namespace that plays the host.
    pub fn host(&self) -> &Netns {
        &self.host
    }

    /// The plugins under test.
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// One of the plugins under test.
    pub fn plugin(&self, name: &str) -> Plugin {
        self.plugins.plugin(name)
    }

    /// A new container; `id` is also the name of its pinned namespace.
    pub fn container(&self, id: &str) -> Container {
        let container = Container { id: id.into(), netns: Netns::create(&Path::new(PINS).join(id)) };
        self.containers.borrow_mut().push(container.clone());
        container
    }

    /// Takes the container's namespace away, as a runtime does at the end. The kernel removes its links some time later.
    pub fn delete_container(&self, container: &Container) {
        container.netns.remove();
        self.containers.borrow_mut().retain(|other| other.id != container.id);
    }

    /// A private directory of this test, made on first use.
    pub fn dir(&self, name: &str) -> PathBuf {
        let dir = Path::new(HOME).join(name);
        std::fs::create_dir_all(&dir).expect("make a directory of the lab");
        dir
    }

    /// Everything that a plugin can leave behind, of the host and all containers, as text.
    pub fn state(&self) -> Snapshot {
        snapshot::take(&self.host, &self.containers.borrow())
    }

    /// The same for people and golden files: random names and MACs are numbered in order of appearance.
    pub fn picture(&self) -> Snapshot {
        self.state().normalised()
    }
}

impl Drop for Lab {
    /// Ends what still runs in the lab's namespaces. The way back is best effort: a thread that still reads the output of a stuck program shares our mounts, and the kernel then keeps
    /// us where we are. That ends with the test's thread.
    fn drop(&mut self) {
        processes::end_all(Path::new(PINS));
        let [net, mnt] = &self.way_back;
        move_into_link_name_space(net.as_fd(), Some(LinkNameSpaceType::Network)).ok();
        for _ in 0..20 {
            if move_into_link_name_space(mnt.as_fd(), Some(LinkNameSpaceType::Mount)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn own_namespace(kind: &str) -> OwnedFd {
    let path = format!("/proc/thread-self/ns/{kind}");
    std::fs::File::open(&path).unwrap_or_else(|cause| panic!("open {path}: {cause}")).into()
}

#[allow(
    deprecated,
    reason = "the safe form; only sharing of file descriptors, which is not asked for, is dangerous"
)]
fn enter_fresh_namespaces() {
    rustix::thread::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS).expect(
        "make namespaces for the lab: run as root, or inside unshare --user --map-root-user --net --mount",
    );
}

fn private_directories() {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .expect("make mounts private");
    for dir in ["/run", "/var/lib"] {
        mount("lab", dir, "tmpfs", MountFlags::empty(), None)
            .unwrap_or_else(|e| panic!("mount a tmpfs on {dir}: {e}"));
    }
    for dir in [PINS, HOME] {
        std::fs::create_dir_all(dir).expect("make the lab's directories");
    }
}
