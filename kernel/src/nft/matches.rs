//! The words of a rule that look at a packet: `ip saddr 10.0.0.0/8`, `iifname @guarded`, `ct state
//! established`.

use super::expr::{Compare, Expr, Register};
use super::{Rule, Selector, Value};
use ipnet::IpNet;

/// Comparisons begin in the first register.
const REGISTER: Register = Register::FIRST;

impl<'a> Rule<'a> {
    /// `tcp dport 80`: equal.
    pub fn is(self, selector: Selector, value: impl Into<Value>) -> Rule<'a> {
        self.compare(selector, Compare::Equal, value.into())
    }

    /// `oifname != "lo"`: not equal.
    pub fn is_not(self, selector: Selector, value: impl Into<Value>) -> Rule<'a> {
        self.compare(selector, Compare::NotEqual, value.into())
    }

    /// `ip daddr 10.1.0.0/16`: host bits of the network are ignored. The selector has to be of its family.
    pub fn within(self, selector: Selector, network: IpNet) -> Rule<'a> {
        self.prefix(selector, Compare::Equal, network)
    }

    /// `ip daddr != 10.1.0.0/16`.
    pub fn outside(self, selector: Selector, network: IpNet) -> Rule<'a> {
        self.prefix(selector, Compare::NotEqual, network)
    }

    /// `tcp dport 10-20`.
    pub fn between(self, selector: Selector, first: Value, last: Value) -> Rule<'a> {
        let compare = |compare, value| Expr::Cmp { register: REGISTER, compare, value };
        self.load(selector).with(compare(Compare::AtLeast, first)).with(compare(Compare::AtMost, last))
    }

    /// `tcp dport != 10-20`.
    pub fn not_between(self, selector: Selector, first: Value, last: Value) -> Rule<'a> {
        self.load(selector).with(Expr::Range { register: REGISTER, inverted: true, first, last })
    }

    /// `ct state established,related`: one of these bits is set.
    pub fn any_of(self, selector: Selector, bits: u32) -> Rule<'a> {
        let none = Value::host(0);
        self.load(selector)
            .with(Expr::Bitwise { register: REGISTER, mask: Value::host(bits), xor: none })
            .with(Expr::Cmp { register: REGISTER, compare: Compare::NotEqual, value: none })
    }

    /// `ip frag-off & 0x1fff != 0`: one of these bits, which lie in the packet's order, is set.
    pub fn any_bit(self, selector: Selector, bits: Value) -> Rule<'a> {
        let none = Value::bytes(&[0; 16][..bits.as_bytes().len()]);
        self.load(selector)
            .with(Expr::Bitwise { register: REGISTER, mask: bits, xor: none })
            .with(Expr::Cmp { register: REGISTER, compare: Compare::NotEqual, value: none })
    }

    /// `meta mark & 0x2000 == 0x2000`.
    pub fn masked(self, selector: Selector, mask: u32, value: u32) -> Rule<'a> {
        self.load(selector)
            .with(Expr::Bitwise { register: REGISTER, mask: Value::host(mask), xor: Value::host(0) })
            .with(Expr::Cmp { register: REGISTER, compare: Compare::Equal, value: Value::host(value) })
    }

    /// `iifname . ether saddr @bound`.
    pub fn in_set(self, selectors: &[Selector], set: &'a str) -> Rule<'a> {
        self.load_all(selectors).with(Expr::Lookup { set, register: REGISTER, inverted: false })
    }

    /// `iifname . ether saddr != @bound`.
    pub fn not_in_set(self, selectors: &[Selector], set: &'a str) -> Rule<'a> {
        self.load_all(selectors).with(Expr::Lookup { set, register: REGISTER, inverted: true })
    }

    /// `ip saddr vmap @masquerade4`: does what the map says of the key; where it has none, the rule ends.
    pub fn vmap(self, selectors: &[Selector], map: &'a str) -> Rule<'a> {
        self.load_all(selectors).with(Expr::Vmap { set: map, register: REGISTER })
    }

    /// Loads the selectors one behind the other, as a concatenation lies in a set.
    pub(super) fn load_all(self, selectors: &[Selector]) -> Rule<'a> {
        let assured = selectors.iter().fold(self, |rule, selector| rule.assume(*selector));
        let mut register = REGISTER;
        selectors.iter().fold(assured, |rule, selector| {
            let to = register;
            register = register.after(selector.length());
            rule.with(selector.load(to))
        })
    }

    fn load(self, selector: Selector) -> Rule<'a> {
        self.assume(selector).with(selector.load(REGISTER))
    }

    fn compare(self, selector: Selector, compare: Compare, value: Value) -> Rule<'a> {
        self.load(selector).with(Expr::Cmp { register: REGISTER, compare, value })
    }

    /// Whole bytes are loaded and compared without a mask, as `nft` does it.
    fn prefix(self, selector: Selector, compare: Compare, network: IpNet) -> Rule<'a> {
        let (bits, address) = (usize::from(network.prefix_len()), Value::from(network.network()));
        if bits == 0 || bits % 8 != 0 {
            let mask = Value::from(network.netmask());
            let xor = Value::bytes(&[0; 16][..mask.as_bytes().len()]);
            return self
                .load(selector)
                .with(Expr::Bitwise { register: REGISTER, mask, xor })
                .with(Expr::Cmp { register: REGISTER, compare, value: address });
        }
        let value = Value::bytes(&address.as_bytes()[..bits / 8]);
        self.assume(selector).with(selector.load_first(REGISTER, bits / 8)).with(Expr::Cmp {
            register: REGISTER,
            compare,
            value,
        })
    }
}
