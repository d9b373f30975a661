//! Saying aloud that a test could not run on this machine, and why.
use std::io::Write;

/// Skips the calling test inside a user namespace: runtimes make cgroups, devices and overlays.
pub fn without_real_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("read the map of users");
    let real = map.split_whitespace().eq(["0", "0", "4294967295"]);
    if !real {
        because("a container runtime needs the root of the machine");
    }
    !real
}

/// Shows the calling test as skipped. Unlike what tests print, this is seen although the test ends well.
pub fn because(reason: &str) {
    let thread = std::thread::current();
    let line = format!("test {} ... skipped: {reason}\n", thread.name().unwrap_or("?"));
    std::io::stderr().write_all(line.as_bytes()).ok();
}
