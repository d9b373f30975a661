//! A place of one's own: the test runs itself again inside fresh namespaces.

use std::process::{Command, Stdio};

const ALONE: &str = "TIDEWATER_TEST_ALONE";

/// Runs `body` in a process in network and mount namespaces of its own, with an empty /run/netns, for at most a
/// minute. `name` is the full name of the calling test.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some_and(|running| running == name) {
        return body();
    }
    let script =
        "mkdir -p /run/netns && mount -t tmpfs tidewater-test /run/netns && ip link set lo up && exec \"$@\"";
    let output = Command::new("timeout")
        .args(["-k", "5", "60", "unshare", "-nm", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--include-ignored", "--nocapture"])
        .env(ALONE, name)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "inside the namespaces: {}\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "no test is called {name}");
}

/// Runs a command line of words without quotes, and gives what it printed.
pub(crate) fn run(line: &str) -> String {
    match attempt(line) {
        Ok(text) => text,
        Err(text) => panic!("{line}: {text}"),
    }
}

/// As [`run`]; what it printed in any case, as an error where its exit code says so.
pub(crate) fn attempt(line: &str) -> Result<String, String> {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).stdin(Stdio::null()).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(text) }
}

/// Gives a script to `nft -f -`.
pub(crate) fn nft(script: &str) {
    use std::io::Write;
    let mut child = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{script}");
}
