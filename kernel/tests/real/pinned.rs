//! Namespaces that a mount keeps alive.

use super::lab::{apart, run};
use kernel::error::Errno;
use kernel::netns::NetNs;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;
use std::path::Path;

/// Runs `f` where no mount is seen by anybody else, with a new directory.
fn in_private_mounts(f: impl FnOnce(&Path) + Send + 'static) {
    apart(UnshareFlags::NEWNS, move || {
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        let dir = tempfile::tempdir().unwrap();
        f(dir.path());
        // What a passing test leaves mounted is the directory itself.
        let _ = rustix::mount::unmount(dir.path().join("pins"), rustix::mount::UnmountFlags::DETACH);
    });
}

fn mounts_at(path: &Path) -> usize {
    let table = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    table.lines().filter(|line| line.split(' ').nth(4) == path.to_str()).count()
}

#[test]
#[ignore = "needs root"]
fn a_pinned_namespace_is_new_open_to_others_and_gone_when_removed() {
    in_private_mounts(|dir| {
        let path = dir.join("pins/one");
        let before = NetNs::current().unwrap().identity().unwrap();
        let made = NetNs::create_pinned(&path).unwrap();
        assert_eq!(NetNs::current().unwrap().identity().unwrap(), before, "the caller stays where it is");
        assert_ne!(made.identity().unwrap(), before);
        assert_eq!(NetNs::open(&path).unwrap().identity().unwrap(), made.identity().unwrap());
        let shown = run(&format!("nsenter --net={} ip -o link", path.display()));
        assert!(shown.starts_with("1: lo: <LOOPBACK> mtu 65536"), "{shown}");
        assert_eq!(shown.lines().count(), 1);

        NetNs::remove_pinned(&path).unwrap();
        assert!(!path.exists());
        NetNs::remove_pinned(&path).unwrap();
    });
}

#[test]
#[ignore = "needs root"]
fn the_directory_is_one_shared_mount_however_often() {
    in_private_mounts(|dir| {
        let pins = dir.join("pins");
        for name in ["one", "two", "three"] {
            NetNs::create_pinned(&pins.join(name)).unwrap();
        }
        assert_eq!(mounts_at(&pins), 1);
        let table = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let line = table.lines().find(|line| line.split(' ').nth(4) == pins.to_str()).unwrap();
        assert!(line.contains(" shared:"), "{line}");
        for name in ["one", "two", "three"] {
            NetNs::remove_pinned(&pins.join(name)).unwrap();
        }
    });
}

#[test]
#[ignore = "needs root"]
fn many_at_once_share_the_directory_once() {
    in_private_mounts(|dir| {
        let pins = dir.join("pins");
        std::thread::scope(|scope| {
            for i in 0..8 {
                let pins = &pins;
                scope.spawn(move || NetNs::create_pinned(&pins.join(i.to_string())).unwrap());
            }
        });
        assert_eq!(mounts_at(&pins), 1);
        for i in 0..8 {
            NetNs::remove_pinned(&pins.join(i.to_string())).unwrap();
        }
    });
}

#[test]
#[ignore = "needs root"]
fn a_name_that_is_taken_is_refused_and_left_alone() {
    in_private_mounts(|dir| {
        let path = dir.join("pins/one");
        let first = NetNs::create_pinned(&path).unwrap();
        assert_eq!(NetNs::create_pinned(&path).unwrap_err().errno(), Errno::EXIST);
        assert_eq!(NetNs::open(&path).unwrap().identity().unwrap(), first.identity().unwrap());
        NetNs::remove_pinned(&path).unwrap();
    });
}

#[test]
#[ignore = "needs root"]
fn what_a_killed_creation_left_is_removed_too() {
    in_private_mounts(|dir| {
        let path = dir.join("one");
        std::fs::write(&path, "").unwrap();
        NetNs::remove_pinned(&path).unwrap();
        assert!(!path.exists());
    });
}
