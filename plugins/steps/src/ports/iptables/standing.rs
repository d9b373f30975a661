//! What of the shared chains and rules is there already: asked over netlink, or of `iptables -S` where netlink does
//! not tell.

use super::rules::{MASQ, Rule, Rules, SETMARK, TABLE};
use crate::iptables::{Tool, jump_target};
use kernel::nft::Nft;
use spec::error::Result;

/// What is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) chains: Vec<&'static str>,
    pub(super) rules: Vec<Rule>,
}

impl Missing {
    /// Where the old kernel tables are in use, it is `iptables` that knows whether it writes to them.
    pub(super) fn look(nft: Option<&mut Nft>, tool: &Tool, rules: &Rules) -> Result<Missing> {
        if let Some(nft) = nft.filter(|_| !tool.has_legacy(TABLE))
            && let Some(missing) = Missing::by_netlink(nft, tool, rules)?
        {
            return Ok(missing);
        }
        Ok(Missing::by_listing(&tool.all_rules(TABLE)?, rules))
    }

    /// `None` where a rule is there that cannot be read: newer versions of iptables may say the same otherwise.
    fn by_netlink(nft: &mut Nft, tool: &Tool, rules: &Rules) -> Result<Option<Missing>> {
        let mut missing = Missing::default();
        for name in &rules.shared_chains {
            if nft.chain(tool.chain(TABLE, name))?.is_none() {
                missing.chains.push(name);
            }
        }
        for rule in &rules.shared {
            match stands(nft, tool, rule, &rules.masks)? {
                Some(true) => {}
                Some(false) => missing.rules.push(rule.clone()),
                None => return Ok(None),
            }
        }
        Ok(Some(missing))
    }

    fn by_listing(listing: &str, rules: &Rules) -> Missing {
        let has = |line: &str| listing.lines().any(|found| found == line);
        Missing {
            chains: rules.shared_chains.iter().copied().filter(|name| !has(&format!("-N {name}"))).collect(),
            rules: rules
                .shared
                .iter()
                .filter(|rule| !has(&format!("-A {} {}", rule.chain, rule.words)))
                .cloned()
                .collect(),
        }
    }
}

/// Whether a shared rule stands: a jump is known by where it leads, a rule of a mark by its bit.
fn stands(nft: &mut Nft, tool: &Tool, rule: &Rule, masks: &[u32]) -> Result<Option<bool>> {
    let found = nft.rules(tool.chain(TABLE, &rule.chain))?;
    if ![SETMARK, MASQ].contains(&rule.chain.as_str()) {
        let target = jump_target(&rule.words).unwrap_or_default();
        return Ok(Some(found.iter().any(|found| found.leads_to(target))));
    }
    let is_of = |mask: &&u32| rule.words.contains(&format!("{mask:#x}/{mask:#x}"));
    let Some(mask) = masks.iter().find(is_of) else { return Ok(None) };
    // Both the mark and its mask are this one bit, in whichever order the expressions have them.
    let is_of_bit = |operand: &[u8]| operand.starts_with(&mask.to_ne_bytes());
    let known = found.iter().flat_map(|found| found.operands()).any(is_of_bit);
    Ok(if known || found.is_empty() { Some(known) } else { None })
}
