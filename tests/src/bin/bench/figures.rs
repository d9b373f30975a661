//! From single runs to the figures of a row.

use serde::{Deserialize, Serialize};

use super::cases::{Case, Phase};
use super::launch::Ran;
use super::peers::{Peer, Verb};
use super::traced::Footprint;

/// The runs of one verb by one peer in one phase.
#[derive(Debug)]
pub(super) struct Samples {
    /// Whose they are.
    pub(super) peer: Peer,
    /// What was done.
    pub(super) verb: Verb,
    /// Nanoseconds from the start of each batch to the end of its last job, summed.
    pub(super) whole: u64,
    /// Nanoseconds of processor time of all runs.
    pub(super) cpu: Option<u64>,
    /// What the first failing run said.
    pub(super) complaint: Option<String>,
    walls: Vec<u64>,
    failed: usize,
}

/// One line of the result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    /// Name of the case.
    pub(super) case: String,
    /// Operations at once.
    pub(super) parallel: u32,
    /// Leases or attachments present beforehand.
    pub(super) present: u32,
    /// What was done.
    pub(super) verb: Verb,
    /// Who did it.
    pub(super) peer: Peer,
    /// Runs that succeeded; only these are in the figures.
    pub(super) runs: usize,
    /// Runs that failed.
    pub(super) failed: usize,
    /// What the first failing run said.
    pub(super) complaint: Option<String>,
    /// Half of the runs took no longer.
    pub(super) median_ms: f64,
    /// 99 of 100 runs took no longer.
    pub(super) p99_ms: f64,
    /// The fastest run.
    pub(super) min_ms: f64,
    /// All runs' time by their number.
    pub(super) mean_ms: f64,
    /// Processor time of one operation, helpers that outlive it included.
    pub(super) cpu_ms: Option<f64>,
    /// Largest peak of resident memory among the operation's processes.
    pub(super) peak_rss_mib: Option<f64>,
    /// Operations by the time that their batches took, without the rests between.
    pub(super) per_second: f64,
    /// Programs executed by one operation.
    pub(super) executed: Option<u32>,
    /// How many times faster than the reference, by medians.
    pub(super) times_faster: Option<f64>,
    /// The same by minima, which a noisy machine disturbs least.
    pub(super) times_faster_min: Option<f64>,
    /// How many times the faster floor program's median.
    pub(super) times_floor: Option<f64>,
    /// The same by minima.
    pub(super) times_floor_min: Option<f64>,
}

impl Samples {
    /// None yet.
    pub(super) fn new(peer: Peer, verb: Verb) -> Samples {
        Samples { peer, verb, whole: 0, cpu: None, complaint: None, walls: Vec::new(), failed: 0 }
    }

    /// Takes one run in.
    pub(super) fn add(&mut self, run: &Ran) {
        if run.success {
            self.walls.push(run.wall);
            return;
        }
        self.failed += 1;
        // The rows of a case have to fit into a pipe.
        let words: String =
            run.output.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(400).collect();
        self.complaint.get_or_insert(format!("{} {}: {words}", self.peer.name(), self.verb.name()));
    }

    /// The figures, without those that need other rows or a traced run.
    pub(super) fn row(&self, case: &Case, phase: Phase) -> Row {
        let mut walls = self.walls.clone();
        walls.sort_unstable();
        let all = walls.len() + self.failed;
        Row {
            case: case.name.clone(),
            parallel: phase.parallel,
            present: case.present,
            verb: self.verb,
            peer: self.peer,
            runs: walls.len(),
            failed: self.failed,
            complaint: self.complaint.clone(),
            median_ms: ms(at(&walls, 50)),
            p99_ms: ms(at(&walls, 99)),
            min_ms: ms(at(&walls, 0)),
            mean_ms: ms(walls.iter().sum()) / count(walls.len()),
            cpu_ms: self.cpu.map(|cpu| ms(cpu) / count(all)),
            peak_rss_mib: None,
            per_second: count(all) * 1000.0 / ms(self.whole.max(1)),
            executed: None,
            times_faster: None,
            times_faster_min: None,
            times_floor: None,
            times_floor_min: None,
        }
    }
}

impl Row {
    /// Takes in what a traced run of the same verb by the same peer has shown.
    pub(super) fn take(&mut self, footprint: &Footprint) {
        if (footprint.peer, footprint.verb) == (self.peer, self.verb) {
            self.executed = Some(footprint.executed);
            self.peak_rss_mib = Some(f64::from(footprint.peak_kib) / 1024.0);
        }
    }

    /// Whether both rows measure the same verb of the same case.
    pub(super) fn same_work(&self, other: &Row) -> bool {
        (&self.case, self.verb) == (&other.case, other.verb)
    }

    /// Whether both rows measure the same work, with as much of it at once.
    pub(super) fn rivals(&self, other: &Row) -> bool {
        self.same_work(other) && self.parallel == other.parallel
    }
}

/// Sets each row in relation to the reference and to the floor of its rivals.
pub(super) fn compare(rows: &mut [Row]) {
    let others = rows.to_vec();
    for row in rows {
        let rivals = || others.iter().filter(|other| other.rivals(row));
        let reference = rivals().find(|other| other.peer == Peer::Reference);
        let floors = || rivals().filter(|other| other.peer.is_floor());
        let floor = floors().min_by(|a, b| a.median_ms.total_cmp(&b.median_ms));
        row.times_faster = reference.map(|other| other.median_ms / row.median_ms);
        row.times_faster_min = reference.map(|other| other.min_ms / row.min_ms);
        row.times_floor = floor.map(|other| row.median_ms / other.median_ms);
        row.times_floor_min = floor.map(|other| row.min_ms / other.min_ms);
    }
}

/// The value below which `percent` of them lie (nearest rank); nothing among none.
fn at(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

fn ms(nanoseconds: u64) -> f64 {
    std::time::Duration::from_nanos(nanoseconds).as_secs_f64() * 1000.0
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::{at, compare};
    use crate::bench::cases::{Case, Phase, Work};
    use crate::bench::figures::Samples;
    use crate::bench::launch::Ran;
    use crate::bench::peers::{Peer, Verb};

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((at(&hundred, 0), at(&hundred, 50), at(&hundred, 99)), (1, 50, 99));
        assert_eq!((at(&[7], 50), at(&[7], 99), at(&[], 50)), (7, 7, 0));
    }

    #[test]
    fn ratios_are_taken_against_the_reference_and_the_faster_floor() {
        let (case, phase) = (
            Case { name: "x".to_owned(), work: Work::BridgePlain, present: 0, phases: Vec::new() },
            Phase { parallel: 1, rounds: 1 },
        );
        let row = |peer, wall| {
            let mut samples = Samples::new(peer, Verb::Del);
            samples.add(&Ran { wall, success: true, output: String::new() });
            samples.row(&case, phase)
        };
        let mut rows = vec![
            row(Peer::Tidewater, 2_000_000),
            row(Peer::Reference, 16_000_000),
            row(Peer::Floor, 10_000_000),
            row(Peer::FloorNotified, 1_000_000),
        ];
        compare(&mut rows);
        assert_eq!((rows[0].times_faster, rows[0].times_floor), (Some(8.0), Some(2.0)));
    }
}
