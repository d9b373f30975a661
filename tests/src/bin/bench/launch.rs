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

/// Runs the program as a runtime does: input from a pipe, output read until every holder of the pipe has closed it.
///
/// The standard library starts it by `posix_spawn` (CLONE_VFORK), which does not copy this process.
pub(super) fn run(job: &Job) -> Result<Ran> {
    let what = || format!("run {}", job.program);
    let mut command = command(job).tried(what)?;
    let started = Instant::now();
    let mut child = command.spawn().tried(what)?;
    // The pipe's other end would keep a program waiting that reads its input to the end.
    drop(command);
    let mut output = String::new();
    child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut output)).transpose().tried(what)?;
    let status = child.wait().tried(what)?;
    let wall = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(Ran { wall, success: status.success(), output })
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
