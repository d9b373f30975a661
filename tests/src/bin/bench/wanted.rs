//! What the project wants to reach, beside what it has reached.

use serde::Serialize;

use super::figures::Row;
use super::flows::Flows;
use super::peers::{Peer, Verb};

/// What counts as the same cost.
const FLAT: f64 = 1.1;

/// One wish and its fate.
#[derive(Debug, Serialize)]
pub(super) struct Wanted {
    /// What is wanted, as text.
    pub(super) wish: String,
    /// The figure by medians, where the run has one.
    pub(super) measured: Option<f64>,
    /// The figure by minima.
    pub(super) by_minima: Option<f64>,
    /// Whether the figure by medians is good enough.
    pub(super) reached: Option<bool>,
}

/// Compares the rows with the wishes.
pub(super) fn judge(rows: &[Row], flows: &[Flows]) -> Vec<Wanted> {
    vec![
        faster(rows, "bridge-plain", Verb::Add, 6.0),
        floor(rows, "bridge-plain", Verb::Add, 1.5),
        faster(rows, "bridge-masq", Verb::Add, 13.0),
        faster(rows, "host-local", Verb::Add, 4.0),
        faster(rows, "host-local-10000", Verb::Add, 50.0),
        faster(rows, "bridge-plain", Verb::Del, 8.0),
        faster(rows, "bridge-masq", Verb::Del, 8.0),
        floor(rows, "version", Verb::Version, 1.5),
        faster(rows, "chain", Verb::Add, 25.0),
        faster(rows, "chain", Verb::Del, 10.0),
        flat(
            "chain ADD with 1000 mappings present",
            alone(rows, "chain", Verb::Add).zip(alone(rows, "chain-1000-mapped", Verb::Add)).map(ratios),
        ),
        flat("a new connection with 5000 mappings present", slower(flows)),
        memory(rows, 3.0),
    ]
}

fn faster(rows: &[Row], case: &str, verb: Verb, times: f64) -> Wanted {
    let row = alone(rows, case, verb);
    let measured = row.and_then(|row| row.times_faster);
    Wanted {
        wish: format!("{case} {} at least {times}x faster than the reference", verb.name()),
        measured,
        by_minima: row.and_then(|row| row.times_faster_min),
        reached: measured.map(|measured| measured >= times),
    }
}

fn floor(rows: &[Row], case: &str, verb: Verb, times: f64) -> Wanted {
    let row = alone(rows, case, verb);
    let measured = row.and_then(|row| row.times_floor);
    Wanted {
        wish: format!("{case} {} at most {times}x the floor", verb.name()),
        measured,
        by_minima: row.and_then(|row| row.times_floor_min),
        reached: measured.map(|measured| measured <= times),
    }
}

/// How many times the time of the first the second takes, by medians and by minima.
fn ratios((few, many): (&Row, &Row)) -> (f64, f64) {
    (many.median_ms / few.median_ms, many.min_ms / few.min_ms)
}

/// The same of packets through our mappings, whose rates are the inverse of times.
fn slower(flows: &[Flows]) -> Option<(f64, f64)> {
    let mut ours = flows.iter().filter(|flows| flows.peer == Peer::Tidewater);
    let (few, many) = ours.next().zip(ours.next())?;
    let ratio = few.new_per_second / many.new_per_second;
    Some((ratio, ratio))
}

/// What should cost the same however many there are.
fn flat(what: &str, ratios: Option<(f64, f64)>) -> Wanted {
    Wanted {
        wish: format!("{what} at most {FLAT}x of that with none"),
        measured: ratios.map(|(medians, _)| medians),
        by_minima: ratios.map(|(_, minima)| minima),
        reached: ratios.map(|(medians, _)| medians <= FLAT),
    }
}

fn memory(rows: &[Row], mib: f64) -> Wanted {
    let ours = rows.iter().filter(|row| row.peer == Peer::Tidewater);
    let measured = ours.filter_map(|row| row.peak_rss_mib).reduce(f64::max);
    Wanted {
        wish: format!("peak memory of every operation at most {mib} MiB"),
        measured,
        by_minima: None,
        reached: measured.map(|measured| measured <= mib),
    }
}

/// Our row of this case with one operation at a time.
fn alone<'a>(rows: &'a [Row], case: &str, verb: Verb) -> Option<&'a Row> {
    rows.iter()
        .find(|row| row.case == case && row.verb == verb && row.parallel == 1 && row.peer == Peer::Tidewater)
}
