//! A daemon that runs for the length of a test: started, waited for, ended by its pid.
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::command;

/// How long it may take to start, and how long to stop.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running daemon; dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it with its output in `log` and waits until `ready` says true.
    pub fn start(command: &mut Command, log: &Path, mut ready: impl FnMut() -> bool) -> Daemon {
        let file = File::create(log).expect("create the log of a daemon");
        let errors = file.try_clone().expect("share the log of a daemon");
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().unwrap_or_else(|cause| panic!("start {command:?}: {cause}"));
        let mut daemon = Daemon { child, log: log.into() };
        let end = Instant::now() + PATIENCE;
        while !ready() {
            let ended = daemon.child.try_wait().expect("look at a daemon");
            assert!(ended.is_none() && Instant::now() < end, "{command:?} is not ready:\n{}", daemon.tail());
            std::thread::sleep(Duration::from_millis(30));
        }
        daemon
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let from = text.len().saturating_sub(2500);
        String::from_utf8_lossy(&text[from..]).into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
        command::ended(&mut self.child, Instant::now() + PATIENCE);
        if std::thread::panicking() {
            eprintln!("the daemon's last words:\n{}", self.tail());
        }
    }
}
