//! On what the figures were taken: the machine, its noise, and who was measured.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::options::Options;

/// Part of the processors' time that has to be idle before a case begins.
const QUIET: f64 = 0.85;

/// Facts that belong to every figure.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// When the run began.
    pub(super) date: String,
    /// The kernel's release.
    pub(super) kernel: String,
    /// The processor's name.
    pub(super) processor: String,
    /// Processors that this process may use.
    pub(super) cores: usize,
    /// File system of the lease directories.
    pub(super) leases_on: String,
    /// `/proc/loadavg` before the first case.
    pub(super) load_before: String,
    /// `/proc/loadavg` after the last case.
    pub(super) load_after: String,
    /// Our plugins.
    pub(super) tidewater: String,
    /// The reference plugins.
    pub(super) reference: String,
}

impl Machine {
    /// Reads everything but the load afterwards.
    pub(super) fn read(options: &Options) -> Machine {
        let processor = read("/proc/cpuinfo");
        let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Machine {
            date: answer("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
            kernel: read("/proc/sys/kernel/osrelease"),
            processor: model.map_or("unknown".to_owned(), |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            leases_on: answer("stat", &["-f", "-c", "%T", &options.directory.display().to_string()]),
            load_before: load(),
            load_after: String::new(),
            tidewater: describe(&options.ours, answer("git", &["describe", "--always", "--dirty"])),
            reference: describe(&options.reference, packaged(&options.reference)),
        }
    }
}

/// The load averages of 1, 5 and 15 minutes.
pub(super) fn load() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Waits, but not for ever, until the machine has little else to do. Returns the idle part of the last look.
pub(super) fn await_quiet(patience: Duration) -> f64 {
    let deadline = Instant::now() + patience;
    loop {
        let before = ticks();
        std::thread::sleep(Duration::from_millis(400));
        let after = ticks();
        let idle = (after.0 - before.0) / (after.1 - before.1).max(1.0);
        if idle >= QUIET || Instant::now() > deadline {
            return idle;
        }
    }
}

/// Ticks since boot: idle ones, and all.
fn ticks() -> (f64, f64) {
    let text = read("/proc/stat");
    let first = text.lines().next().unwrap_or_default();
    let numbers: Vec<f64> = first.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait …; waiting for the disk is idling too.
    (numbers.iter().skip(3).take(2).sum(), numbers.iter().take(8).sum())
}

fn describe(directory: &Path, version: String) -> String {
    let size = |name: &str| fs::metadata(directory.join(name)).map_or(0, |file| file.len() / 1024);
    let sizes = format!("bridge {} KiB, host-local {} KiB", size("bridge"), size("host-local"));
    let version = if version.is_empty() { "unknown version".to_owned() } else { version };
    format!("{version} in {} ({sizes})", directory.display())
}

fn packaged(directory: &Path) -> String {
    let owner = answer("dpkg-query", &["-S", &directory.join("bridge").display().to_string()]);
    let package = owner.split(':').next().unwrap_or_default();
    if package.is_empty() {
        return String::new();
    }
    answer("dpkg-query", &["-W", "-f", "${Package} ${Version}", package])
}

fn answer(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}
