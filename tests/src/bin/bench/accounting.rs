//! Processor time by control group: the kernel counts whole process trees there, to the microsecond, including a
//! helper that outlives its plugin, which the resource usage of reaped children would leave out.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};

use super::{Result, Tried};

/// Stands for "no control group" on a command line.
pub(super) const NONE: &str = "-";

/// Makes a group for this run, or says [`NONE`] where there is no cgroup2 to be written.
pub(super) fn create() -> String {
    mounted()
        .map(|root| root.join(format!("tidewater-bench-{}", std::process::id())))
        .filter(|group| fs::create_dir(group).is_ok() && usage(group).is_some())
        .map_or(NONE.to_owned(), |group| group.display().to_string())
}

/// The path of a group inside `parent`; it is made when a process joins it.
pub(super) fn inside(parent: &str, name: &str) -> String {
    if parent == NONE { NONE.to_owned() } else { format!("{parent}/{name}") }
}

/// Moves this process into the group.
pub(super) fn join(group: &str) -> Result<()> {
    if group == NONE {
        return Ok(());
    }
    fs::create_dir_all(group).tried(|| format!("make {group}"))?;
    let members = format!("{group}/cgroup.procs");
    fs::write(&members, std::process::id().to_string()).tried(|| format!("write {members}"))
}

/// Nanoseconds that the group has spent, without those of this process itself.
pub(super) fn spent(group: &str) -> Option<u64> {
    let own = clock_gettime(ClockId::ProcessCPUTime);
    let own = u64::try_from(own.tv_sec).ok()? * 1_000_000_000 + u64::try_from(own.tv_nsec).ok()?;
    // This process may have run before it joined; who reads this twice sees that part disappear.
    usage(Path::new(group)).map(|whole| whole.saturating_add(1_000_000_000).saturating_sub(own))
}

/// Ends whoever is left in the groups of a run, and removes them.
pub(super) fn remove(group: &str) {
    if group == NONE {
        return;
    }
    let _ = fs::write(format!("{group}/cgroup.kill"), "1");
    for _ in 0..100 {
        if removed(Path::new(group)) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Removes the groups below, then this one; a group can be removed when its last process is gone.
fn removed(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            removed(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

fn mounted() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.find(|field| field.get(2) == Some(&"cgroup2")).map(|field| PathBuf::from(field[1]))
}

fn usage(group: &Path) -> Option<u64> {
    let text = fs::read_to_string(group.join("cpu.stat")).ok()?;
    let microseconds = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    microseconds.parse::<u64>().ok().map(|number| number * 1000)
}
