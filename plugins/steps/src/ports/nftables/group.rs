//! The maps of one address family and one list of conditions, and the chain that asks them.

use super::layout::TABLE;
use crate::label::hash_prefix;
use crate::ports::Side;
use crate::subnet_set;
use kernel::nft::{NatTo, Nft, Request, Rule, RuleComment, Selector, SetSpec, Type, Verdict};
use spec::error::Result;

/// What the names of the sets of containers with `snat` begin with, before the subnet.
pub(super) const HAIRPIN_PREFIX: &str = "hairpin-";

/// The names of one group of maps and its chain: of one address family and one list of conditions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) v4: bool,
    /// Map of the ports of single addresses of the host.
    pub(super) at: String,
    /// Map of the ports of all addresses of the host.
    pub(super) all: String,
    /// Map of port ranges of all addresses, whose numbers are kept.
    pub(super) ranges: String,
    /// Set of the ports that have an element in `at`, for the look whether a port of all addresses is free.
    pub(super) some: String,
    /// Set of the containers of the side's subnet with `snat`; empty where no side is in question.
    pub(super) hairpin: String,
    /// The chain whose rules ask the maps.
    pub(super) chain: String,
}

impl Group {
    /// The group of a side.
    pub(super) fn of(side: &Side) -> Group {
        let v4 = side.container.addr().is_ipv4();
        let family = if v4 { "hostports-v4" } else { "hostports-v6" };
        let group = match side.conditions.is_empty() {
            true => Group::named(v4, family),
            false => Group::named(v4, &format!("{family}-{}", hash_prefix(&side.conditions.join(" "), 4))),
        };
        Group { hairpin: subnet_set::name(HAIRPIN_PREFIX, side.container), ..group }
    }

    /// All groups that have maps in the table.
    pub(super) fn list(nft: &mut Nft) -> Result<Vec<Group>> {
        let sets = nft.sets(TABLE)?;
        let groups = sets.iter().filter_map(|name| name.strip_suffix("-all"));
        let groups = groups.filter(|name| name.starts_with("hostports-v"));
        Ok(groups.map(|name| Group::named(name.starts_with("hostports-v4"), name)).collect())
    }

    fn named(v4: bool, name: &str) -> Group {
        Group {
            v4,
            at: format!("{name}-at"),
            all: format!("{name}-all"),
            ranges: format!("{name}-ranges"),
            some: format!("{name}-some"),
            hairpin: String::new(),
            chain: name.to_owned(),
        }
    }

    /// The fields of the keys of `at`.
    pub(super) fn at_key(&self) -> [Type; 3] {
        [address(self.v4), Type::InetProto, Type::InetService]
    }

    /// What makes maps and chains, each fine where it is there already.
    pub(super) fn objects(&self) -> Vec<Request> {
        let port = [Type::InetProto, Type::InetService];
        let target = [address(self.v4), Type::InetService];
        vec![
            TABLE.set(&self.at).add(&SetSpec::map(&self.at_key(), &target)),
            TABLE.set(&self.all).add(&SetSpec::map(&port, &target)),
            TABLE.set(&self.ranges).add(&SetSpec::map(&port, &[address(self.v4)]).interval()),
            TABLE.set(&self.some).add(&SetSpec::set(&port)),
            TABLE.chain(&self.chain).add(),
            TABLE.chain(marks(self.v4)).add(),
        ]
    }

    /// The rules of the chain that do the mapping, in their order, with the comments that they are known by.
    pub(super) fn rules(&self) -> [(&'static str, Rule<'_>); 4] {
        let chain = TABLE.chain(&self.chain);
        let to = |map, key, port| NatTo::Map { map, key, ip6: !self.v4, port };
        let by_port = &[Selector::L4proto, Selector::ThDport];
        let at_address: &[Selector] = match self.v4 {
            true => &[Selector::IpDaddr, Selector::L4proto, Selector::ThDport],
            false => &[Selector::Ip6Daddr, Selector::L4proto, Selector::ThDport],
        };
        let marking = chain.rule().verdict(Verdict::jump(marks(self.v4)));
        [
            ("callers whose answers have to come back this way", marking),
            ("at one address", chain.rule().dnat(to(&self.at, at_address, true))),
            ("at all addresses", chain.rule().dnat(to(&self.all, by_port, true))),
            ("ranges at all addresses", chain.rule().dnat(to(&self.ranges, by_port, false))),
        ]
    }

    /// Whether the chain begins with its rules, in their order.
    pub(super) fn is_whole(&self, rules: &[RuleComment]) -> bool {
        let found = rules.iter().filter(|rule| rule.chain == self.chain).map(|rule| rule.comment.as_deref());
        let wanted = self.rules();
        found.take(wanted.len()).eq(wanted.iter().map(|(comment, _)| Some(*comment)))
    }
}

/// The chain that marks.
pub(super) fn marks(v4: bool) -> &'static str {
    if v4 { "hairpin-v4" } else { "hairpin-v6" }
}

/// The type of an address.
pub(super) fn address(v4: bool) -> Type {
    if v4 { Type::Ipv4Addr } else { Type::Ipv6Addr }
}
