//! Executing another plugin: same environment, the request by stdin, the answer by stdout, not forever.
//!
//! One thread serves both pipes and the process with poll, so it makes no difference whether the plugin reads
//! first or writes first, and a plugin that leaves a daemon behind with our pipe in its hands does not hold
//! us up.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::error::{Error, Result};

/// How long a delegate may take. Runtimes give up after two minutes; the cause should come before that.
const PATIENCE: Duration = Duration::from_secs(100);
/// Overrides it, in seconds.
const PATIENCE_VARIABLE: &str = "TIDEWATER_DELEGATE_TIMEOUT";
/// How much longer a plugin may take that has delegates: it has to see them killed, and to undo its own part.
const CLEANING_UP: Duration = Duration::from_secs(20);
/// How long an executable may stay open for writing (ETXTBSY) while somebody installs it.
const INSTALLING: Duration = Duration::from_secs(1);
/// How long a killed plugin may take to be gone; one that hangs in the kernel is left to itself.
const DYING: Duration = Duration::from_secs(2);
/// How often to look for the end of the plugin where the kernel has no pidfd.
const WITHOUT_PIDFD: Duration = Duration::from_millis(10);
/// The largest answer.
const LARGEST_ANSWER: usize = 16 << 20;
/// The most of an answer that is repeated in a message.
const LARGEST_QUOTE: usize = 1024;

/// Executes a plugin with `CNI_COMMAND` and `env` on top of this process's environment; gives its stdout.
///
/// Its stderr is ours. It gets a process group of its own, which is killed when it takes too long: after the
/// 100 s that it may give a delegate of its own (`TIDEWATER_DELEGATE_TIMEOUT` seconds, when that is set) and
/// 20 s to clean up.
///
/// # Errors
/// The error object that the plugin printed, as it is; else libcni's words about what it did instead. Code 11
/// when it was killed for taking too long, 999 when it could not be executed.
pub fn exec(
    binary: &Path,
    command: &str,
    env: &[(&str, impl AsRef<OsStr>)],
    stdin: &[u8],
) -> Result<Vec<u8>> {
    exec_within(patience() + CLEANING_UP, binary, command, env, stdin)
}

/// [`exec`] with a time limit of the caller's own.
///
/// # Errors
/// As [`exec`].
pub fn exec_within(
    limit: Duration,
    binary: &Path,
    command: &str,
    env: &[(&str, impl AsRef<OsStr>)],
    stdin: &[u8],
) -> Result<Vec<u8>> {
    let tried = || format!("execute {} {command}", binary.display());
    let child = spawn(binary, command, env).map_err(|cause| {
        Error::internal(format!("netplugin failed with no error message: {}: {cause}", tried()))
    })?;
    let mut running =
        Running::new(child).map_err(|cause| Error::internal(format!("{}: {cause}", tried())))?;
    match running.converse(stdin, Instant::now() + limit) {
        Ok(status) if status.success() => Ok(running.answer),
        Ok(status) => Err(failure(&running.answer, status)),
        Err(Trouble::TooLong) => {
            running.kill();
            Err(Error::try_again(format!("{}: no answer within {limit:?}, killed", tried())))
        }
        Err(Trouble::TooMuch) => {
            running.kill();
            Err(Error::decoding(format!("{}: answer is larger than {LARGEST_ANSWER} bytes", tried())))
        }
        Err(Trouble::Io(cause)) => {
            running.kill();
            Err(Error::io(format!("{}: {cause}", tried())))
        }
    }
}

/// How long a delegate may take.
pub(crate) fn patience() -> Duration {
    let seconds = std::env::var(PATIENCE_VARIABLE).ok().and_then(|text| text.parse().ok());
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(PATIENCE)
}

fn spawn(binary: &Path, verb: &str, env: &[(&str, impl AsRef<OsStr>)]) -> io::Result<Child> {
    let mut command = Command::new(binary);
    command.envs(env.iter().map(|(name, value)| (name, value))).env("CNI_COMMAND", verb);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let give_up = Instant::now() + INSTALLING;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < give_up => {
                sleep(WITHOUT_PIDFD);
            }
            other => return other,
        }
    }
}

/// A plugin that is running.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    /// Readable when the process has ended; none before Linux 5.3.
    pidfd: Option<OwnedFd>,
    answer: Vec<u8>,
}

/// Why a conversation ended early.
enum Trouble {
    TooLong,
    TooMuch,
    Io(io::Error),
}

impl<E: Into<io::Error>> From<E> for Trouble {
    fn from(error: E) -> Trouble {
        Trouble::Io(error.into())
    }
}

impl Running {
    fn new(mut child: Child) -> io::Result<Running> {
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        if let (Some(stdin), Some(stdout)) = (&stdin, &stdout) {
            rustix::io::ioctl_fionbio(stdin, true)?;
            rustix::io::ioctl_fionbio(stdout, true)?;
        }
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok();
        Ok(Running { child, stdin, stdout, pidfd, answer: Vec::new() })
    }

    /// Writes the request and reads the answer until the process has ended.
    fn converse(
        &mut self,
        mut request: &[u8],
        deadline: Instant,
    ) -> std::result::Result<ExitStatus, Trouble> {
        loop {
            self.write(&mut request)?;
            // Asked before the last read: what was written before the end is in the pipe then.
            let ended = self.child.try_wait()?;
            self.read()?;
            if let Some(status) = ended {
                return Ok(status);
            }
            self.wait(deadline)?;
        }
    }

    /// Writes what the pipe takes; closes it at the end, or when the plugin does not want to read.
    fn write(&mut self, request: &mut &[u8]) -> io::Result<()> {
        while let Some(stdin) = &mut self.stdin {
            match stdin.write(request) {
                Ok(written) => *request = request.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::BrokenPipe => *request = &[],
                Err(error) => return Err(error),
            }
            if request.is_empty() {
                self.stdin = None;
            }
        }
        Ok(())
    }

    /// Reads what there is.
    fn read(&mut self) -> std::result::Result<(), Trouble> {
        let mut chunk = [0; 16 << 10];
        while let Some(stdout) = &mut self.stdout {
            match stdout.read(&mut chunk) {
                Ok(0) => self.stdout = None,
                Ok(length) => self.answer.extend_from_slice(chunk.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if self.answer.len() > LARGEST_ANSWER {
                return Err(Trouble::TooMuch);
            }
        }
        Ok(())
    }

    /// Sleeps until there is something to write, to read, or the end to see.
    fn wait(&self, deadline: Instant) -> std::result::Result<(), Trouble> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Trouble::TooLong);
        }
        let nap = if self.pidfd.is_some() { left } else { left.min(WITHOUT_PIDFD) };
        let nap = Timespec {
            tv_sec: i64::try_from(nap.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: nap.subsec_nanos().into(),
        };
        match poll(&mut self.events(), Some(&nap)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn events(&self) -> Vec<PollFd<'_>> {
        let writable = self.stdin.as_ref().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::OUT));
        let readable = self.stdout.as_ref().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
        let ended = self.pidfd.as_ref().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
        writable.into_iter().chain(readable).chain(ended).collect()
    }

    /// Kills the plugin with all its children.
    fn kill(&mut self) {
        // Who has ended already cannot be killed, and that is fine.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let give_up = Instant::now() + DYING;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < give_up {
            sleep(WITHOUT_PIDFD / 10);
        }
    }
}

/// What a plugin that failed has to say.
fn failure(answer: &[u8], status: ExitStatus) -> Error {
    let status = describe(status);
    if answer.is_empty() {
        return Error::internal(format!("netplugin failed with no error message: {status}"));
    }
    Error::from_json(answer).unwrap_or_else(|cause| {
        let quote = quote(answer);
        Error::internal(format!("netplugin failed but error parsing its diagnostic message {quote}: {cause}"))
    })
}

/// An answer for a message: quoted, and not all of it when it is long.
pub(crate) fn quote(answer: &[u8]) -> String {
    let end = answer.len().min(LARGEST_QUOTE);
    let rest = if end < answer.len() { "…" } else { "" };
    format!("{:?}{rest}", String::from_utf8_lossy(answer.get(..end).unwrap_or_default()))
}

/// The end of a process as libcni words it.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, Some(15)) => "signal: terminated".to_owned(),
        (None, signal) => format!("signal: {}", signal.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
