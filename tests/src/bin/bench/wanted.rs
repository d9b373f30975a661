//! What the project wants to reach, beside what it has reached.

use serde::Serialize;

use super::figures::Row;
use super::peers::{Peer, Verb};

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
pub(super) fn judge(rows: &[Row]) -> Vec<Wanted> {
    vec![
        faster(rows, "bridge-plain", Verb::Add, 6.0),
        floor(rows, "bridge-plain", Verb::Add, 1.5),
        faster(rows, "bridge-masq", Verb::Add, 13.0),
        faster(rows, "host-local", Verb::Add, 4.0),
        faster(rows, "host-local-10000", Verb::Add, 50.0),
        faster(rows, "bridge-plain", Verb::Del, 8.0),
        faster(rows, "bridge-masq", Verb::Del, 8.0),
        floor(rows, "version", Verb::Version, 1.5),
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
