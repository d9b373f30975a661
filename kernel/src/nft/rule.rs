//! Rules: `nft add rule inet tidewater postrouting ip saddr vmap @masquerade4 comment "…"`.
//!
//! A rule is written word by word: `chain.rule().is(Selector::IpDaddr, address).verdict(Verdict::Return)`.
//! What it looks at is in `matches.rs`, what it does in `statement.rs`.

use super::expr::Expr;
use super::number::{NLM_F_APPEND, NLM_F_CREATE, msg, rule as nfta};
use super::request::{Request, message};
use super::selector::{Premise, Selector};
use super::{Chain, comment};
use crate::netlink::{Message, NESTED};

/// A rule in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    pub(super) chain: Chain<'a>,
    expressions: Vec<Expr<'a>>,
    premises: Vec<Premise>,
    comment: Option<&'a str>,
}

impl<'a> Rule<'a> {
    /// An empty rule for this chain.
    pub fn new(chain: Chain<'a>) -> Rule<'a> {
        Rule { chain, expressions: Vec::new(), premises: Vec::new(), comment: None }
    }

    /// One more instruction, for what has no word here.
    pub fn with(mut self, expression: Expr<'a>) -> Rule<'a> {
        self.expressions.push(expression);
        self
    }

    /// `comment "…"`, at most [`MAX_COMMENT`](super::MAX_COMMENT) bytes.
    pub fn comment(self, comment: &'a str) -> Rule<'a> {
        Rule { comment: Some(comment), ..self }
    }

    /// `nft add rule`: behind all others of the chain.
    pub fn add(&self) -> Request {
        Request::new("add rule to", self.chain.to_string(), self.put(NLM_F_CREATE | NLM_F_APPEND, None))
    }

    /// `nft insert rule`: before all others of the chain.
    pub fn insert(&self) -> Request {
        Request::new("insert rule into", self.chain.to_string(), self.put(NLM_F_CREATE, None))
    }

    /// `nft insert rule … position HANDLE`: before that rule; ENOENT where it is gone.
    pub fn insert_before(&self, handle: u64) -> Request {
        Request::new("insert rule into", self.chain.to_string(), self.put(NLM_F_CREATE, Some(handle)))
    }

    /// The expressions, in order.
    pub fn expressions(&self) -> &[Expr<'a>] {
        &self.expressions
    }

    /// Makes sure, once in a rule, of what the selector takes for granted.
    pub(super) fn assume(mut self, selector: Selector) -> Rule<'a> {
        let family = self.chain.table.family;
        let Some(premise) = selector.premise(family) else { return self };
        if !self.premises.contains(&premise) {
            self.expressions.extend(premise.check(family));
            self.premises.push(premise);
        }
        self
    }

    fn put(&self, flags: u16, before: Option<u64>) -> Message {
        let body = message(msg::NEWRULE, flags, self.chain.table.family)
            .attr_str(nfta::TABLE, self.chain.table.name)
            .attr_str(nfta::CHAIN, self.chain.name)
            .nest(nfta::EXPRESSIONS | NESTED, |list| {
                self.expressions.iter().fold(list, |list, expression| expression.put(list))
            });
        let body = match before {
            Some(handle) => body.attr(nfta::POSITION, &handle.to_be_bytes()),
            None => body,
        };
        match self.comment {
            Some(text) => body.attr(nfta::USERDATA, &comment::userdata(comment::PLAIN, text)),
            None => body,
        }
    }
}

impl Chain<'_> {
    /// `nft delete rule … handle HANDLE`: ENOENT where it is gone.
    pub fn delete_rule(self, handle: u64) -> Request {
        let body = message(msg::DELRULE, 0, self.table.family)
            .attr_str(nfta::TABLE, self.table.name)
            .attr_str(nfta::CHAIN, self.name)
            .attr(nfta::HANDLE, &handle.to_be_bytes());
        Request::new("delete rule", format!("{handle} of {self}"), body)
    }
}
