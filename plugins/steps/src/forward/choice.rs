//! Which backend writes the rules when the configuration leaves it open.

use super::{ADMIN_CHAIN, Backend, firewalld};
use crate::iptables::{TOOLS, Tool};
use crate::ruleset::open_if_supported;
use kernel::nft::{Nft, Policy, RuleFound, Verdict};
use spec::error::Result;
use std::net::IpAddr;

const FILTER: &str = "filter";
const FORWARD: &str = "FORWARD";

/// What the configuration says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// This one.
    Named(Backend),
    /// Whichever works on this host.
    Automatic {
        /// The configuration names a chain of iptables, which has to be asked then.
        admin_chain: Option<String>,
    },
}

/// The backend for a container with these addresses: firewalld where it runs; iptables where its own FORWARD
/// would drop the traffic, or where the administrator's chain is in use; else nftables.
///
/// # Errors
/// The kernel does not answer.
pub fn choose(wish: &Wish, addresses: &[IpAddr]) -> Result<Backend> {
    let admin_chain = match wish {
        Wish::Named(backend) => return Ok(*backend),
        Wish::Automatic { admin_chain } => admin_chain.as_deref(),
    };
    let mut nft = open_if_supported()?;
    if firewalld::is_likely(nft.as_mut()) && firewalld::is_running() {
        return Ok(Backend::Firewalld);
    }
    let Some(nft) = nft.as_mut().filter(|_| admin_chain.is_none()) else {
        return Ok(Backend::Iptables);
    };
    for tool in TOOLS.iter().filter(|tool| addresses.iter().any(|address| address.is_ipv4() == tool.v4)) {
        if needs_iptables(nft, tool)? {
            return Ok(Backend::Iptables);
        }
    }
    Ok(Backend::Nftables)
}

/// The old kernel tables cannot be asked without executing something: where they are in use they are taken to
/// drop.
fn needs_iptables(nft: &mut Nft, tool: &Tool) -> Result<bool> {
    if tool.has_legacy(FILTER) {
        return Ok(true);
    }
    if nft.chain(tool.chain(FILTER, ADMIN_CHAIN))?.is_some() {
        return Ok(true);
    }
    let forward = tool.chain(FILTER, FORWARD);
    let Some(found) = nft.chain(forward)? else { return Ok(false) };
    let drops = found.base.is_some_and(|base| base.policy == Policy::Drop);
    Ok(drops || nft.rules(forward)?.iter().any(refuses))
}

fn refuses(rule: &RuleFound) -> bool {
    rule.verdicts.contains(&Verdict::Drop)
        || rule.expressions.iter().any(|name| name == "reject")
        || rule.extends_by("REJECT")
}
