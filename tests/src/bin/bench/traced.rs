//! What a run costs besides time: programs executed and peak memory, seen by strace in a pass that nobody times.
//!
//! Peak memory cannot come from the resource usage of a reaped child: that includes the memory of the process that
//! started it, from before the exec. So strace holds every process for a moment at its exit, and its high-water mark
//! is read from procfs.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::jobs::{self, Container, Job};
use super::measure::{Crew, Task};
use super::peers::{Peer, Verb};
use super::{Result, Tried};

/// Microseconds for which a process is held at its exit.
const HOLD: u32 = 60_000;

/// What one verb of one peer takes.
#[derive(Debug)]
pub(super) struct Footprint {
    /// Whose it is.
    pub(super) peer: Peer,
    /// What was done.
    pub(super) verb: Verb,
    /// Programs executed.
    pub(super) executed: u32,
    /// Largest high-water mark of resident memory among the processes, KiB.
    pub(super) peak_kib: u32,
}

/// Whether strace is there.
pub(super) fn possible() -> bool {
    std::process::Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success())
}

/// Takes one container through all verbs.
pub(super) fn life(crew: &mut Crew, task: &Task, container: &mut Container) -> Result<Vec<Footprint>> {
    let trace = task.directory.join(format!("trace-{}-{}", task.case.name, crew.site.peer.name()));
    let mut footprints = Vec::new();
    for (verb, worker) in &mut crew.workers {
        let job = jobs::job(&crew.site, task.case.work, *verb, container);
        let (peak_kib, ran) = watched(&trace, || worker.run(vec![under_strace(job, &trace)]));
        let output = &ran?.0[0].output;
        if *verb == Verb::Add {
            container.result = serde_json::from_str(output).ok();
        }
        let text = fs::read_to_string(&trace).tried(|| format!("read {}", trace.display()))?;
        footprints.push(Footprint { peer: crew.site.peer, verb: *verb, executed: executed(&text), peak_kib });
    }
    Ok(footprints)
}

fn under_strace(mut job: Job, trace: &Path) -> Job {
    wrap(&mut job.program, &mut job.arguments, trace, &[]);
    for next in &mut job.then {
        wrap(&mut next.program, &mut next.arguments, trace, &["-A"]);
    }
    job.environment.retain(|(key, _)| key != "PATH");
    job.environment.push(("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()));
    job
}

/// Puts strace before the program.
fn wrap(program: &mut String, arguments: &mut Vec<String>, trace: &Path, more: &[&str]) {
    let hold = format!("inject=exit_group:delay_enter={HOLD}");
    let trace = trace.display().to_string();
    let words = ["-f", "-qq", "-o", &trace, "-e", "trace=execve,exit_group", "-e", &hold];
    let mut all: Vec<String> = more.iter().chain(&words).map(|word| (*word).to_owned()).collect();
    all.push(std::mem::replace(program, "strace".to_owned()));
    all.append(arguments);
    *arguments = all;
}

/// Successful calls, also those that another process's line interrupted.
fn executed(trace: &str) -> u32 {
    let success = |line: &&str| line.contains("execve") && line.trim_end().ends_with("= 0");
    u32::try_from(trace.lines().filter(success).count()).unwrap_or(u32::MAX)
}

/// Runs `work` while another thread looks at the processes of the strace that writes `trace`.
fn watched<T>(trace: &Path, work: impl FnOnce() -> T) -> (u32, T) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut tracer, mut peak): (Option<String>, u32) = (None, 0);
            while !done.load(Ordering::Relaxed) {
                // Each plugin of a list has a tracer of its own.
                tracer = tracer.filter(|pid| is_tracer_of(pid, trace)).or_else(|| tracer_of(trace));
                peak = peak.max(tracer.as_deref().map_or(0, highest));
                std::thread::sleep(Duration::from_millis(4));
            }
            peak
        });
        let outcome = work();
        done.store(true, Ordering::Relaxed);
        (watcher.join().unwrap_or(0), outcome)
    })
}

/// The process id of the strace that writes this file; the fork that is to become the program has a tracer already.
fn tracer_of(trace: &Path) -> Option<String> {
    processes().find(|pid| is_tracer_of(pid, trace))
}

fn is_tracer_of(pid: &str, trace: &Path) -> bool {
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let is_it = command.starts_with("strace\0") && command.contains(&trace.display().to_string());
    is_it && traced_by(pid).as_deref() == Some("0")
}

/// The largest high-water mark among the processes that this one traces, KiB.
fn highest(tracer: &str) -> u32 {
    processes()
        .filter(|pid| traced_by(pid).as_deref() == Some(tracer))
        .filter_map(|pid| peak_of(&pid))
        .max()
        .unwrap_or(0)
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.as_bytes()[0].is_ascii_digit())
}

fn traced_by(pid: &str) -> Option<String> {
    status(pid, "TracerPid:")
}

/// The fork of strace that has not yet become the program does not count.
fn peak_of(pid: &str) -> Option<u32> {
    let program = status(pid, "Name:").filter(|name| name != "strace");
    program.and_then(|_| status(pid, "VmHWM:")?.parse().ok())
}

fn status(pid: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::executed;

    #[test]
    fn only_programs_that_really_started_are_counted() {
        let trace = "\
10 execve(\"/cni/bridge\", [\"/cni/bridge\"], 0x7ffc /* 7 vars */) = 0
11 execve(\"/usr/local/sbin/iptables\", [\"iptables\"], 0xc0 /* 7 vars */) = -1 ENOENT (No such file or directory)
11 execve(\"/usr/sbin/iptables\", [\"iptables\"], 0xc0 /* 7 vars */ <unfinished ...>
10 exit_group(0) = ?
11 <... execve resumed>) = 0
";
        assert_eq!(executed(trace), 2);
    }
}
