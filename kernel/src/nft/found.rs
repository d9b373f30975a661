//! What the kernel has: tables, chains, rules and elements, read from its answers.

use super::number::{chain, elem, rule, set, table};
use super::{Base, ChainKind, Data, Family, Hook, Key, Policy, Verdict, comment};
use crate::netlink::{attribute, attributes, text};

/// A table that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFound {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: String,
}

/// A chain that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainFound {
    /// Its name.
    pub name: String,
    /// Where it is hooked; `None` for a regular chain.
    pub base: Option<Base>,
}

/// A rule that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFound {
    /// The chain that it is in.
    pub chain: String,
    /// By which it is deleted; never given twice in the life of a table.
    pub handle: u64,
    /// Its comment.
    pub comment: Option<String>,
    /// The names of its expressions, in order: `meta`, `cmp`, `immediate`, ….
    pub expressions: Vec<String>,
    /// The verdicts that it gives, jumps among them; what a verdict map gives is not in here.
    pub verdicts: Vec<Verdict>,
    /// The sets and maps that it asks.
    pub sets: Vec<String>,
    /// What it compares with, and what its extensions of the old tables (`match`, `target`) were told, in order.
    pub operands: Vec<Vec<u8>>,
}

/// An element that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementFound {
    /// Its key, of an interval the first.
    pub key: Key,
    /// The last key of an interval of several fields.
    pub last: Option<Key>,
    /// Whether this is not an element but the first key behind an interval of one field.
    pub ends_interval: bool,
    /// What the map has for it.
    pub data: Option<Data>,
    /// Its comment.
    pub comment: Option<String>,
}

impl TableFound {
    /// Reads a table message; `None` where it is of a family that this room does not speak of.
    pub(super) fn read(payload: &[u8]) -> Option<TableFound> {
        let family = Family::from_number(*payload.first()?)?;
        Some(TableFound { family, name: text(attribute(attributes_of(payload)?, table::NAME)?) })
    }
}

impl ChainFound {
    /// The name of its table, and the chain.
    pub(super) fn read(payload: &[u8]) -> Option<(String, ChainFound)> {
        let bytes = attributes_of(payload)?;
        let found = ChainFound { name: text(attribute(bytes, chain::NAME)?), base: read_base(bytes) };
        Some((text(attribute(bytes, chain::TABLE)?), found))
    }
}

impl RuleFound {
    /// Whether the rule jumps or goes to this chain.
    pub fn leads_to(&self, chain: &str) -> bool {
        self.verdicts.iter().any(|verdict| verdict.target() == Some(chain))
    }

    pub(super) fn read(payload: &[u8]) -> Option<RuleFound> {
        let bytes = attributes_of(payload)?;
        let mut found = RuleFound {
            chain: text(attribute(bytes, rule::CHAIN)?),
            handle: u64::from_be_bytes(attribute(bytes, rule::HANDLE)?.try_into().ok()?),
            comment: attribute(bytes, rule::USERDATA).and_then(|data| comment::read(data, comment::PLAIN)),
            expressions: Vec::new(),
            verdicts: Vec::new(),
            sets: Vec::new(),
            operands: Vec::new(),
        };
        for (_, expression) in attributes(attribute(bytes, rule::EXPRESSIONS).unwrap_or_default()) {
            found.read_expression(expression);
        }
        Some(found)
    }

    fn read_expression(&mut self, expression: &[u8]) {
        let name = attribute(expression, rule::EXPR_NAME).map(text).unwrap_or_default();
        let data = attribute(expression, rule::EXPR_DATA).unwrap_or_default();
        match name.as_str() {
            "immediate" => {
                let immediate = attribute(data, rule::IMMEDIATE_DATA).and_then(Data::read);
                if let Some(Data::Verdict(verdict)) = immediate {
                    self.verdicts.push(verdict);
                }
            }
            "lookup" => self.sets.extend(attribute(data, rule::LOOKUP_SET).map(text)),
            // What iptables writes for `-m comment`: an extension of the old tables, in a shell.
            "match" if attribute(data, rule::MATCH_NAME).map(text).as_deref() == Some("comment") => {
                self.comment = self.comment.take().or_else(|| attribute(data, rule::MATCH_INFO).map(text));
            }
            "match" | "target" => self.operands.extend(attribute(data, rule::MATCH_INFO).map(<[u8]>::to_vec)),
            "cmp" => {
                if let Some(Data::Value(value)) = attribute(data, rule::CMP_DATA).and_then(Data::read) {
                    self.operands.push(value.as_bytes().to_vec());
                }
            }
            _ => {}
        }
        self.expressions.push(name);
    }
}

impl ElementFound {
    /// The elements of one message.
    pub(super) fn read_list(payload: &[u8]) -> Vec<ElementFound> {
        let list = attributes_of(payload).and_then(|bytes| attribute(bytes, elem::LIST_ELEMENTS));
        attributes(list.unwrap_or_default()).filter_map(|(_, item)| ElementFound::read(item)).collect()
    }

    fn read(item: &[u8]) -> Option<ElementFound> {
        let key = |kind| match Data::read(attribute(item, kind)?)? {
            Data::Value(key) => Some(key),
            Data::Verdict(_) => None,
        };
        let flags = attribute(item, elem::FLAGS).and_then(be32).unwrap_or(0);
        Some(ElementFound {
            key: key(elem::KEY)?,
            last: key(elem::KEY_END),
            ends_interval: flags & elem::F_INTERVAL_END != 0,
            data: attribute(item, elem::DATA).and_then(Data::read),
            comment: attribute(item, elem::USERDATA).and_then(|data| comment::read(data, comment::PLAIN)),
        })
    }
}

/// The name of the set that a set message speaks of.
pub(super) fn set_name(payload: &[u8]) -> Option<String> {
    attribute(attributes_of(payload)?, set::NAME).map(text)
}

/// What follows `struct nfgenmsg`.
fn attributes_of(payload: &[u8]) -> Option<&[u8]> {
    payload.get(4..)
}

fn read_base(bytes: &[u8]) -> Option<Base> {
    let hook = attribute(bytes, chain::HOOK)?;
    let priority = attribute(hook, chain::HOOK_PRIORITY)?.try_into().ok()?;
    Some(Base {
        kind: ChainKind::from_name(&text(attribute(bytes, chain::TYPE)?))?,
        hook: Hook::from_number(be32(attribute(hook, chain::HOOK_NUMBER)?)?)?,
        priority: i32::from_be_bytes(priority),
        policy: Policy::from_number(be32(attribute(bytes, chain::POLICY)?)?)?,
    })
}

fn be32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}
