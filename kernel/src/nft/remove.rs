//! Removals: gone afterwards, fine if already gone.
//!
//! They ask before they delete: a transaction that fails costs a grace period, see `put.rs`. All that goes
//! together should go by one [`Nft::remove`].

use super::{Chain, Element, Key, Nft, Request, RuleFound, Set, Table};
use crate::error::Result;
use rustix::io::Errno;

/// How often the rules that lead to a chain are looked up again while others add some.
const ATTEMPTS: u32 = 8;

impl Nft {
    /// Commits these deletions, of what was seen shortly before, at once; where an object of one is gone
    /// meanwhile, each by itself. Says how many of them found what they were to delete.
    ///
    /// # Errors
    /// Of the request that the kernel refused for another reason than `ENOENT`.
    pub fn remove(&mut self, deletions: Vec<Request>) -> Result<usize> {
        let all = deletions.len();
        if gone(self.apply(deletions.iter().cloned()))? {
            return Ok(all);
        }
        if all == 1 {
            return Ok(0);
        }
        let mut removed = 0;
        for deletion in deletions {
            removed += usize::from(gone(self.apply([deletion]))?);
        }
        Ok(removed)
    }

    /// Removes a table with all that is in it; `false` where there was none.
    ///
    /// # Errors
    /// As [`Nft::remove`].
    pub fn remove_table(&mut self, table: Table<'_>) -> Result<bool> {
        Ok(self.has_table(table)? && gone(self.apply([table.delete()]))?)
    }

    /// Removes a chain with its rules; `false` where there was none.
    ///
    /// # Errors
    /// As [`Nft::remove`]; `EBUSY` while a rule or an element leads to it.
    pub fn remove_chain(&mut self, chain: Chain<'_>) -> Result<bool> {
        Ok(self.chain(chain)?.is_some() && gone(self.apply([chain.delete()]))?)
    }

    /// Removes a set with its elements; `false` where there was none.
    ///
    /// # Errors
    /// As [`Nft::remove`]; `EBUSY` while a rule uses it.
    pub fn remove_set(&mut self, set: Set<'_>) -> Result<bool> {
        Ok(self.has_set(set)? && gone(self.apply([set.delete()]))?)
    }

    /// Removes a rule that was seen shortly before; `false` where it is gone.
    ///
    /// # Errors
    /// As [`Nft::remove`].
    pub fn remove_rule(&mut self, chain: Chain<'_>, handle: u64) -> Result<bool> {
        gone(self.apply([chain.delete_rule(handle)]))
    }

    /// Removes the element with this key; `false` where there was none. Of a set of intervals,
    /// [`Nft::remove_elements`].
    ///
    /// # Errors
    /// As [`Nft::remove`].
    pub fn remove_element(&mut self, set: Set<'_>, key: impl Into<Key>) -> Result<bool> {
        Ok(self.remove_elements(set, &[Element::new(key)])? == 1)
    }

    /// Removes elements, by their keys; says how many there were.
    ///
    /// # Errors
    /// As [`Nft::remove`].
    pub fn remove_elements(&mut self, set: Set<'_>, elements: &[Element<'_>]) -> Result<usize> {
        let mut present = Vec::with_capacity(elements.len());
        for element in elements {
            if self.element_like(set, element)?.is_some() {
                present.push(element.bare());
            }
        }
        if present.is_empty() || gone(self.apply(set.delete_elements(&present)))? {
            return Ok(present.len());
        }
        self.remove(
            present.iter().flat_map(|element| set.delete_elements(std::slice::from_ref(element))).collect(),
        )
    }

    /// The deletions of all rules of a table whose comment is wanted, for [`Nft::remove`].
    ///
    /// # Errors
    /// As [`Nft::tables`].
    pub fn rules_by_comment(
        &mut self,
        table: Table<'_>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Request>> {
        let rules = self.rules_of_table(table)?;
        let wanted = |rule: &&RuleFound| rule.comment.as_deref().is_some_and(&wanted);
        Ok(rules
            .iter()
            .filter(wanted)
            .map(|rule| table.chain(&rule.chain).delete_rule(rule.handle))
            .collect())
    }

    /// Removes all rules of a table whose comment is wanted; says how many there were.
    ///
    /// # Errors
    /// As [`Nft::tables`] and [`Nft::remove`].
    pub fn remove_rules_by_comment(
        &mut self,
        table: Table<'_>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<usize> {
        let deletions = self.rules_by_comment(table, wanted)?;
        self.remove(deletions)
    }

    /// The deletions of a chain and of the rules of `base` that lead to it, for [`Nft::remove`]; empty where
    /// there is no such chain, as then no rule can lead to it.
    ///
    /// # Errors
    /// As [`Nft::tables`].
    pub fn chain_and_jumps(&mut self, base: Chain<'_>, name: &str) -> Result<Vec<Request>> {
        let chain = base.table.chain(name);
        if self.chain(chain)?.is_none() {
            return Ok(Vec::new());
        }
        let rules = self.rules(base)?;
        let leading = rules.iter().filter(|rule| rule.leads_to(name));
        Ok(leading.map(|rule| base.delete_rule(rule.handle)).chain([chain.delete()]).collect())
    }

    /// Removes a chain and the rules of `base` that lead to it, as `iptables-nft` makes them too: for
    /// `iptables -t nat -N NAME; iptables -t nat -A POSTROUTING … -j NAME`, base is `ip nat POSTROUTING`.
    /// `false` where there was no such chain.
    ///
    /// # Errors
    /// As [`Nft::tables`] and [`Nft::remove`]; `EBUSY` while a rule outside of `base` leads to the chain.
    pub fn remove_chain_and_jumps(&mut self, base: Chain<'_>, name: &str) -> Result<bool> {
        let mut attempt = 1;
        loop {
            let deletions = self.chain_and_jumps(base, name)?;
            if deletions.is_empty() {
                return Ok(false);
            }
            match self.remove(deletions) {
                // Somebody added one more jump between the look and the removal.
                Err(error) if error.errno() == Errno::BUSY && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome.map(|removed| removed > 0),
            }
        }
    }
}

/// Forgives that the object of a deletion is gone: a second removal of the same, one that ran at the same
/// time (garbage collection), a whole table flushed by an administrator or a firewall service. `false` then.
fn gone(outcome: Result<()>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Errno::NOENT => Ok(false),
        Err(error) => Err(error),
    }
}
