//! nf_tables over netlink: a [`Transaction`] of [`Request`]s becomes one batch that the kernel takes whole or not at all.
//!
//! Words are those of `nft`: `add` is fine where the object is there already, `create` is not (EEXIST), `delete` wants
//! it to be there (ENOENT). What starts with `remove` ([`remove.rs`](Nft::remove)) is gone afterwards, whoever took it.
//! Builders only make requests; [`Nft`] sends them. What is made here reads naturally in `nft list ruleset`.
//!
//! ```no_run
//! use kernel::nft::{Base, ChainKind, Element, Family, Hook, Nft, Policy, SetSpec, Table, Transaction, Type};
//! use kernel::nft::{Selector, priority};
//! # fn main() -> kernel::error::Result<()> {
//! let table = Table::new(Family::Inet, "example");
//! let (set, chain) = (table.set("clients"), table.chain("postrouting"));
//! let base = Base { kind: ChainKind::Nat, hook: Hook::Postrouting, priority: priority::SRCNAT, policy: Policy::Accept };
//! let client = Element::new(std::net::Ipv4Addr::new(10, 1, 0, 5)).comment("whose");
//! Nft::open()?.put_element(set, &client, |_| {
//!     let mut missing = Transaction::new();
//!     missing.push(table.add());
//!     missing.push(set.add(&SetSpec::set(&[Type::Ipv4Addr])));
//!     missing.push(chain.add_base(&base));
//!     missing.push(chain.flush());
//!     missing.push(chain.rule().in_set(&[Selector::IpSaddr], set.name).masquerade().add());
//!     Ok(missing)
//! })
//! # }
//! ```

mod chain;
mod comment;
mod element;
mod expr;
mod expr_number;
mod find;
mod found;
mod matches;
mod number;
mod put;
mod remove;
mod request;
mod rule;
mod selector;
mod set;
mod statement;
mod table;
mod transaction;
mod value;
mod verdict;

pub use chain::{Base, Chain, ChainKind, Hook, Policy, priority};
pub use comment::MAX_COMMENT;
pub use element::Element;
pub use expr::{Compare, Ct, Expr, Header, Meta, NatKind, Per, Register, Reject};
pub use expr_number::{ct_state, ct_status, fib, nat_flags};
pub use found::{ChainFound, Compared, ElementFound, Extension, RuleComment, RuleFound, TableFound};
pub use request::Request;
pub use rule::Rule;
pub use selector::Selector;
pub use set::{Set, SetSpec};
pub use statement::NatTo;
pub use table::{Family, Table};
pub use transaction::Transaction;
pub use value::{Key, Type, Value};
pub use verdict::{Data, Verdict};

use crate::error::Result;
use crate::netns::NetNs;
use crate::socket::{Protocol, Socket};
use rustix::fd::{AsFd, BorrowedFd};

/// A socket to the nf_tables of one network namespace.
///
/// Closing the last descriptor of it after something was deleted waits for an RCU grace period (4-30 ms): the
/// kernel first ends what the deletion left to do. A caller in a hurry passes a duplicate of the descriptor
/// to a helper that outlives it.
#[derive(Debug)]
pub struct Nft {
    socket: Socket,
}

impl Nft {
    /// Opens the nf_tables of the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel has no netfilter netlink, or the process no descriptor left.
    pub fn open() -> Result<Nft> {
        Ok(Nft { socket: Socket::open(Protocol::Netfilter)? })
    }

    /// Opens the nf_tables of another network namespace.
    ///
    /// # Errors
    /// As [`Nft::open`]; or the namespace cannot be entered.
    pub fn open_in(netns: &NetNs) -> Result<Nft> {
        Ok(Nft { socket: Socket::open_in(netns, Protocol::Netfilter)? })
    }
}

impl AsFd for Nft {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
