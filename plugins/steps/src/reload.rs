//! Puts back everything that is on record, after somebody flushed the ruleset.

use crate::{anti_spoof, forward, masquerade, ports, spoof};
use spec::error::Result;

/// One kind of rules, and what became of its records.
#[derive(Debug)]
pub struct Reloaded {
    /// What the rules are for: `masquerade`, `portmap`, ….
    pub kind: &'static str,
    /// Of how many attachments they are in place now.
    pub outcome: Result<usize>,
}

/// Makes the rules of all attachments on record be in place, each kind whatever becomes of the others. What is in
/// place already is left as it is.
pub fn everything() -> Vec<Reloaded> {
    let reloaded = |kind, outcome| Reloaded { kind, outcome };
    vec![
        reloaded("masquerade", masquerade::reload()),
        reloaded("macspoofchk", spoof::reload()),
        reloaded("portmap", ports::reload()),
        reloaded("firewall", forward::reload()),
        reloaded("antiSpoof", anti_spoof::reload()),
    ]
}
