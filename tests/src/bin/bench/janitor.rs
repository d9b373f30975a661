//! Clears up after a run, however it ended: a process of its own that waits for the end of its standard input.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Result, Tried, accounting};

/// Keeps the janitor waiting; dropping it, or dying, sends it to work.
#[derive(Debug)]
pub(super) struct Janitor {
    child: Child,
}

impl Janitor {
    /// Starts the janitor in a process group of its own, where Ctrl-C does not reach it.
    pub(super) fn start(directory: &Path, group: &str) -> Result<Janitor> {
        let child = Command::new("/proc/self/exe")
            .args(["janitor", &directory.display().to_string(), group])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .tried(|| "start the janitor".to_owned())?;
        Ok(Janitor { child })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Waits until the run is over, then ends what is left of it and removes its directory and its control groups.
pub(super) fn run(directory: &str, group: &str) -> Result<()> {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    accounting::remove(group);
    std::fs::remove_dir_all(directory).tried(|| format!("remove {directory}"))
}
