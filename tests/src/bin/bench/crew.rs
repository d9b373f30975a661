//! The workers of one case as seen from the case: one for each peer and verb.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::accounting;
use super::jobs::Job;
use super::launch::Ran;
use super::peers::{Site, Verb};
use super::worker::{Answer, Order};
use super::{Result, Tried};

/// A worker process; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker for one verb at this site.
    pub(super) fn start(site: &Site, verb: Verb, group: &str) -> Result<Worker> {
        let group = accounting::inside(group, &format!("{}-{}", site.peer.name(), verb.name()));
        let mut child = Command::new("/proc/self/exe")
            .args(["worker", &site.host, &group])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .tried(|| "start a worker".to_owned())?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().ok_or("a worker without a pipe")?;
        Ok(Worker { child, orders, answers: BufReader::new(answers) })
    }

    /// Runs these at once; returns the runs and the nanoseconds that all of them took together.
    pub(super) fn run(&mut self, jobs: Vec<Job>) -> Result<(Vec<Ran>, u64)> {
        match self.order(&Order::Run(jobs))? {
            Answer::Ran(runs, whole) => Ok((runs, whole)),
            answer => Err(format!("an unexpected answer of a worker: {answer:?}")),
        }
    }

    /// Processor time of all its jobs so far, in nanoseconds; only differences mean something.
    pub(super) fn account(&mut self) -> Result<Option<u64>> {
        match self.order(&Order::Account)? {
            Answer::Account(spent) => Ok(spent),
            answer => Err(format!("an unexpected answer of a worker: {answer:?}")),
        }
    }

    fn order(&mut self, order: &Order) -> Result<Answer> {
        let what = || "talk to a worker".to_owned();
        let orders = self.orders.as_mut().ok_or("a worker without a pipe")?;
        let mut line = serde_json::to_string(order).tried(what)?;
        line.push('\n');
        orders.write_all(line.as_bytes()).tried(what)?;
        line.clear();
        self.answers.read_line(&mut line).tried(what)?;
        match serde_json::from_str(&line).tried(what)? {
            Answer::Failed(why) => Err(why),
            answer => Ok(answer),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}
