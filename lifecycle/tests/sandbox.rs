//! Sandboxes as real namespaces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use lifecycle::sandbox::{Sandboxes, State};

#[test]
#[ignore = "needs root"]
fn a_sandbox_is_made_listed_opened_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let sandboxes = Sandboxes::new(dir.path().join("netns"));
    let web = "web".parse().unwrap();
    let made = sandboxes.create(&web).unwrap();
    let State::Namespace(inode) = made.state else { panic!("{made:?}") };
    assert_eq!(sandboxes.list().unwrap(), [made]);
    assert_eq!(sandboxes.open(&web).unwrap().identity().unwrap().ino, inode);
    let loopback = || {
        std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|it| std::net::TcpStream::connect(it.local_addr()?))
    };
    sandboxes.open(&web).unwrap().run(loopback).unwrap().unwrap();
    let taken = sandboxes.create(&web).unwrap_err();
    assert!(taken.to_string().contains("File exists"), "{taken}");
    for _ in 0..2 {
        sandboxes.delete(&web).unwrap();
    }
    assert_eq!(sandboxes.list().unwrap(), []);
    // The directory is a mount of its own now, which the next test directory must not find.
    kernel_unmount(&dir.path().join("netns"));
}

#[test]
#[ignore = "needs root"]
fn what_a_killed_creation_left_is_shown_and_can_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let sandboxes = Sandboxes::new(dir.path());
    fs::write(dir.path().join("half"), "").unwrap();
    assert_eq!(sandboxes.list().unwrap()[0].state, State::Leftover);
    sandboxes.delete(&"half".parse().unwrap()).unwrap();
    assert_eq!(sandboxes.list().unwrap(), []);
}

#[test]
#[ignore = "needs root"]
fn a_creation_that_was_killed_half_way_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let sandboxes = Sandboxes::new(dir.path().join("netns"));
    let web = "web".parse().unwrap();
    fs::create_dir(dir.path().join("netns")).unwrap();
    let half = fs::File::create(sandboxes.path(&web)).unwrap();
    sandboxes.create(&web).unwrap_err();
    half.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3)).unwrap();
    assert!(matches!(sandboxes.create(&web).unwrap().state, State::Namespace(_)));
    sandboxes.delete(&web).unwrap();
    kernel_unmount(&dir.path().join("netns"));
}

#[test]
fn a_file_that_is_no_namespace_is_never_deleted() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("letter"), "dear reader").unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    let sandboxes = Sandboxes::new(dir.path());
    for name in ["letter", "folder"] {
        let error = sandboxes.delete(&name.parse().unwrap()).unwrap_err();
        assert!(error.to_string().ends_with("is not a network namespace"), "{error}");
    }
    let states: Vec<_> = sandboxes.list().unwrap().iter().map(|sandbox| sandbox.state).collect();
    assert_eq!(states, [State::Foreign, State::Foreign]);
}

#[test]
fn a_directory_that_nobody_made_holds_no_sandboxes() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Sandboxes::new(dir.path().join("none")).list().unwrap(), []);
}

fn kernel_unmount(path: &std::path::Path) {
    let status = std::process::Command::new("umount").arg(path).status().unwrap();
    assert!(status.success());
}
