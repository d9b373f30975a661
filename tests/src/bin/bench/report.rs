//! Writes the result: tables for people, JSON for programs, a plot for both.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::figures::Row;
use super::flows::Flows;
use super::machine::Machine;
use super::table::{self, number};
use super::wanted::Wanted;
use super::{Result, Tried, plot, tell};

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Where it was measured.
    pub(super) machine: Machine,
    /// Whether the run was only a smoke test.
    pub(super) quick: bool,
    /// The figures.
    pub(super) rows: Vec<Row>,
    /// Packets through mappings.
    pub(super) flows: Vec<Flows>,
    /// The wishes.
    pub(super) wanted: Vec<Wanted>,
}

const HEAD: [&str; 17] = [
    "case", "K", "P", "verb", "peer", "", "n", "median", "p99", "min", "mean", "cpu", "MiB", "ops/s",
    "execs", "x ref", "x floor",
];

/// The head line: what every figure depends on.
pub(super) fn print_machine(machine: &Machine) {
    tell::result(&format!(
        "{}  kernel {}  {} cores ({})  leases on {}  load {}",
        machine.date,
        machine.kernel,
        machine.cores,
        machine.processor,
        machine.leases_on,
        machine.load_before
    ));
    tell::result(&format!("tidewater: {}", machine.tidewater));
    tell::result(&format!("reference: {}", machine.reference));
}

/// The table of one case.
pub(super) fn print_case(rows: &[Row]) {
    let mut rows = rows.to_vec();
    // Rivals stand together, in the order of the phases and of a container's life.
    rows.sort_by_key(|row| (row.parallel, row.verb as usize, row.peer.number()));
    let cells: Vec<_> = rows.iter().map(cells).collect();
    table::lines(&HEAD, &cells).iter().for_each(|line| tell::result(line));
    tell::result("");
    for complaint in rows.iter().filter_map(|row| row.complaint.as_ref()) {
        tell::result(&format!("failed: {complaint}"));
    }
}

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.case.clone(),
        row.present.to_string(),
        row.parallel.to_string(),
        row.verb.name().to_owned(),
        row.peer.name().to_owned(),
        if row.failed > 0 { format!("{} FAILED", row.failed) } else { String::new() },
        row.runs.to_string(),
        number(Some(row.median_ms)),
        number(Some(row.p99_ms)),
        number(Some(row.min_ms)),
        number(Some(row.mean_ms)),
        number(row.cpu_ms),
        number(row.peak_rss_mib),
        number(Some(row.per_second)),
        row.executed.map_or("-".to_owned(), |executed| executed.to_string()),
        number(row.times_faster),
        number(row.times_floor),
    ]
}

/// The table of packets through mappings.
pub(super) fn print_flows(flows: &[Flows]) {
    tell::result("packets a second through a mapped port (medians)");
    let words = ["mappings", "peer", "", "", "", "", "new connections", "established"];
    let cells = |flows: &Flows| {
        let names = [flows.mappings.to_string(), flows.peer.name().to_owned()];
        let figures = [flows.new_per_second, flows.established_per_second].map(|rate| number(Some(rate)));
        names.into_iter().chain([const { String::new() }; 4]).chain(figures).collect()
    };
    let rows: Vec<Vec<String>> = flows.iter().map(cells).collect();
    table::lines(&words, &rows).iter().for_each(|line| tell::result(line));
    tell::result("");
}

/// The wishes, and what the columns mean.
pub(super) fn print_wanted(report: &Report) {
    let caution = if report.quick {
        "; a quick run is a smoke test with smaller preloads: it settles nothing"
    } else {
        ""
    };
    tell::result(&format!("wanted (medians; one at a time; by minima in brackets{caution})"));
    for wanted in &report.wanted {
        let fate = match wanted.reached {
            Some(true) => "reached",
            Some(false) => "NOT REACHED",
            None => "not measured",
        };
        let (measured, minima) = (number(wanted.measured), number(wanted.by_minima));
        tell::result(&format!("  {fate:<12} {measured:>6} ({minima:>6})  {}", wanted.wish));
    }
    tell::result(
        "\nTimes in ms from start to reaped; K = present beforehand; P = at once; cpu = processor time of all processes, helpers that outlive \
         the plugin included;\nMiB = largest peak of one process; ops/s = without the rests between; x ref = times faster than \
         the reference; x floor = times the faster floor's median.",
    );
    tell::result(&format!("load afterwards {}", report.machine.load_after));
}

/// Writes `bench.json` and `bench.svg`.
pub(super) fn write(report: &Report, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).tried(|| format!("make {}", directory.display()))?;
    let json = serde_json::to_string_pretty(report).tried(|| "write the report as JSON".to_owned())?;
    for (name, text) in [("bench.json", json), ("bench.svg", plot::svg(report))] {
        let path = directory.join(name);
        fs::write(&path, text).tried(|| format!("write {}", path.display()))?;
        tell::result(&format!("written: {}", path.display()));
    }
    Ok(())
}
