//! The plot: medians as bars on a logarithmic scale, one column for each number of operations at once.

use std::fmt::Write as _;

use super::figures::Row;
use super::peers::{Peer, Verb};
use super::report::Report;
use super::table::number;

const WIDTH: f64 = 1240.0;
/// Where the labels of verbs end and the first column begins.
const LABELS: f64 = 90.0;
const COLUMN: f64 = 560.0;
/// Room behind the longest bar for its number.
const NUMBERS: f64 = 50.0;
const TOP: f64 = 108.0;
const BAR: f64 = 11.0;
const GAP: f64 = 6.0;
const HEADING: f64 = 26.0;

const STYLE: &str = "text{font-family:Helvetica,Arial,sans-serif;font-size:11px;fill:#222}\
    .title{font-size:17px;font-weight:bold}.case{font-size:13px;font-weight:bold}.small{font-size:9px}\
    .end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#ddd}.whisker{stroke:#222}";

/// Rows of one verb of one case, both columns.
struct Group<'a> {
    verb: Verb,
    y: f64,
    height: f64,
    rows: Vec<&'a Row>,
}

/// The logarithmic scale: decades from the lowest to the highest.
struct Scale {
    low: f64,
    high: f64,
}

/// Draws the report.
pub(super) fn svg(report: &Report) -> String {
    let rows: Vec<&Row> = report.rows.iter().filter(|row| row.median_ms > 0.0).collect();
    let scale = Scale::of(&rows);
    let parallel = columns(&rows);
    let (groups, headings, height) = layout(&rows);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{0}\" viewBox=\"0 0 {WIDTH} {0}\">\
         <style>{STYLE}</style><rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        height + 30.0
    );
    head(&mut out, report);
    for (column, parallel) in parallel.iter().enumerate() {
        let left = LABELS + f64::from(u32::try_from(column).unwrap_or(0)) * (COLUMN + 15.0);
        axis(&mut out, &scale, left, *parallel, height);
        let own = groups.iter().flat_map(|group| bars(group, *parallel));
        own.for_each(|(y, row)| bar(&mut out, &scale, left, y, row));
    }
    for (y, heading) in headings {
        text(&mut out, 10.0, y, "case", &heading);
    }
    for group in &groups {
        text(&mut out, LABELS - 6.0, group.y + group.height / 2.0 + 4.0, "end", group.verb.name());
    }
    out + "</svg>\n"
}

impl Scale {
    fn of(rows: &[&Row]) -> Scale {
        let decade = |value: f64| value.log10();
        let low = rows.iter().map(|row| decade(row.median_ms).floor()).fold(0.0, f64::min);
        let high = rows.iter().map(|row| decade(row.p99_ms).ceil()).fold(1.0, f64::max);
        Scale { low, high }
    }

    /// Pixels from the left end of a column.
    fn pixels(&self, value: f64) -> f64 {
        let part = (value.log10() - self.low) / (self.high - self.low);
        part.clamp(0.0, 1.0) * (COLUMN - NUMBERS)
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        let (low, high) = (self.low, self.high);
        std::iter::successors(Some(low), move |exponent| (*exponent < high).then_some(exponent + 1.0))
            .map(|exponent| 10_f64.powf(exponent))
    }
}

fn columns(rows: &[&Row]) -> Vec<u32> {
    let mut parallel: Vec<u32> = rows.iter().map(|row| row.parallel).collect();
    parallel.sort_unstable();
    parallel.dedup();
    parallel
}

/// Where everything stands from top to bottom: groups, headings of the cases, and the end.
fn layout<'a>(rows: &[&'a Row]) -> (Vec<Group<'a>>, Vec<(f64, String)>, f64) {
    let (mut groups, mut headings, mut y) = (Vec::<Group<'_>>::new(), Vec::new(), TOP);
    let mut case = "";
    for row in rows {
        if row.case != case {
            case = &row.case;
            y += HEADING;
            headings.push((y - 8.0, heading(row)));
        } else if groups.iter().any(|group| group.rows.iter().any(|other| other.same_work(row))) {
            continue;
        }
        let same: Vec<&Row> = rows.iter().copied().filter(|other| other.same_work(row)).collect();
        let peers = same.iter().map(|row| row.peer.number()).max().unwrap_or(0) + 1;
        let height = BAR * f64::from(u32::try_from(peers).unwrap_or(1));
        groups.push(Group { verb: row.verb, y, height, rows: same });
        y += height + GAP;
    }
    (groups, headings, y)
}

fn heading(row: &Row) -> String {
    let name = row.case.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit());
    let present = if row.present > 0 { format!(", {} present", row.present) } else { String::new() };
    format!("{name}{present}")
}

fn bars<'a>(group: &'a Group<'_>, parallel: u32) -> impl Iterator<Item = (f64, &'a Row)> {
    let own = group.rows.iter().filter(move |row| row.parallel == parallel);
    own.map(|row| (group.y + BAR * f64::from(u32::try_from(row.peer.number()).unwrap_or(0)), *row))
}

fn head(out: &mut String, report: &Report) {
    let machine = &report.machine;
    let title = if report.quick { "CNI operations (quick run: a smoke test)" } else { "CNI operations" };
    text(
        out,
        10.0,
        24.0,
        "title",
        &format!("{title}: median time from start to reaped, ms (thin line: to p99)"),
    );
    let facts = format!(
        "{}, kernel {}, {} cores ({})",
        machine.date, machine.kernel, machine.cores, machine.processor
    );
    text(out, 10.0, 42.0, "", &facts);
    text(out, 10.0, 57.0, "", &format!("tidewater: {}; reference: {}", machine.tidewater, machine.reference));
    let peers = [Peer::Tidewater, Peer::Reference, Peer::Floor, Peer::FloorNotified];
    let places = [LABELS, LABELS + 110.0, LABELS + 220.0, LABELS + 400.0];
    for (peer, x) in peers.into_iter().zip(places) {
        let colour = colour(peer);
        let _ = write!(out, "<rect x=\"{x}\" y=\"68\" width=\"12\" height=\"12\" fill=\"{colour}\"/>");
        text(out, x + 17.0, 78.0, "", legend(peer));
    }
}

fn axis(out: &mut String, scale: &Scale, left: f64, parallel: u32, bottom: f64) {
    let title = if parallel == 1 { "one at a time".to_owned() } else { format!("{parallel} in parallel") };
    text(out, left + (COLUMN - NUMBERS) / 2.0, 96.0, "case middle", &title);
    for decade in scale.decades() {
        let x = left + scale.pixels(decade);
        let top = TOP + 4.0;
        let _ =
            write!(out, "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\" class=\"grid\"/>");
        text(out, x, TOP, "small middle", &format!("{decade}"));
        text(out, x, bottom + 14.0, "small middle", &format!("{decade}"));
    }
}

fn bar(out: &mut String, scale: &Scale, left: f64, y: f64, row: &Row) {
    let (width, whisker) = (scale.pixels(row.median_ms).max(1.0), scale.pixels(row.p99_ms));
    let (colour, height, middle) = (colour(row.peer), BAR - 1.0, y + BAR / 2.0 - 0.5);
    let (from, to) = (left + width, left + whisker);
    let _ = write!(
        out,
        "<rect x=\"{left}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\"/>\
         <line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle}\" y2=\"{middle}\" class=\"whisker\"/>"
    );
    text(out, to.max(from) + 4.0, y + BAR - 2.0, "small", &number(Some(row.median_ms)));
}

fn text(out: &mut String, x: f64, y: f64, class: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{words}</text>");
}

/// Colours that are told apart with any kind of sight.
fn colour(peer: Peer) -> &'static str {
    match peer {
        Peer::Tidewater => "#0072b2",
        Peer::Reference => "#e69f00",
        Peer::Floor => "#bbbbbb",
        Peer::FloorNotified => "#777777",
    }
}

fn legend(peer: Peer) -> &'static str {
    match peer {
        Peer::Tidewater => "tidewater",
        Peer::Reference => "reference",
        Peer::Floor => "floor (kernel's answer)",
        Peer::FloorNotified => "floor, DEL returning on the notification",
    }
}
