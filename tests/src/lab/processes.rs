//! Which processes live in a namespace: what a plugin has left running.
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::Netns;

/// The pids (and names) of all other processes whose network namespace this is.
pub fn inside(netns: &Netns) -> Vec<(i32, String)> {
    let wanted = format!("net:[{}]", netns.inode());
    let me = std::process::id();
    let pids = std::fs::read_dir("/proc").expect("read /proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| i64::from(*pid) != i64::from(me) && namespace_of(*pid).is_some_and(|net| net == wanted))
        .map(|pid| (pid, name_of(pid)))
        .collect()
}

/// Kills every process that lives in a namespace pinned in this directory: nothing but the test has started any there.
pub fn end_all(pins: &Path) {
    for pin in std::fs::read_dir(pins).into_iter().flatten().flatten() {
        let netns = Netns::at(pin.path());
        for (pid, _) in inside(&netns) {
            end(pid, &netns);
        }
    }
}

/// The handle makes sure that the process looked at is the process killed.
fn end(pid: i32, netns: &Netns) {
    let Some(Ok(handle)) = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return };
    if namespace_of(pid).is_some_and(|net| net == format!("net:[{}]", netns.inode())) {
        pidfd_send_signal(&handle, Signal::KILL).ok();
    }
}

fn namespace_of(pid: i32) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

fn name_of(pid: i32) -> String {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm"))
        .unwrap_or_default()
        .trim()
        .into()
}
