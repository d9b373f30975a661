//! The process that runs one peer's one verb: it sits in the peer's host namespace and in a control group whose
//! processor time is therefore the cost of that verb alone.

use std::fs::File;
use std::io::{BufRead, Write};
use std::os::fd::AsFd;
use std::sync::Barrier;
use std::time::Instant;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::accounting;
use super::jobs::Job;
use super::launch::{self, Ran};
use super::{Result, Tried};

/// What a worker is told, one JSON line each.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Run all of these at once.
    Run(Vec<Job>),
    /// Say how much processor time went into all jobs so far.
    Account,
}

/// What a worker answers, one JSON line each.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Each job's run, and the nanoseconds from the common start to the last end.
    Ran(Vec<Ran>, u64),
    /// Nanoseconds of processor time, where the kernel counts them for us.
    Account(Option<u64>),
    /// What could not be done.
    Failed(String),
}

/// Serves orders from stdin until it is closed.
pub(super) fn run(netns: &str, group: &str) -> Result<()> {
    let namespace = File::open(netns).tried(|| format!("open {netns}"))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .tried(|| format!("enter {netns}"))?;
    accounting::join(group)?;
    for line in std::io::stdin().lock().lines() {
        let order = serde_json::from_str(&line.tried(|| "read an order".to_owned())?);
        let answer = order.tried(|| "understand an order".to_owned()).and_then(|order| obey(order, group));
        reply(&answer.unwrap_or_else(Answer::Failed))?;
    }
    Ok(())
}

fn reply(answer: &Answer) -> Result<()> {
    let text = serde_json::to_string(answer).tried(|| "write an answer".to_owned())?;
    writeln!(std::io::stdout(), "{text}").tried(|| "write an answer".to_owned())
}

fn obey(order: Order, group: &str) -> Result<Answer> {
    match order {
        Order::Account => Ok(Answer::Account(accounting::spent(group))),
        Order::Run(jobs) if jobs.len() == 1 => {
            let ran = launch::run(&jobs[0])?;
            let wall = ran.wall;
            Ok(Answer::Ran(vec![ran], wall))
        }
        Order::Run(jobs) => at_once(&jobs),
    }
}

/// Starts all jobs at the same moment, each from its own thread.
fn at_once(jobs: &[Job]) -> Result<Answer> {
    let barrier = Barrier::new(jobs.len());
    let one = |job| {
        barrier.wait();
        let started = Instant::now();
        launch::run(job).map(|ran| (ran, started, Instant::now()))
    };
    let runs: Vec<(Ran, Instant, Instant)> = std::thread::scope(|scope| {
        let threads: Vec<_> = jobs.iter().map(|job| scope.spawn(|| one(job))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread died".to_owned())))
            .collect::<Result<_>>()
    })?;
    let first = runs.iter().map(|(_, started, _)| *started).min();
    let last = runs.iter().map(|(_, _, ended)| *ended).max();
    let whole = first.zip(last).map_or(0, |(first, last)| (last - first).as_nanos());
    Ok(Answer::Ran(runs.into_iter().map(|(ran, ..)| ran).collect(), u64::try_from(whole).unwrap_or(u64::MAX)))
}
