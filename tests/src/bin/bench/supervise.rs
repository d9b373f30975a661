//! The whole run: look whether it can be, clear the way, one process for each case, report.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::figures::Row;
use super::flows::{self, Flows};
use super::janitor::Janitor;
use super::machine::{self, Machine};
use super::measure::Task;
use super::options::{HELP, Options};
use super::report::{self, Report};
use super::{Result, Tried, accounting, tell, wanted};

/// A case that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Runs the benchmark that this command line asks for.
pub(super) fn run(words: &[String]) -> Result<()> {
    let Some(mut options) = Options::parse(words)? else {
        tell::result(HELP);
        return Ok(());
    };
    let floor = possible(&mut options)?;
    let mut report = Report {
        machine: Machine::read(&options),
        quick: options.quick,
        rows: Vec::new(),
        flows: Vec::new(),
        wanted: Vec::new(),
    };
    report::print_machine(&report.machine);
    let failed = measure(&options, &floor, &mut report)?;
    report.machine.load_after = machine::load();
    report.wanted = wanted::judge(&report.rows, &report.flows);
    report::print_wanted(&report);
    report::write(&report, &options.out)?;
    if failed.is_empty() { Ok(()) } else { Err(format!("cases that ended early: {}", failed.join(", "))) }
}

/// Refuses early and clearly; returns the directory of the floor programs.
fn possible(options: &mut Options) -> Result<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        return Err("network namespaces want root: run it with sudo".to_owned());
    }
    options.ours = plugins(&options.ours, "run `make build` first, or name a directory with --ours")?;
    options.reference = plugins(
        &options.reference,
        "install Debian's containernetworking-plugins, or name a directory with --reference",
    )?;
    let own = std::env::current_exe().tried(|| "find this program".to_owned())?;
    let floor = own.parent().unwrap_or(Path::new("/")).to_owned();
    for name in ["floor", "noop"] {
        if !floor.join(name).is_file() {
            return Err(format!(
                "no {name} beside {}: build the bins bench, floor and noop together",
                own.display()
            ));
        }
    }
    Ok(floor)
}

fn plugins(directory: &Path, advice: &str) -> Result<PathBuf> {
    for name in ["bridge", "host-local"] {
        if !directory.join(name).is_file() {
            return Err(format!("no plugin {name} in {}: {advice}", directory.display()));
        }
    }
    directory.canonicalize().tried(|| format!("resolve {}", directory.display()))
}

/// Measures case by case; returns the names of those that failed.
fn measure(options: &Options, floor: &Path, report: &mut Report) -> Result<Vec<String>> {
    let directory = options.directory.join(format!("tidewater-bench-{}", std::process::id()));
    fs::create_dir_all(&directory).tried(|| format!("make {}", directory.display()))?;
    let group = accounting::create();
    let _janitor = Janitor::start(&directory, &group)?;
    let mut failed = Vec::new();
    for case in &options.cases {
        let patience = Duration::from_secs(if options.quick { 1 } else { 15 });
        let idle = machine::await_quiet(patience);
        let noise = if idle < 0.7 { "  (NOISY: trust minima and ratios)" } else { "" };
        tell::progress(&format!(
            "{}: machine {:.0}% idle, load {}{noise}",
            case.name,
            idle * 100.0,
            machine::load()
        ));
        let task = Task {
            case: case.clone(),
            ours: options.ours.clone(),
            reference: options.reference.clone(),
            floor: floor.to_owned(),
            directory: directory.clone(),
            group: group.clone(),
            rest: options.rest,
            patience,
        };
        match one(&task) {
            Ok(found) => {
                report::print_case(&found);
                report.rows.extend(found);
            }
            Err(error) => {
                tell::progress(&format!("{}: {error}", case.name));
                failed.push(case.name.clone());
            }
        }
    }
    if options.flows {
        match flows(options, &directory) {
            Ok(found) => report.flows = found,
            Err(error) => {
                tell::progress(&format!("flows: {error}"));
                failed.push("flows".to_owned());
            }
        }
        report::print_flows(&report.flows);
    }
    Ok(failed)
}

/// Sends packets through few mappings, then through many.
fn flows(options: &Options, directory: &Path) -> Result<Vec<Flows>> {
    let (many, rounds) = if options.quick { (200, 2) } else { (5000, 15) };
    let task = flows::Task {
        ours: options.ours.clone(),
        reference: options.reference.clone(),
        directory: directory.to_owned(),
        mappings: vec![1, many],
        rounds,
    };
    let text = serde_json::to_string(&task).tried(|| "write the task".to_owned())?;
    let found = in_process("flows", &text)?;
    serde_json::from_str(&found).tried(|| "understand the figures".to_owned())
}

/// Runs one case in a process with a mount namespace of its own, in which its namespaces are pinned.
fn one(task: &Task) -> Result<Vec<Row>> {
    let text = serde_json::to_string(task).tried(|| "write the task".to_owned())?;
    let output = in_process("case", &text)?;
    serde_json::from_str(&output).tried(|| "understand the case's rows".to_owned())
}

/// What this part of the program prints for the task, in a mount namespace of its own.
fn in_process(part: &str, task: &str) -> Result<String> {
    let own = std::env::current_exe().tried(|| "find this program".to_owned())?;
    let child = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(own)
        .args([part, task])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .tried(|| "start unshare".to_owned())?;
    in_time(child, part)
}

/// What the case printed. It prints once, at its end, less than a pipe holds.
fn in_time(mut child: Child, part: &str) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().tried(|| format!("wait for the {part}"))?.is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            return Err(format!("no end after {} minutes", PATIENCE.as_secs() / 60));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output().tried(|| format!("read what the {part} printed"))?;
    if !output.status.success() {
        return Err("ended early".to_owned());
    }
    String::from_utf8(output.stdout).tried(|| format!("read what the {part} printed"))
}
