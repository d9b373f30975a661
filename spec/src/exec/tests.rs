//! Execution of plugins that are small shell scripts, well behaved and not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::error::Code;

const NO_ENV: &[(&str, &str)] = &[];

#[test]
fn the_plugin_gets_command_environment_and_stdin_and_gives_stdout() {
    let plugin = script("echo \"$CNI_COMMAND $CNI_IFNAME $(cat)\"");
    let answer = exec(&plugin.path, "STATUS", &[("CNI_IFNAME", "eth0")], b"{}").unwrap();
    assert_eq!(answer, b"STATUS eth0 {}\n");
}

#[test]
fn a_plugin_that_writes_much_before_it_reads_does_not_block() {
    let plugin = script("head -c 3000000 /dev/zero; wc -c");
    let answer = exec(&plugin.path, "ADD", NO_ENV, &vec![b' '; 2_000_000]).unwrap();
    assert_eq!((answer.len(), &answer[3_000_000..]), (3_000_008, &b"2000000\n"[..]));
}

#[test]
fn a_plugin_that_reads_nothing_is_fine() {
    let plugin = script("echo ok");
    assert_eq!(exec(&plugin.path, "DEL", NO_ENV, &vec![b' '; 2_000_000]).unwrap(), b"ok\n");
}

#[test]
fn the_error_object_comes_back_as_it_is() {
    let plugin =
        script(r#"echo '{"cniVersion":"1.0.0","code":123,"msg":"pool is dry","details":"d"}'; exit 3"#);
    let expected = Error::new(Code::Plugin(123), "pool is dry").with_details("d");
    assert_eq!(failure_of(&plugin), expected);
}

#[test]
fn a_failure_without_a_proper_word_is_told_as_libcni_does() {
    for (body, msg) in [
        ("exit 7", "netplugin failed with no error message: exit status 7"),
        ("kill -9 $$", "netplugin failed with no error message: signal: killed"),
        (
            "echo oh; exit 1",
            r#"netplugin failed but error parsing its diagnostic message "oh\n": expected value at line 1 column 1"#,
        ),
    ] {
        assert_eq!(failure_of(&script(body)), Error::internal(msg));
    }
}

#[test]
fn a_long_garbage_is_not_repeated_in_full() {
    let error = failure_of(&script("head -c 100000 /dev/zero | tr '\\0' x; exit 1"));
    assert!(error.msg.len() < 1500, "{}", error.msg.len());
}

#[test]
fn what_cannot_be_executed_is_named() {
    let error = exec(Path::new("/nonexistent/plugin"), "ADD", NO_ENV, b"").unwrap_err();
    assert_eq!(error.code, Code::Internal);
    assert!(error.msg.contains("execute /nonexistent/plugin ADD: No such file or directory"), "{error}");
}

#[test]
fn a_plugin_that_hangs_is_killed_with_its_children() {
    let plugin = script("sleep 600 & echo $! > $0.child; exec >&-; sleep 600");
    let error = exec_within(Duration::from_millis(500), &plugin.path, "ADD", NO_ENV, b"{}").unwrap_err();
    assert_eq!(error.code, Code::TryAgainLater);
    assert!(error.msg.ends_with("ADD: no answer within 500ms, killed"), "{error}");
    let child = fs::read_to_string(format!("{}.child", plugin.path.display())).unwrap();
    assert!(dies(child.trim()), "child {child} lives on");
}

#[test]
fn a_daemon_left_behind_with_our_pipe_does_not_hold_us_up() {
    let plugin = script("echo done; sleep 20 & echo $! > $0.child");
    let started = Instant::now();
    assert_eq!(exec(&plugin.path, "ADD", NO_ENV, b"{}").unwrap(), b"done\n");
    assert!(started.elapsed() < Duration::from_secs(10));
    let child = fs::read_to_string(format!("{}.child", plugin.path.display())).unwrap();
    let pid = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn an_endless_answer_is_cut_off() {
    let error = failure_of(&script("cat /dev/zero"));
    assert_eq!(error.code, Code::Decoding);
    assert!(error.msg.ends_with("ADD: answer is larger than 16777216 bytes"), "{error}");
}

#[test]
fn a_plugin_that_is_just_being_installed_is_tried_again() {
    let plugin = script("echo ok");
    let writer = File::options().append(true).open(&plugin.path).unwrap();
    let closer = std::thread::spawn(move || {
        sleep(Duration::from_millis(200));
        drop(writer);
    });
    assert_eq!(exec(&plugin.path, "ADD", NO_ENV, b"").unwrap(), b"ok\n");
    closer.join().unwrap();
}

/// A plugin in a directory of its own.
struct Script {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

fn script(body: &str) -> Script {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plugin");
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Script { path, _directory: directory }
}

fn failure_of(plugin: &Script) -> Error {
    exec(&plugin.path, "ADD", NO_ENV, b"{}").unwrap_err()
}

/// Whether a process is gone, or dead and not buried, within a few seconds.
fn dies(pid: &str) -> bool {
    let is_alive = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    };
    let give_up = Instant::now() + Duration::from_secs(5);
    while is_alive() && Instant::now() < give_up {
        sleep(Duration::from_millis(10));
    }
    !is_alive()
}
