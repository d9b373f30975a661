//! A helper process holds nothing of its caller's, and nobody has to wait for it.

use kernel::detach::detached;
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::pipe::pipe;
use rustix::process::{WaitOptions, waitpid};
use std::io::Read;
use std::time::Duration;

#[test]
fn only_what_is_kept_stays_open() {
    let (mut kept_out, kept_in) = pipe().map(|(out, into)| (std::fs::File::from(out), into)).unwrap();
    let (mut other_out, other_in) = pipe().map(|(out, into)| (std::fs::File::from(out), into)).unwrap();
    detached(&[kept_in.as_fd()], || {
        std::thread::sleep(Duration::from_millis(200));
        let _ = rustix::io::write(&kept_in, b"done");
    })
    .unwrap();
    drop((kept_in, other_in));
    let mut nothing = Vec::new();
    let start = std::time::Instant::now();
    other_out.read_to_end(&mut nothing).unwrap();
    assert!(
        start.elapsed() < Duration::from_millis(150),
        "a pipe that is not kept ends with its caller's end"
    );
    let mut text = String::new();
    kept_out.read_to_string(&mut text).unwrap();
    assert_eq!(text, "done");
}

#[test]
fn the_helper_shows_its_name_and_leads_nowhere() {
    let (mut out, into) = pipe().map(|(out, into)| (std::fs::File::from(out), into)).unwrap();
    let mut buffer = [0; 512];
    detached(&[into.as_fd()], || {
        for link in [c"/proc/self/fd/0", c"/proc/self/fd/1", c"/proc/self/fd/2", c"/proc/self/cwd"] {
            let length = rustix::fs::readlinkat_raw(rustix::fs::CWD, link, &mut buffer).unwrap_or(0);
            let _ = rustix::io::write(&into, &buffer[..length]);
            let _ = rustix::io::write(&into, b" ");
        }
    })
    .unwrap();
    drop(into);
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert_eq!(text, "/dev/null /dev/null /dev/null / ");
}

#[test]
fn the_caller_has_no_child_to_wait_for() {
    // Other tests of this process have children of their own: this one looks from a process of its own.
    if std::env::var_os("TIDEWATER_ALONE").is_none() {
        let me = std::env::current_exe().unwrap();
        let name = "real::detach::the_caller_has_no_child_to_wait_for";
        let mut alone = std::process::Command::new(me);
        assert!(alone.args([name, "--exact"]).env("TIDEWATER_ALONE", "1").status().unwrap().success());
        return;
    }
    detached(&[], || std::thread::sleep(Duration::from_millis(50))).unwrap();
    assert_eq!(waitpid(None, WaitOptions::NOHANG).unwrap_err(), Errno::CHILD);
}
