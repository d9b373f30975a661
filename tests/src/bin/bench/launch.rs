//! Runs a program from start to reaped, and takes the time.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::jobs::Job;
use super::{Result, Tried};

/// One program that ran.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ran {
    /// From before the start until it was reaped, nanoseconds.
    pub(super) wall: u64,
    /// Whether it said success.
    pub(super) success: bool,
    /// What it printed.
    pub(super) output: String,
}

/// Runs the program, and those behind it, as a runtime runs a list: up to the first that fails.
pub(super) fn run(job: &Job) -> Result<Ran> {
    let started = Instant::now();
    let mut ran = run_one(job)?;
    for next in &job.then {
        if !ran.success {
            break;
        }
        ran = run_one(&next.after(job, &ran.output))?;
    }
    if !job.then.is_empty() {
        ran.wall = nanoseconds(started);
    }
    Ok(ran)
}

/// Runs one program as a runtime does: input from a pipe, output read until every holder of the pipe has closed it.
///
/// The standard library starts it by `posix_spawn` (CLONE_VFORK), which does not copy this process.
fn run_one(job: &Job) -> Result<Ran> {
    let what = || format!("run {}", job.program);
    let mut command = command(job).tried(what)?;
    let started = Instant::now();
    let mut child = command.spawn().tried(what)?;
    // The pipe's other end would keep a program waiting that reads its input to the end.
    drop(command);
    let mut output = String::new();
    child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut output)).transpose().tried(what)?;
    let status = child.wait().tried(what)?;
    Ok(Ran { wall: nanoseconds(started), success: status.success(), output })
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn command(job: &Job) -> std::io::Result<Command> {
    let (input, mut writer) = std::io::pipe()?;
    // Fits into a pipe's buffer, so nobody has to feed it while the clock runs.
    writer.write_all(job.stdin.as_bytes())?;
    let mut command = Command::new(&job.program);
    command.args(&job.arguments).env_clear().envs(job.environment.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::from(input)).stdout(Stdio::piped());
    Ok(command)
}
