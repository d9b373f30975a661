//! Files that appear whole or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use kernel::file::{create_whole, id_in, id_of, id_of_open, open_directory, replace_whole, set_mtime};
use kernel::lock::Lock;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

fn names(dir: &Path) -> BTreeSet<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_file_is_made_once_with_its_mode_and_content() {
    let dir = tempfile::tempdir().unwrap();
    let fd = open_directory(dir.path()).unwrap();
    let path = dir.path().join("lease");
    // The umask here is 022 or stricter in every shell: 0666 and 0600 differ from what open alone would give.
    for wanted in [0o600, 0o666, 0o444] {
        let made = create_whole(&fd, "lease", wanted, b"first").unwrap().expect("a new file");
        assert_eq!(mode(&path), wanted);
        assert_eq!(id_of(&path).unwrap(), Some(made));
        assert_eq!(id_in(&fd, "lease").unwrap(), Some(made));
        assert_eq!(create_whole(&fd, "lease", 0o600, b"second").unwrap(), None);
        assert_eq!(std::fs::read(&path).unwrap(), b"first", "one that is there is left alone");
        std::fs::remove_file(&path).unwrap();
    }
    assert!(names(dir.path()).is_empty(), "nothing else is left");
    assert_eq!(id_of(&path).unwrap(), None);
}

#[test]
fn of_many_at_once_one_makes_it() {
    let dir = tempfile::tempdir().unwrap();
    let fd = open_directory(dir.path()).unwrap();
    for round in 0..50 {
        let name = round.to_string();
        let make = |content: u8| create_whole(&fd, &name, 0o600, &[content; 4096]).unwrap().is_some();
        let made: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|content| scope.spawn(move || make(content))).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(made, 1);
        let content = std::fs::read(dir.path().join(&name)).unwrap();
        assert!(content.len() == 4096 && content.iter().all(|byte| *byte == content[0]));
    }
}

#[test]
fn replacing_gives_another_identity() {
    let dir = tempfile::tempdir().unwrap();
    let fd = open_directory(dir.path()).unwrap();
    let first = replace_whole(&fd, "index", 0o644, b"one").unwrap();
    let second = replace_whole(&fd, "index", 0o644, b"two").unwrap();
    assert_ne!(first, second);
    assert_eq!(std::fs::read(dir.path().join("index")).unwrap(), b"two");
    assert_eq!(mode(&dir.path().join("index")), 0o644);
    assert_eq!(names(dir.path()).len(), 1);
}

#[test]
fn an_error_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let fd = open_directory(dir.path()).unwrap();
    let error = create_whole(&fd, "no/such", 0o600, b"").unwrap_err();
    assert_eq!(error.to_string(), "create file no/such: No such file or directory (os error 2)");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn the_time_of_a_directory_can_be_set() {
    let dir = tempfile::tempdir().unwrap();
    let fd = open_directory(dir.path()).unwrap();
    set_mtime(&fd, 1_000_000_000, 7).unwrap();
    let id = id_of_open(&fd).unwrap();
    assert_eq!((id.mtime_s, id.mtime_ns), (1_000_000_000, 7));
}

#[test]
fn a_lock_is_held_until_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let held = Lock::acquire(&path, 0o600).unwrap();
    let start = Instant::now();
    let second = {
        let path = path.clone();
        std::thread::spawn(move || Lock::acquire(&path, 0o600).map(|_| Instant::now()))
    };
    std::thread::sleep(Duration::from_millis(60));
    drop(held);
    let got = second.join().unwrap().unwrap();
    assert!(got - start >= Duration::from_millis(60));
    assert!(Lock::acquire(&dir.path().join("none/lock"), 0o600).is_err());
}

#[test]
fn a_boot_has_an_id() {
    let id = kernel::boot::boot_id().unwrap();
    assert_eq!((id.len(), id.matches('-').count()), (36, 4), "{id}");
    assert_eq!(kernel::boot::boot_id().unwrap(), id);
}

#[test]
fn a_sysctl_does_not_climb_out() {
    for path in ["../self/comm", "net//ipv4", "", "net/./ipv4"] {
        assert!(kernel::sysctl::get(path).is_err(), "{path:?}");
    }
}
