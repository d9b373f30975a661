//! The parts of the benchmark, and which of them this process is.

mod accounting;
mod cases;
mod crew;
mod figures;
mod flows;
mod janitor;
mod jobs;
mod lab;
mod launch;
mod machine;
mod measure;
mod options;
mod peers;
mod plot;
mod preload;
mod report;
mod supervise;
mod table;
mod tell;
mod traced;
mod wanted;
mod worker;

/// What went wrong, as `what was tried: cause`; the benchmark only ever prints it.
type Result<T> = std::result::Result<T, String>;

/// Says what was tried when something fails.
trait Tried<T> {
    /// Turns the error into `what was tried: cause`.
    fn tried(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: std::fmt::Display> Tried<T> for std::result::Result<T, E> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| format!("{}: {cause}", what()))
    }
}

/// Plays the part that the first word names; without one, the whole benchmark.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let text: Vec<&str> = words.iter().map(String::as_str).collect();
    match *text {
        ["worker", netns, group] => worker::run(netns, group),
        ["case", task] => measure::run(task),
        ["flows", task] => flows::run(task),
        ["janitor", directory, group] => janitor::run(directory, group),
        _ => supervise::run(words),
    }
}
