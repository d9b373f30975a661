//! The command line of the benchmark.

use std::path::PathBuf;

use super::Result;
use super::cases::{self, Case};

/// Printed by `--help`.
pub(super) const HELP: &str = "\
usage: bench [--quick] [--cases a,b] [--iterations N] [--out DIR] [--ours DIR] [--reference DIR] [--dir DIR] [--rest MS]

  --quick            few iterations and small preloads: shows that it works, not how fast
  --cases a,b        only these: version, host-local, host-local-1000, host-local-10000, bridge-plain,
                     bridge-plain-1000, bridge-masq, bridge-masq-1000, chain, chain-10-ports, chain-100-ports,
                     chain-1000-mapped; and flows, the packets through mappings
  --iterations N     N rounds of every case, instead of each case's own number
  --out DIR          where bench.json and bench.svg go (bench-out)
  --ours DIR         our plugins (dist/cni)
  --reference DIR    the reference plugins (/usr/lib/cni)
  --dir DIR          where lease directories are made for the run (the directory for temporary files)
  --rest MS          rest after every DEL, so that nobody pays for another's work behind the scenes (25)";

/// The word for the packets through mappings among the cases.
const FLOWS: &str = "flows";

/// What the caller wants measured, and where.
#[derive(Debug)]
pub(super) struct Options {
    /// A smoke test: few iterations.
    pub(super) quick: bool,
    /// The cases, with their number of rounds.
    pub(super) cases: Vec<Case>,
    /// Where the results go.
    pub(super) out: PathBuf,
    /// Directory of our plugins.
    pub(super) ours: PathBuf,
    /// Directory of the reference plugins.
    pub(super) reference: PathBuf,
    /// Where lease directories are made.
    pub(super) directory: PathBuf,
    /// Milliseconds of rest after every DEL.
    pub(super) rest: u64,
    /// Whether packets are sent through mappings too.
    pub(super) flows: bool,
}

impl Options {
    /// Reads the command line. `Ok(None)` when only help is wanted.
    pub(super) fn parse(words: &[String]) -> Result<Option<Options>> {
        let mut options = Options {
            quick: words.iter().any(|word| word == "--quick"),
            cases: Vec::new(),
            out: "bench-out".into(),
            ours: "dist/cni".into(),
            reference: "/usr/lib/cni".into(),
            directory: std::env::temp_dir(),
            rest: 25,
            flows: true,
        };
        options.cases = cases::all(options.quick);
        let mut rest = words.iter().map(String::as_str);
        while let Some(word) = rest.next() {
            match word {
                "--quick" => {}
                "--help" | "-h" => return Ok(None),
                _ => options.set(word, rest.next().ok_or(format!("{word} wants a value"))?)?,
            }
        }
        Ok(Some(options))
    }

    fn set(&mut self, option: &str, value: &str) -> Result<()> {
        match option {
            "--cases" => self.choose(value)?,
            "--iterations" => self.repeat(number(option, value)?),
            "--out" => self.out = value.into(),
            "--ours" => self.ours = value.into(),
            "--reference" => self.reference = value.into(),
            "--dir" => self.directory = value.into(),
            "--rest" => self.rest = number(option, value)?.into(),
            _ => return Err(format!("unknown option {option}\n{HELP}")),
        }
        Ok(())
    }

    fn choose(&mut self, names: &str) -> Result<()> {
        let mut names: Vec<&str> = names.split(',').collect();
        self.flows = names.contains(&FLOWS);
        names.retain(|name| *name != FLOWS);
        if let Some(unknown) = names.iter().find(|name| !self.cases.iter().any(|case| case.name == **name)) {
            return Err(format!("no case is called {unknown}\n{HELP}"));
        }
        self.cases.retain(|case| names.contains(&case.name.as_str()));
        Ok(())
    }

    fn repeat(&mut self, rounds: u32) {
        for phase in self.cases.iter_mut().flat_map(|case| &mut case.phases) {
            phase.rounds = rounds.div_ceil(phase.parallel).max(1);
        }
    }
}

fn number(option: &str, value: &str) -> Result<u32> {
    value.parse().map_err(|_| format!("{option} wants a number, not {value}"))
}
