//! One rule of iptables, said once: its words, and how to know it again among the rules of nf_tables.

use kernel::nft::{RuleFound, Selector, Value, Verdict};
use std::net::IpAddr;

/// Which end of a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// What becomes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Accept,
    Drop,
    Return,
    Chain(&'a str),
}

/// A rule with all that it asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<'a> {
    pub(super) chain: &'a str,
    pub(super) address: Option<(End, IpAddr)>,
    pub(super) iif: Option<&'a str>,
    /// Whether it is this one, or is not.
    pub(super) oif: Option<(bool, &'a str)>,
    pub(super) established: bool,
    pub(super) comment: Option<&'a str>,
    pub(super) target: Target<'a>,
}

impl<'a> Rule<'a> {
    /// A rule that asks nothing.
    pub(super) fn new(chain: &'a str, target: Target<'a>) -> Rule<'a> {
        Rule { chain, address: None, iif: None, oif: None, established: false, comment: None, target }
    }

    /// A jump with a comment.
    pub(super) fn jump(chain: &'a str, to: &'a str, comment: &'a str) -> Rule<'a> {
        Rule { comment: Some(comment), ..Rule::new(chain, Target::Chain(to)) }
    }

    /// The line of `iptables -S`.
    pub(super) fn line(&self) -> String {
        format!("-A {} {}", self.chain, self.words())
    }

    /// The words behind the chain, as `iptables -S` writes them.
    pub(super) fn words(&self) -> String {
        let mut words = Vec::new();
        if let Some((end, address)) = self.address {
            let option = if end == End::Source { "-s" } else { "-d" };
            words.push(format!("{option} {address}/{}", if address.is_ipv4() { 32 } else { 128 }));
        }
        words.extend(self.iif.map(|name| format!("-i {name}")));
        words.extend(self.oif.map(|(is, name)| format!("{}-o {name}", if is { "" } else { "! " })));
        if self.established {
            words.push("-m conntrack --ctstate RELATED,ESTABLISHED".to_owned());
        }
        words.extend(self.comment.map(|comment| format!("-m comment --comment \"{comment}\"")));
        let target = match self.target {
            Target::Accept => "ACCEPT",
            Target::Drop => "DROP",
            Target::Return => "RETURN",
            Target::Chain(name) => name,
        };
        words.push(format!("-j {target}"));
        words.join(" ")
    }

    /// Whether this is what nf_tables has: the same questions, no further one, the same end.
    pub(super) fn is(&self, found: &RuleFound) -> bool {
        let asked = [self.address.is_some(), self.iif.is_some(), self.oif.is_some()];
        let tracked = found.extends_by("conntrack") || found.expressions.iter().any(|name| name == "ct");
        let known = |name: &str| name == "comment" || name == "conntrack";
        found.chain == self.chain
            && found.verdicts == [self.verdict()]
            && found.comment.as_deref() == self.comment
            && found.extensions.iter().all(|extension| known(&extension.name))
            && tracked == self.established
            && self.compares(found)
            && (self.established || found.compares.len() == asked.into_iter().filter(|asked| *asked).count())
    }

    fn compares(&self, found: &RuleFound) -> bool {
        let address = self
            .address
            .is_none_or(|(end, address)| found.compares(selector(end, address), true, Value::from(address)));
        let iif = self.iif.is_none_or(|name| found.compares(Selector::Iifname, true, Value::ifname(name)));
        let oif =
            self.oif.is_none_or(|(is, name)| found.compares(Selector::Oifname, is, Value::ifname(name)));
        address && iif && oif
    }

    fn verdict(&self) -> Verdict {
        match self.target {
            Target::Accept => Verdict::Accept,
            Target::Drop => Verdict::Drop,
            Target::Return => Verdict::Return,
            Target::Chain(name) => Verdict::jump(name),
        }
    }
}

fn selector(end: End, address: IpAddr) -> Selector {
    match (end, address.is_ipv4()) {
        (End::Source, true) => Selector::IpSaddr,
        (End::Destination, true) => Selector::IpDaddr,
        (End::Source, false) => Selector::Ip6Saddr,
        (End::Destination, false) => Selector::Ip6Daddr,
    }
}
