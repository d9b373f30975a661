//! What the kernel has: tables, chains, rules and elements, read from its answers.

use super::number::{chain, elem, rule, set, table};
use super::{
    Base, ChainKind, Data, Expr, Family, Hook, Key, Policy, Register, Selector, Type, Value, Verdict, comment,
};
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
    /// What it compares with a constant, in order; what it masks first is not in here.
    pub compares: Vec<Compared>,
    /// The extensions of iptables that it uses, matches and targets: `comment`, `conntrack`, `REJECT`.
    pub extensions: Vec<String>,
}

/// What a rule that is there is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleComment {
    /// The chain that it is in.
    pub chain: String,
    /// Its comment.
    pub comment: Option<String>,
}

impl RuleComment {
    pub(super) fn read(payload: &[u8]) -> Option<RuleComment> {
        let bytes = attributes_of(payload)?;
        let comment = attribute(bytes, rule::USERDATA).and_then(|data| comment::read(data, comment::PLAIN));
        Some(RuleComment { chain: text(attribute(bytes, rule::CHAIN)?), comment })
    }
}

/// A comparison with a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    what: Loaded,
    equal: bool,
    value: Vec<u8>,
}

/// What lies in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loaded {
    Meta(u32),
    Payload { header: u32, offset: u32, length: u32 },
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

    /// Whether it asks that the selector is this value, or that it is not.
    pub fn compares(&self, selector: Selector, equal: bool, value: impl Into<Value>) -> bool {
        let (wanted, value) = (Loaded::by(selector), value.into());
        self.compares.iter().any(|compared| {
            Some(compared.what) == wanted && compared.equal == equal && same_bytes(&compared.value, &value)
        })
    }

    pub(super) fn read(payload: &[u8]) -> Option<RuleFound> {
        let bytes = attributes_of(payload)?;
        let mut loaded = None;
        let mut found = RuleFound {
            chain: text(attribute(bytes, rule::CHAIN)?),
            handle: u64::from_be_bytes(attribute(bytes, rule::HANDLE)?.try_into().ok()?),
            comment: attribute(bytes, rule::USERDATA).and_then(|data| comment::read(data, comment::PLAIN)),
            expressions: Vec::new(),
            verdicts: Vec::new(),
            sets: Vec::new(),
            operands: Vec::new(),
            compares: Vec::new(),
            extensions: Vec::new(),
        };
        for (_, expression) in attributes(attribute(bytes, rule::EXPRESSIONS).unwrap_or_default()) {
            found.read_expression(expression, &mut loaded);
        }
        Some(found)
    }

    /// `loaded` is what the expression before left in a register, which a comparison is of: nobody who writes
    /// rules for people loads two things before comparing the first.
    fn read_expression(&mut self, expression: &[u8], loaded: &mut Option<Loaded>) {
        let name = attribute(expression, rule::EXPR_NAME).map(text).unwrap_or_default();
        let data = attribute(expression, rule::EXPR_DATA).unwrap_or_default();
        if matches!(name.as_str(), "match" | "target") {
            self.extensions.extend(attribute(data, rule::MATCH_NAME).map(text));
        }
        let before = std::mem::replace(loaded, Loaded::read(&name, data));
        match name.as_str() {
            "cmp" => {
                self.compares.extend(before.and_then(|what| Compared::read(what, data)));
                if let Some(Data::Value(value)) = attribute(data, rule::CMP_DATA).and_then(Data::read) {
                    self.operands.push(value.as_bytes().to_vec());
                }
            }
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
            _ => {}
        }
        self.expressions.push(name);
    }
}

impl Loaded {
    /// What the selector would load.
    fn by(selector: Selector) -> Option<Loaded> {
        match selector.load(Register::FIRST) {
            Expr::Meta { key, .. } => Some(Loaded::Meta(key.number())),
            Expr::Payload { header, offset, length, .. } => {
                Some(Loaded::Payload { header: header.number(), offset, length })
            }
            _ => None,
        }
    }

    fn read(name: &str, data: &[u8]) -> Option<Loaded> {
        let number = |kind| attribute(data, kind).and_then(be32);
        match name {
            "meta" => number(rule::META_KEY).map(Loaded::Meta),
            "payload" => Some(Loaded::Payload {
                header: number(rule::PAYLOAD_BASE)?,
                offset: number(rule::PAYLOAD_OFFSET)?,
                length: number(rule::PAYLOAD_LENGTH)?,
            }),
            _ => None,
        }
    }
}

impl Compared {
    fn read(what: Loaded, data: &[u8]) -> Option<Compared> {
        let equal = match be32(attribute(data, rule::CMP_OPERATION)?)? {
            0 => true,
            1 => false,
            _ => return None,
        };
        let Data::Value(value) = Data::read(attribute(data, rule::CMP_DATA)?)? else { return None };
        Some(Compared { what, equal, value: value.as_bytes().to_vec() })
    }
}

/// A name of an interface is compared with its NUL, and with as many more as the writer likes; without one it
/// is the beginning of names.
fn same_bytes(found: &[u8], wanted: &Value) -> bool {
    let wanted = wanted.as_bytes();
    found == wanted
        || (wanted.len() == Type::Ifname.length() && found.last() == Some(&0) && text(found) == text(wanted))
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
