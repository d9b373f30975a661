//! One case from beginning to end: lab, preload, warm-up, interleaved measuring, counting.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cases::{Case, Phase};
use super::crew::Worker;
use super::figures::{self, Row, Samples};
use super::jobs::{self, Container};
use super::lab::{self, Lab};
use super::peers::{Site, Verb};
use super::{Result, Tried, accounting, machine, preload, tell, traced};

/// Serial number of the first container that is not part of the crowd.
pub(super) const FIRST: u32 = 100_000;

/// What the process of a case is told on its command line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// What to measure.
    pub(super) case: Case,
    /// Our plugins.
    pub(super) ours: PathBuf,
    /// The reference plugins.
    pub(super) reference: PathBuf,
    /// The floor programs.
    pub(super) floor: PathBuf,
    /// Where files may be made.
    pub(super) directory: PathBuf,
    /// The control group of the run.
    pub(super) group: String,
    /// Milliseconds of rest after a DEL.
    pub(super) rest: u64,
    /// How long to wait for a quiet machine.
    pub(super) patience: Duration,
}

/// One peer in its place.
pub(super) struct Crew {
    /// Where it works.
    pub(super) site: Site,
    /// One worker for each verb.
    pub(super) workers: Vec<(Verb, Worker)>,
}

/// A case under way.
struct Bench {
    task: Task,
    crews: Vec<Crew>,
    serial: u32,
}

/// Measures the case and prints its rows as JSON.
pub(super) fn run(task: &str) -> Result<()> {
    let task: Task = serde_json::from_str(task).tried(|| "understand the task".to_owned())?;
    accounting::join(&accounting::inside(&task.group, "case"))?;
    let mut bench = Bench::set_up(task)?;
    // A crowd keeps the kernel busy for a while: duplicate address detection, multicast reports of each namespace.
    machine::await_quiet(bench.task.patience);
    let mut rows = Vec::new();
    for phase in bench.task.case.phases.clone() {
        bench.warm_up(phase)?;
        rows.extend(bench.phase(phase)?);
    }
    bench.count(&mut rows)?;
    figures::compare(&mut rows);
    tell::result(&serde_json::to_string(&rows).tried(|| "write the rows".to_owned())?);
    Ok(())
}

impl Bench {
    fn set_up(task: Task) -> Result<Bench> {
        let lab = Lab::build(&task)?;
        let mut crews = Vec::new();
        for site in lab.sites {
            let start = |verb: &Verb| Ok((*verb, Worker::start(&site, *verb, &task.group)?));
            let mut workers: Vec<_> = Verb::of(task.case.work).iter().map(start).collect::<Result<_>>()?;
            preload::run(&task.case, &site, &mut workers[0].1)?;
            crews.push(Crew { site, workers });
        }
        Ok(Bench { task, crews, serial: FIRST })
    }

    /// A round that nobody times: files come into the cache, indexes get built. Here a failure ends the case.
    fn warm_up(&mut self, phase: Phase) -> Result<()> {
        let mut samples = self.samples();
        self.round(phase, &mut samples)?;
        match samples.iter().find_map(|sample| sample.complaint.as_ref()) {
            Some(complaint) => Err(format!("warm-up: {complaint}")),
            None => Ok(()),
        }
    }

    fn phase(&mut self, phase: Phase) -> Result<Vec<Row>> {
        let mut samples = self.samples();
        let before = self.accounts()?;
        for _ in 0..phase.rounds {
            self.round(phase, &mut samples)?;
        }
        let after = self.accounts()?;
        for (sample, (before, after)) in samples.iter_mut().zip(before.into_iter().zip(after)) {
            sample.cpu = before.zip(after).map(|(before, after)| after.saturating_sub(before));
        }
        let telling = samples.iter().filter(|sample| sample.peer.tells(sample.verb));
        Ok(telling.map(|sample| sample.row(&self.task.case, phase)).collect())
    }

    /// Each verb by each peer in turn, with so many containers at once as the phase says.
    fn round(&mut self, phase: Phase, samples: &mut [Samples]) -> Result<()> {
        let mut containers: Vec<Vec<Container>> =
            (0..self.crews.len()).map(|crew| self.containers(crew, phase.parallel)).collect();
        let verbs = Verb::of(self.task.case.work);
        for (turn, verb) in verbs.iter().enumerate() {
            for (number, crew) in self.crews.iter_mut().enumerate() {
                let sample = &mut samples[number * verbs.len() + turn];
                crew.all(self.task.case.work, *verb, &mut containers[number], sample)?;
                self.task.rest_after(*verb, phase);
            }
        }
        Ok(())
    }

    fn containers(&mut self, crew: usize, count: u32) -> Vec<Container> {
        let peer = self.crews[crew].site.peer;
        let first = self.serial;
        self.serial += count;
        let container = |serial| Container {
            serial,
            netns: lab::rotating(peer, serial),
            ifname: "eth0".to_owned(),
            result: None,
        };
        (first..self.serial).map(container).collect()
    }

    fn samples(&self) -> Vec<Samples> {
        let each = |crew: &Crew| {
            crew.workers.iter().map(|(verb, _)| Samples::new(crew.site.peer, *verb)).collect::<Vec<_>>()
        };
        self.crews.iter().flat_map(each).collect()
    }

    fn accounts(&mut self) -> Result<Vec<Option<u64>>> {
        self.crews.iter_mut().flat_map(|crew| &mut crew.workers).map(|(_, worker)| worker.account()).collect()
    }

    /// Adds what only a traced, untimed run shows.
    fn count(&mut self, rows: &mut [Row]) -> Result<()> {
        if !traced::possible() {
            tell::progress("  strace is not installed: no count of processes, no peak memory");
            return Ok(());
        }
        for number in 0..self.crews.len() {
            let mut container = self.containers(number, 1).remove(0);
            let crew = &mut self.crews[number];
            for footprint in traced::life(crew, &self.task, &mut container)? {
                rows.iter_mut().for_each(|row| row.take(&footprint));
            }
        }
        Ok(())
    }
}

impl Task {
    /// Lets the kernel finish what a DEL left to it, so that the next peer does not wait for it.
    fn rest_after(&self, verb: Verb, phase: Phase) {
        if verb == Verb::Del {
            let times = if phase.parallel == 1 { 1 } else { 2 };
            std::thread::sleep(Duration::from_millis(self.rest * times));
        }
    }
}

impl Crew {
    fn all(
        &mut self,
        work: super::cases::Work,
        verb: Verb,
        containers: &mut [Container],
        sample: &mut Samples,
    ) -> Result<()> {
        let jobs = containers.iter().map(|container| jobs::job(&self.site, work, verb, container)).collect();
        let worker =
            self.workers.iter_mut().find(|(own, _)| *own == verb).ok_or("no worker for this verb")?;
        let (runs, whole) = worker.1.run(jobs)?;
        sample.whole += whole;
        for (run, container) in runs.into_iter().zip(containers) {
            if verb == Verb::Add {
                container.result = serde_json::from_str(&run.output).ok();
            }
            sample.add(&run);
        }
        Ok(())
    }
}
