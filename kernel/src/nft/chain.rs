//! Chains: `nft add chain inet tidewater postrouting '{ type nat hook postrouting priority srcnat; policy
//! accept; }'`.

use super::number::{NLM_F_CREATE, NLM_F_EXCL, chain as nfta, msg, rule};
use super::request::{Request, message};
use super::{Family, Rule, Table, comment};
use crate::netlink::{Message, NESTED};
use std::fmt;

/// Names a chain; whether it exists is another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chain<'a> {
    /// The table that it is in.
    pub table: Table<'a>,
    /// Its name, at most 127 bytes.
    pub name: &'a str,
}

/// What makes a chain a base chain: where the kernel calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// `type`.
    pub kind: ChainKind,
    /// `hook`.
    pub hook: Hook,
    /// `priority`; the named ones are in [`priority`].
    pub priority: i32,
    /// `policy`: what becomes of a packet that reaches the end of the chain.
    pub policy: Policy,
}

/// The type of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// `filter`.
    Filter,
    /// `nat`: sees the first packet of each connection only.
    Nat,
    /// `route`: a changed mark or address makes the packet be routed again.
    Route,
}

/// Where on its way a packet meets a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before routing.
    Prerouting,
    /// To this host.
    Input,
    /// Through this host.
    Forward,
    /// From this host.
    Output,
    /// After routing.
    Postrouting,
}

/// What becomes of a packet that reaches the end of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It goes on.
    Accept,
    /// It is dropped.
    Drop,
}

/// The priorities that `nft` has names for.
pub mod priority {
    /// `dstnat` of the families ip, ip6 and inet.
    pub const DSTNAT: i32 = -100;
    /// `filter` of the families ip, ip6 and inet.
    pub const FILTER: i32 = 0;
    /// `srcnat` of the families ip, ip6 and inet.
    pub const SRCNAT: i32 = 100;
    /// `dstnat` of the family bridge.
    pub const BRIDGE_DSTNAT: i32 = -300;
    /// `filter` of the family bridge.
    pub const BRIDGE_FILTER: i32 = -200;
}

impl<'a> Chain<'a> {
    /// A rule for this chain, still empty.
    pub fn rule(self) -> Rule<'a> {
        Rule::new(self)
    }

    /// `nft add chain`, a regular one: fine where it is there already.
    pub fn add(self) -> Request {
        Request::new("add chain", self.to_string(), self.named(msg::NEWCHAIN, NLM_F_CREATE))
    }

    /// `nft create chain`, a regular one: EEXIST where it is there already.
    pub fn create(self) -> Request {
        Request::new("create chain", self.to_string(), self.named(msg::NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL))
    }

    /// `nft add chain … { comment "…"; }`; a chain that is there keeps the comment it has.
    pub fn add_with_comment(self, text: &str) -> Request {
        let mut request = self.add();
        request.message = request.message.attr(nfta::USERDATA, &comment::userdata(comment::PLAIN, text));
        request
    }

    /// `nft add chain … { type … hook … priority …; policy …; }`: fine where the same is there already, the
    /// policy is set anew; EEXIST or EOPNOTSUPP where a chain of this name is hooked elsewhere.
    pub fn add_base(self, base: &Base) -> Request {
        Request::new("add base chain", self.to_string(), self.hooked(NLM_F_CREATE, base))
    }

    /// `nft create chain … { type … hook … priority …; policy …; }`: EEXIST where it is there already. What
    /// is in the same transaction, its first rules, is then made exactly once.
    pub fn create_base(self, base: &Base) -> Request {
        Request::new("create base chain", self.to_string(), self.hooked(NLM_F_CREATE | NLM_F_EXCL, base))
    }

    /// `nft flush chain`: all its rules go, the chain stays.
    pub fn flush(self) -> Request {
        let body = message(msg::DELRULE, 0, self.table.family)
            .attr_str(rule::TABLE, self.table.name)
            .attr_str(rule::CHAIN, self.name);
        Request::new("flush chain", self.to_string(), body)
    }

    /// `nft delete chain`, rules included; ENOENT where there is none, EBUSY while something jumps to it.
    pub fn delete(self) -> Request {
        Request::new("delete chain", self.to_string(), self.named(msg::DELCHAIN, 0))
    }

    fn hooked(self, flags: u16, base: &Base) -> Message {
        self.named(msg::NEWCHAIN, flags)
            .attr_str(nfta::TYPE, base.kind.name())
            .attr_be32(nfta::POLICY, base.policy.number())
            .nest(nfta::HOOK | NESTED, |hook| {
                hook.attr_be32(nfta::HOOK_NUMBER, base.hook.number_in(self.table.family))
                    .attr(nfta::HOOK_PRIORITY, &base.priority.to_be_bytes())
            })
    }

    fn named(self, kind: u8, flags: u16) -> Message {
        message(kind, flags, self.table.family)
            .attr_str(nfta::TABLE, self.table.name)
            .attr_str(nfta::NAME, self.name)
    }
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.name)
    }
}

impl ChainKind {
    fn name(self) -> &'static str {
        match self {
            ChainKind::Filter => "filter",
            ChainKind::Nat => "nat",
            ChainKind::Route => "route",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<ChainKind> {
        [ChainKind::Filter, ChainKind::Nat, ChainKind::Route].into_iter().find(|kind| kind.name() == name)
    }
}

impl Hook {
    const ALL: [Hook; 5] = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];

    /// `NF_INET_*`, which `NF_BR_*` agrees with.
    fn number(self) -> u32 {
        match self {
            Hook::Prerouting => 0,
            Hook::Input => 1,
            Hook::Forward => 2,
            Hook::Output => 3,
            Hook::Postrouting => 4,
        }
    }

    /// ARP is met in two places only, which have numbers of their own (`NF_ARP_IN`, `NF_ARP_OUT`).
    fn number_in(self, family: Family) -> u32 {
        match (family, self) {
            (Family::Arp, Hook::Input) => 0,
            (Family::Arp, Hook::Output) => 1,
            _ => self.number(),
        }
    }

    pub(super) fn from_number(number: u32) -> Option<Hook> {
        Hook::ALL.into_iter().find(|hook| hook.number() == number)
    }
}

impl Policy {
    /// `NF_DROP` and `NF_ACCEPT`.
    fn number(self) -> u32 {
        match self {
            Policy::Drop => 0,
            Policy::Accept => 1,
        }
    }

    pub(super) fn from_number(number: u32) -> Option<Policy> {
        [Policy::Drop, Policy::Accept].into_iter().find(|policy| policy.number() == number)
    }
}
