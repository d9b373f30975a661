//! Chains of containers that are gone, for GC: known by the comment of the rules that lead to them.

use super::{TOOLS, chain_deletions, jump_target};
use kernel::nft::{Nft, Request, Verdict};
use spec::error::Result;
use std::collections::BTreeSet;

/// The chains of one network's containers in one table.
pub(crate) struct StaleChains<'a> {
    /// The table.
    pub(crate) table: &'static str,
    /// The chain whose rules lead to them.
    pub(crate) leading: &'static str,
    /// What the comment of such a rule begins with: the network's name.
    pub(crate) owner: String,
    /// Whether the container of a chain is gone, by the chain's name.
    pub(crate) is_stale: &'a dyn Fn(&str) -> bool,
}

impl StaleChains<'_> {
    /// The deletions of the chains and of the rules that lead to them.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub(crate) fn deletions(&self, nft: &mut Nft) -> Result<Vec<Request>> {
        let mut gone = BTreeSet::new();
        for tool in &TOOLS {
            for rule in nft.rules(tool.chain(self.table, self.leading))? {
                let ours = rule.comment.as_deref().is_some_and(|comment| comment.starts_with(&self.owner));
                let targets = rule.verdicts.iter().filter_map(Verdict::target).filter(|_| ours);
                gone.extend(targets.filter(|chain| (self.is_stale)(chain)).map(str::to_owned));
            }
        }
        let mut deletions = Vec::new();
        for chain in gone {
            deletions.extend(chain_deletions(nft, self.table, &[self.leading], &chain)?);
        }
        Ok(deletions)
    }

    /// Removes the same from the old kernel tables, where they are in use.
    ///
    /// # Errors
    /// `iptables-legacy` refuses.
    pub(crate) fn remove_legacy(&self) -> Result<()> {
        let owner = self.owner.replace('"', "\\\"");
        for tool in TOOLS.iter().filter(|tool| tool.has_legacy(self.table)) {
            let rules = tool.legacy_rules(self.table, self.leading).unwrap_or_default();
            let chains = rules.lines().filter(|rule| rule.contains(&owner)).filter_map(jump_target);
            let gone: BTreeSet<&str> = chains.filter(|chain| (self.is_stale)(chain)).collect();
            gone.iter().try_for_each(|chain| tool.remove_legacy_chain(self.table, &[self.leading], chain))?;
        }
        Ok(())
    }
}
