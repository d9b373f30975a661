//! What the kernel has: tables, chains, rules and elements, read from its answers.

use super::number::{chain, elem, rule, set, table};
use super::{
    Base, ChainKind, Data, Expr, Family, Hook, Key, Policy, Register, Selector, Type, Value, Verdict, comment,
};
use crate::netlink::{attribute, attributes, text};

/// `NFT_CMP_EQ`.
const EQUAL: u32 = 0;
/// `NFT_CMP_NEQ`.
const NOT_EQUAL: u32 = 1;

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
    /// Its comparisons with a constant, in order.
    pub compares: Vec<Compared>,
    /// The extensions of iptables that it uses, matches and targets, in order.
    pub extensions: Vec<Extension>,
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
    /// `None` for what is masked first, and for what is not read here.
    what: Option<Loaded>,
    /// `NFT_CMP_*`.
    operation: u32,
    value: Vec<u8>,
}

/// An extension of the old tables, in a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// `comment`, `conntrack`, `REJECT`, ….
    pub name: String,
    /// What it was told, in its own form.
    pub told: Vec<u8>,
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
        let Some(wanted) = Loaded::by(selector) else { return false };
        let (operation, value) = (if equal { EQUAL } else { NOT_EQUAL }, value.into());
        self.compares.iter().any(|compared| {
            compared.what == Some(wanted)
                && compared.operation == operation
                && same_bytes(&compared.value, &value)
        })
    }

    /// Whether it uses this extension of iptables.
    pub fn extends_by(&self, name: &str) -> bool {
        self.extensions.iter().any(|extension| extension.name == name)
    }

    /// What its comparisons are with, and what its extensions were told.
    pub fn operands(&self) -> impl Iterator<Item = &[u8]> {
        let constants = self.compares.iter().map(|compared| compared.value.as_slice());
        constants.chain(self.extensions.iter().map(|extension| extension.told.as_slice()))
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
            compares: Vec::new(),
            extensions: Vec::new(),
        };
        for (_, expression) in attributes(attribute(bytes, rule::EXPRESSIONS).unwrap_or_default()) {
            found.read_expression(expression, &mut loaded);
        }
        found.comment = found.comment.take().or_else(|| found.comment_of_iptables());
        Some(found)
    }

    /// `loaded` is what the expression before left in a register, which a comparison is of: nobody who writes
    /// rules for people loads two things before comparing the first.
    fn read_expression(&mut self, expression: &[u8], loaded: &mut Option<Loaded>) {
        let name = attribute(expression, rule::EXPR_NAME).map(text).unwrap_or_default();
        let data = attribute(expression, rule::EXPR_DATA).unwrap_or_default();
        let before = std::mem::replace(loaded, Loaded::read(&name, data));
        match name.as_str() {
            "cmp" => self.compares.extend(Compared::read(before, data)),
            "immediate" => {
                let immediate = attribute(data, rule::IMMEDIATE_DATA).and_then(Data::read);
                if let Some(Data::Verdict(verdict)) = immediate {
                    self.verdicts.push(verdict);
                }
            }
            "lookup" => self.sets.extend(attribute(data, rule::LOOKUP_SET).map(text)),
            "match" | "target" => self.extensions.extend(Extension::read(data)),
            _ => {}
        }
        self.expressions.push(name);
    }

    /// What iptables writes for `-m comment`.
    fn comment_of_iptables(&self) -> Option<String> {
        self.extensions
            .iter()
            .find(|extension| extension.name == "comment")
            .map(|comment| text(&comment.told))
    }
}

impl Extension {
    fn read(data: &[u8]) -> Option<Extension> {
        let told = attribute(data, rule::MATCH_INFO).unwrap_or_default().to_vec();
        Some(Extension { name: text(attribute(data, rule::MATCH_NAME)?), told })
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
    fn read(what: Option<Loaded>, data: &[u8]) -> Option<Compared> {
        let operation = be32(attribute(data, rule::CMP_OPERATION)?)?;
        let Data::Value(value) = Data::read(attribute(data, rule::CMP_DATA)?)? else { return None };
        Some(Compared { what, operation, value: value.as_bytes().to_vec() })
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
