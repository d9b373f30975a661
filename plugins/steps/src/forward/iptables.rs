//! Forwarding through iptables, in the very form of the reference plugin, so that either can remove what the other
//! made:
//!
//! ```text
//! -A FORWARD -m comment --comment "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)" -j CNI-ISOLATION-STAGE-1
//! -A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
//! -A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN
//! -A CNI-FORWARD -d 10.1.0.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
//! -A CNI-FORWARD -s 10.1.0.5/32 -j ACCEPT
//! ```
//!
//! What is there is asked over netlink (where the old kernel tables are in use, by one `iptables -S`), what is
//! missing is written by one `iptables-restore`.

use super::rule::{End, Rule, Target};
use super::{Forward, Ingress};
use crate::iptables::{TOOLS, Tool};
use kernel::lock::Lock;
use kernel::nft::{Nft, Request, RuleFound};
use spec::error::{Error, Result};
use std::fmt::Write as _;
use std::net::IpAddr;

const FILTER: &str = "filter";
const FORWARD: &str = "FORWARD";
const OURS: &str = "CNI-FORWARD";
const STAGE1: &str = "CNI-ISOLATION-STAGE-1";
const STAGE2: &str = "CNI-ISOLATION-STAGE-2";
const RULES: &str = "CNI firewall plugin rules";
const OVERRIDES: &str = "CNI firewall plugin admin overrides";
const EITHER: &str = "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)";
const SAME_BRIDGE: &str = "CNI firewall plugin rules (ingressPolicy: same-bridge)";
const ISOLATED: &str = "CNI firewall plugin rules (ingressPolicy: isolated)";

/// Where a rule that is missing goes.
#[derive(Clone, Copy)]
enum Place {
    First,
    /// Behind the jump to the isolation: what CNI-FORWARD accepts would never come there.
    BehindIsolation,
    Last,
}

/// Under the lock: two at once would both find a shared rule missing, and it would be there twice.
pub(super) fn ensure(forward: &Forward, lock: &Lock) -> Result<()> {
    for tool in &TOOLS {
        let wanted = wanted(tool, forward);
        if wanted.is_empty() {
            continue;
        }
        let script = script(&chains(forward), &wanted, &There::ask(tool, forward)?);
        if !script.is_empty() {
            tool.restore_under(lock, &format!("*{FILTER}\n{script}COMMIT\n"))?;
        }
    }
    Ok(())
}

pub(super) fn check(forward: &Forward) -> Result<()> {
    for tool in &TOOLS {
        let wanted = wanted(tool, forward);
        if wanted.is_empty() {
            continue;
        }
        let there = There::ask(tool, forward)?;
        if let Some((rule, _)) = wanted.iter().find(|(rule, _)| !there.has(rule)) {
            return Err(Error::internal(format!(
                "expected rule {:?} not found in table {FILTER}",
                rule.line()
            )));
        }
    }
    Ok(())
}

/// The rules of iptables for these addresses, whoever made them.
pub(super) fn deletions(nft: &mut Nft, addresses: &[IpAddr]) -> Result<Vec<(IpAddr, Request)>> {
    let mut deletions = Vec::new();
    for tool in &TOOLS {
        let own: Vec<IpAddr> = of_family(tool, addresses).collect();
        if own.is_empty() {
            continue;
        }
        let chain = tool.chain(FILTER, OURS);
        for found in nft.rules(chain)? {
            let whose = own.iter().find(|address| accepting(**address).iter().any(|rule| rule.is(&found)));
            deletions.extend(whose.map(|address| (*address, chain.delete_rule(found.handle))));
        }
    }
    Ok(deletions)
}

/// Whether the old kernel tables are in use.
pub(super) fn has_legacy() -> bool {
    TOOLS.iter().any(|tool| tool.has_legacy(FILTER))
}

/// The same for the old kernel tables, where they are in use.
pub(super) fn remove_legacy(addresses: &[IpAddr]) -> Result<()> {
    for tool in &TOOLS {
        let rules: Vec<String> =
            of_family(tool, addresses).flat_map(accepting).map(|rule| rule.line()).collect();
        if rules.is_empty() || !tool.has_legacy(FILTER) {
            continue;
        }
        let there = tool.legacy_rules(FILTER, OURS).unwrap_or_default();
        let lines = there.lines().filter(|line| rules.iter().any(|rule| rule == line));
        let script: String = lines.map(|line| line.replacen("-A ", "-D ", 1) + "\n").collect();
        if !script.is_empty() {
            tool.restore_legacy(&format!("*{FILTER}\n{script}COMMIT\n"))?;
        }
    }
    Ok(())
}

pub(super) fn available() -> Result<()> {
    // IPv6 may be missing on a host that needs none.
    TOOLS[0].rules(FILTER, FORWARD).map(drop)
}

fn of_family(tool: &Tool, addresses: &[IpAddr]) -> impl Iterator<Item = IpAddr> {
    addresses.iter().copied().filter(|address| address.is_ipv4() == tool.v4)
}

/// All rules that the attachment needs in this family, in the order in which they are written.
fn wanted<'a>(tool: &Tool, forward: &'a Forward) -> Vec<(Rule<'a>, Place)> {
    let mut own = of_family(tool, &forward.addresses).flat_map(accepting).peekable();
    if own.peek().is_none() {
        return Vec::new();
    }
    let mut wanted = vec![
        (Rule::jump(OURS, &forward.admin_chain, OVERRIDES), Place::First),
        (Rule::jump(FORWARD, OURS, RULES), Place::BehindIsolation),
    ];
    wanted.extend(own.map(|rule| (rule, Place::Last)));
    if let Some(ingress) = &forward.ingress {
        wanted.extend(isolation(ingress));
    }
    wanted
}

fn accepting(address: IpAddr) -> [Rule<'static>; 2] {
    let answers = Rule { established: true, ..Rule::new(OURS, Target::Accept) };
    [
        Rule { address: Some((End::Destination, address)), ..answers },
        Rule { address: Some((End::Source, address)), ..Rule::new(OURS, Target::Accept) },
    ]
}

/// The rules that keep bridges apart; shared by all containers of the bridge.
fn isolation(ingress: &Ingress) -> Vec<(Rule<'_>, Place)> {
    let (bridge, policy) = (ingress.bridge.as_str(), if ingress.isolated { ISOLATED } else { SAME_BRIDGE });
    let leaving =
        Rule { iif: Some(bridge), oif: Some((false, bridge)), ..Rule::jump(STAGE1, STAGE2, policy) };
    let within = Rule {
        iif: Some(bridge),
        oif: Some((true, bridge)),
        comment: Some(policy),
        ..Rule::new(STAGE1, Target::Drop)
    };
    let entering =
        Rule { oif: Some((true, bridge)), comment: Some(EITHER), ..Rule::new(STAGE2, Target::Drop) };
    let end = |chain| Rule { comment: Some(EITHER), ..Rule::new(chain, Target::Return) };
    let mut rules = vec![(Rule::jump(FORWARD, STAGE1, EITHER), Place::First), (leaving, Place::First)];
    rules.extend(ingress.isolated.then_some((within, Place::First)));
    rules.extend([(end(STAGE1), Place::Last), (entering, Place::First), (end(STAGE2), Place::Last)]);
    rules
}

fn chains(forward: &Forward) -> Vec<&str> {
    let mut chains = vec![OURS, forward.admin_chain.as_str()];
    if forward.ingress.is_some() {
        chains.extend([STAGE1, STAGE2]);
    }
    chains
}

/// What `iptables-restore` is to do; empty where nothing is missing. A chain that came meanwhile is an error and
/// not flushed, as declaring it would.
fn script(chains: &[&str], wanted: &[(Rule<'_>, Place)], there: &There) -> String {
    let mut script = String::new();
    for chain in chains.iter().filter(|chain| !there.has_chain(chain)) {
        // Writing to a String cannot fail.
        let _ = writeln!(script, "-N {chain}");
    }
    for (rule, place) in wanted.iter().filter(|(rule, _)| !there.has(rule)) {
        let words = rule.words();
        let _ = match place {
            Place::Last => writeln!(script, "-A {} {words}", rule.chain),
            Place::First => writeln!(script, "-I {} 1 {words}", rule.chain),
            Place::BehindIsolation => {
                writeln!(script, "-I {} {} {words}", rule.chain, there.behind_isolation())
            }
        };
    }
    script
}

/// What a family has of all this already.
enum There {
    /// Chains and rules, as nf_tables has them.
    Netlink { chains: Vec<String>, rules: Vec<RuleFound> },
    /// What `iptables -S` says.
    Listed(String),
}

impl There {
    fn ask(tool: &Tool, forward: &Forward) -> Result<There> {
        if tool.has_legacy(FILTER) {
            return tool.all_rules(FILTER).map(There::Listed);
        }
        let mut nft = Nft::open()?;
        let (mut found, mut rules) = (Vec::new(), nft.rules(tool.chain(FILTER, FORWARD))?);
        for name in chains(forward) {
            if nft.chain(tool.chain(FILTER, name))?.is_some() {
                found.push(name.to_owned());
                rules.extend(nft.rules(tool.chain(FILTER, name))?);
            }
        }
        Ok(There::Netlink { chains: found, rules })
    }

    fn has_chain(&self, name: &str) -> bool {
        match self {
            There::Netlink { chains, .. } => chains.iter().any(|chain| chain == name),
            There::Listed(text) => text.lines().any(|line| line.strip_prefix("-N ") == Some(name)),
        }
    }

    /// As today's reference plugin writes it, or as its versions before 1.2 did, which knew one policy only.
    fn has(&self, rule: &Rule<'_>) -> bool {
        let older =
            Rule { comment: rule.comment.map(|now| if now == EITHER { SAME_BRIDGE } else { now }), ..*rule };
        self.has_exactly(rule) || self.has_exactly(&older)
    }

    fn has_exactly(&self, rule: &Rule<'_>) -> bool {
        match self {
            There::Netlink { rules, .. } => rules.iter().any(|found| rule.is(found)),
            There::Listed(text) => text.lines().any(|line| line == rule.line()),
        }
    }

    /// The number of the place in FORWARD behind the jump to the isolation; the first where there is none.
    fn behind_isolation(&self) -> usize {
        let jump = Rule::jump(FORWARD, STAGE1, EITHER);
        let before = match self {
            There::Netlink { rules, .. } => {
                rules.iter().filter(|found| found.chain == FORWARD).position(|found| jump.is(found))
            }
            There::Listed(text) => text
                .lines()
                .filter(|line| line.starts_with("-A FORWARD "))
                .position(|line| line == jump.line()),
        };
        before.map_or(1, |place| place + 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(ingress: Option<bool>) -> Forward {
        Forward {
            backend: super::super::Backend::Iptables,
            addresses: vec![IpAddr::from([10, 1, 0, 5])],
            admin_chain: "CNI-ADMIN".to_owned(),
            zone: String::new(),
            ingress: ingress.map(|isolated| Ingress { bridge: "br0".to_owned(), isolated, port: None }),
        }
    }

    fn lines(there: &str, ingress: Option<bool>) -> String {
        let forward = forward(ingress);
        script(&chains(&forward), &wanted(&TOOLS[0], &forward), &There::Listed(there.to_owned()))
    }

    #[test]
    fn the_script_makes_the_reference_plugins_rules() {
        let expected = "\
-N CNI-FORWARD
-N CNI-ADMIN
-N CNI-ISOLATION-STAGE-1
-N CNI-ISOLATION-STAGE-2
-I CNI-FORWARD 1 -m comment --comment \"CNI firewall plugin admin overrides\" -j CNI-ADMIN
-I FORWARD 1 -m comment --comment \"CNI firewall plugin rules\" -j CNI-FORWARD
-A CNI-FORWARD -d 10.1.0.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A CNI-FORWARD -s 10.1.0.5/32 -j ACCEPT
-I FORWARD 1 -m comment --comment \"CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)\" -j CNI-ISOLATION-STAGE-1
-I CNI-ISOLATION-STAGE-1 1 -i br0 ! -o br0 -m comment --comment \"CNI firewall plugin rules (ingressPolicy: isolated)\" -j CNI-ISOLATION-STAGE-2
-I CNI-ISOLATION-STAGE-1 1 -i br0 -o br0 -m comment --comment \"CNI firewall plugin rules (ingressPolicy: isolated)\" -j DROP
-A CNI-ISOLATION-STAGE-1 -m comment --comment \"CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)\" -j RETURN
-I CNI-ISOLATION-STAGE-2 1 -o br0 -m comment --comment \"CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)\" -j DROP
-A CNI-ISOLATION-STAGE-2 -m comment --comment \"CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)\" -j RETURN
";
        assert_eq!(lines("", Some(true)), expected);
    }

    #[test]
    fn what_is_there_is_not_written_again_and_the_isolation_stays_first() {
        let there = "\
-N CNI-ADMIN
-N CNI-FORWARD
-A FORWARD -m comment --comment \"CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)\" -j CNI-ISOLATION-STAGE-1
-A CNI-FORWARD -m comment --comment \"CNI firewall plugin admin overrides\" -j CNI-ADMIN
-A CNI-FORWARD -s 10.1.0.5/32 -j ACCEPT
";
        let expected = "\
-I FORWARD 2 -m comment --comment \"CNI firewall plugin rules\" -j CNI-FORWARD
-A CNI-FORWARD -d 10.1.0.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
";
        assert_eq!(lines(there, None), expected);
    }
}
