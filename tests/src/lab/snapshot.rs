//! The whole state of a lab as text: what a plugin can leave behind, in an order that does not depend on chance.
use std::collections::BTreeMap;
use std::path::Path;

use super::{Container, Netns, PINS};

mod files;
mod normal;
mod ruleset;
mod space;

/// The state of a lab at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    text: String,
    mounts: String,
}

/// Takes the state of the host, of the containers and of the private directories.
pub fn take(host: &Netns, containers: &[Container]) -> Snapshot {
    let mut text = format!("== host\n{}", host.run(space::describe));
    for container in containers {
        text += &format!("== container {}\n{}", container.id, container.netns.run(space::describe));
    }
    text += &format!("== files\n{}", files::describe());
    Snapshot { text, mounts: mounts() }
}

/// Mount points and pins, as this thread sees them.
fn mounts() -> String {
    let table = std::fs::read_to_string("/proc/thread-self/mountinfo").expect("read the mounts");
    let mut points: Vec<_> = table.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    points.sort_unstable();
    format!("== mounts\n{}\n== pins\n{}\n", points.join("\n"), files::names(Path::new(PINS)).join("\n"))
}

impl Snapshot {
    /// With random names and MACs numbered in order of appearance, and without what belongs to the machine.
    pub fn normalised(&self) -> Snapshot {
        Snapshot { text: normal::numbered(&normal::without_machine(&self.text)), mounts: String::new() }
    }

    /// The text, for tests that look for one line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Only the host's packet filter, and what is on record of it.
    pub fn of_filter(&self) -> Snapshot {
        let host = self.text.split("\n== ").next().unwrap_or_default();
        let rules = host.find("\ntable ").map_or("", |place| &host[place + 1..]);
        let records = self.lines().filter(|line| line.starts_with("/run/tidewater/rules/"));
        let text = format!("{rules}\n{}\n", records.collect::<Vec<_>>().join("\n"));
        Snapshot { text, mounts: String::new() }
    }

    /// Fails the test with the lines that differ.
    pub fn assert_same(&self, after: &Snapshot, what: &str) {
        assert!(self == after, "{what}: the state has changed:\n{}", self.difference(after));
    }

    /// Fails the test with the lines that differ, whatever their order.
    pub fn assert_same_lines(&self, after: &Snapshot, what: &str) {
        let difference = self.difference(after);
        assert!(difference.is_empty(), "{what}: the state has changed:\n{difference}");
    }

    /// Lines that only one of both has.
    pub fn difference(&self, after: &Snapshot) -> String {
        let mut count: BTreeMap<&str, i32> = BTreeMap::new();
        self.lines().for_each(|line| *count.entry(line).or_default() += 1);
        after.lines().for_each(|line| *count.entry(line).or_default() -= 1);
        let gone = self.lines().filter(|line| count[line] > 0).map(|line| format!("- {line}\n"));
        let new = after.lines().filter(|line| count[line] < 0).map(|line| format!("+ {line}\n"));
        gone.chain(new).collect()
    }

    /// The lines that show an attachment of an interface `eth0`: a host's end of a pair, a lease, a rule.
    pub fn attached(&self) -> Vec<&str> {
        let signs = ["\\r\\neth0", "if: eth0", "id: \\\""];
        let shows =
            |line: &&str| line.starts_with("link veth") || signs.iter().any(|sign| line.contains(sign));
        self.text.lines().filter(shows).collect()
    }

    /// Fails the test when anything shows an attachment.
    pub fn assert_nothing_attached(&self) {
        assert_eq!(self.attached(), Vec::<&str>::new(), "something is still attached");
    }

    /// Compares with tests/golden/NAME.txt; TIDEWATER_BLESS=1 writes that file anew.
    pub fn assert_golden(&self, name: &str) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.txt"));
        if std::env::var_os("TIDEWATER_BLESS").is_some_and(|value| value == "1") {
            std::fs::write(&file, &self.text).expect("write a golden file");
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_default();
        let golden = Snapshot { text: golden, mounts: self.mounts.clone() };
        let difference = golden.difference(self);
        assert!(
            golden.text == self.text,
            "differs from {} (TIDEWATER_BLESS=1 accepts it):\n{difference}\nwhole:\n{}",
            file.display(),
            self.text
        );
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().chain(self.mounts.lines())
    }
}
