//! Killing a plugin at a chosen system call, by strace's fault injection: the call itself is not executed any more.
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use super::nightly::{self, Dice};
use super::{Call, HOME, Snapshot, command};

/// The k-th call of one name, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The system call's name.
    pub name: String,
    /// Which call of that name.
    pub k: usize,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "killed at {} number {}", self.name, self.k)
    }
}

/// The state when it is as wanted, or as it is after half a second: the kernel may need a moment to close what the
/// killed process held.
pub fn settled(wanted: &Snapshot, state: impl Fn() -> Snapshot) -> Snapshot {
    let end = Instant::now() + Duration::from_millis(500);
    loop {
        let now = state();
        if now == *wanted || Instant::now() > end {
            return now;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs the call to its end, which has to be a success, and counts the system calls of its main process by name.
pub fn count(call: &Call) -> BTreeMap<String, usize> {
    command::needs(&["strace"]);
    let log = format!("{HOME}/strace-{}", call.environment()["CNI_COMMAND"]);
    call.clone().under(&["strace", "-f", "-qq", "-o", &log]).run().ok();
    count_in(&std::fs::read_to_string(&log).expect("read what strace wrote"))
}

fn count_in(log: &str) -> BTreeMap<String, usize> {
    let pid = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let main = log.lines().next().map(pid).expect("strace saw something");
    let mut count = BTreeMap::new();
    for line in log.lines().filter(|line| pid(line) == main) {
        let rest = line[main.len()..].trim_start();
        let name = rest.split('(').next().unwrap_or_default();
        if rest.contains('(') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            *count.entry(name.to_owned()).or_default() += 1;
        }
    }
    // The first one is strace's own: the plugin has not begun.
    count.remove("execve");
    count
}

/// Where to kill: everywhere in a nightly run, otherwise at `sample` places for each name, always with the last.
pub fn points(count: &BTreeMap<String, usize>, sample: usize) -> Vec<Point> {
    let mut dice = Dice::new();
    let mut all = Vec::new();
    for (name, &most) in count {
        let mut chosen: Vec<_> = match nightly::is_on() || most <= sample {
            true => (1..=most).collect(),
            false => (1..sample).map(|_| dice.roll(most)).chain([most]).collect(),
        };
        chosen.sort_unstable();
        chosen.dedup();
        all.extend(chosen.into_iter().map(|k| Point { name: name.clone(), k }));
    }
    all
}

/// Runs the call and kills it there; whatever it had done by then stays. Whether it came to that point at all.
pub fn at(call: &Call, point: &Point) -> bool {
    let inject = format!("inject={}:signal=SIGKILL:when={}", point.name, point.k);
    let trace = format!("trace={}", point.name);
    let traced = call.clone().under(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]);
    // strace ends as the program has ended.
    traced.run().done.status.signal() == Some(9)
}

#[cfg(test)]
mod tests {
    use super::count_in;

    #[test]
    fn only_calls_of_the_main_process_count() {
        let log = "7 execve(\"/x\", []) = 0\n7 openat(AT_FDCWD, \"a\") = 3\n8 openat(AT_FDCWD, \"b\") = 3\n\
                   7 read(3,  <unfinished ...>\n7 <... read resumed>\"\", 1) = 0\n7 openat(AT_FDCWD, \"c\") = 4\n\
                   7 +++ exited with 0 +++\n";
        let count = count_in(log);
        assert_eq!(count.into_iter().collect::<Vec<_>>(), [("openat".into(), 2), ("read".into(), 1)]);
    }
}
