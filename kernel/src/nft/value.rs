//! Values: the bytes that packets, registers, set keys and map data are made of, and the types `nft` shows
//! them by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of an interface name in the kernel, NULs included (`IFNAMSIZ`).
const NAME_BYTES: usize = 16;

/// One value of a packet: at most 16 bytes, in the order in which it lies in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    bytes: [u8; NAME_BYTES],
    length: u8,
}

impl Value {
    /// The first 16 of these bytes.
    pub fn bytes(bytes: &[u8]) -> Value {
        let mut value = Value { bytes: [0; NAME_BYTES], length: 0 };
        for (to, from) in value.bytes.iter_mut().zip(bytes) {
            *to = *from;
            value.length += 1;
        }
        value
    }

    /// The name of an interface, `ifname`.
    pub fn ifname(name: &str) -> Value {
        let mut value = Value::bytes(name.as_bytes());
        value.bytes[NAME_BYTES - 1] = 0;
        Value { length: 16, ..value }
    }

    /// The beginning of interface names: `iifname "veth*"`. Good for comparisons, not for sets.
    pub fn ifname_prefix(prefix: &str) -> Value {
        Value::bytes(prefix.as_bytes())
    }

    /// A hardware address, `ether_addr`.
    pub fn ether(address: [u8; 6]) -> Value {
        Value::bytes(&address)
    }

    /// A port, `inet_service`.
    pub fn port(port: u16) -> Value {
        Value::bytes(&port.to_be_bytes())
    }

    /// A protocol number, `inet_proto` or `nf_proto`.
    pub fn protocol(number: u8) -> Value {
        Value::bytes(&[number])
    }

    /// A number that lies in the machine's order: marks, interface indexes, states.
    pub fn host(number: u32) -> Value {
        Value::bytes(&number.to_ne_bytes())
    }

    /// The bytes, unpadded.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The address, where these are the 4 or 16 bytes of one.
    pub fn as_ip(&self) -> Option<IpAddr> {
        ip_of(self.as_bytes())
    }

    /// The text up to the first NUL, as interface names are read.
    pub fn as_text(&self) -> String {
        crate::netlink::text(self.as_bytes())
    }

    /// The value that follows this one, read as one big number; `None` after the last.
    pub(super) fn next(mut self) -> Option<Value> {
        for byte in self.bytes[..usize::from(self.length)].iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return Some(self);
            }
        }
        None
    }
}

impl From<Ipv4Addr> for Value {
    fn from(address: Ipv4Addr) -> Value {
        Value::bytes(&address.octets())
    }
}

impl From<Ipv6Addr> for Value {
    fn from(address: Ipv6Addr) -> Value {
        Value::bytes(&address.octets())
    }
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Value {
        match address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }
    }
}

/// A key of a set, or the data of a map: one value, or several one after the other, each padded to 32 bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

impl Key {
    /// A concatenation, `10.1.0.5 . tcp . 80`; of one value it is that value, unpadded.
    pub fn concat(values: &[Value]) -> Key {
        if let [value] = values {
            return Key(value.as_bytes().to_vec());
        }
        let mut bytes = Vec::with_capacity(values.len() * 4);
        for value in values {
            bytes.extend_from_slice(value.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        Key(bytes)
    }

    pub(super) fn from_kernel(bytes: &[u8]) -> Key {
        Key(bytes.to_vec())
    }

    /// The bytes, padding included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The address, where the key is one address and nothing else.
    pub fn as_ip(&self) -> Option<IpAddr> {
        ip_of(&self.0)
    }

    /// The values of a key of these types; `None` where the length is another.
    pub fn split(&self, types: &[Type]) -> Option<Vec<Value>> {
        if let [only] = types {
            return (self.0.len() == only.length()).then(|| vec![Value::bytes(&self.0)]);
        }
        let mut rest = self.0.as_slice();
        let mut values = Vec::with_capacity(types.len());
        for kind in types {
            values.push(Value::bytes(rest.get(..kind.length())?));
            rest = rest.get(kind.length().next_multiple_of(4)..)?;
        }
        rest.is_empty().then_some(values)
    }
}

impl<V: Into<Value>> From<V> for Key {
    fn from(value: V) -> Key {
        Key::concat(&[value.into()])
    }
}

/// The type of a field of a set's key or of a map's data, by `nft`'s names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `ipv4_addr`.
    Ipv4Addr,
    /// `ipv6_addr`.
    Ipv6Addr,
    /// `ether_addr`.
    EtherAddr,
    /// `inet_proto`.
    InetProto,
    /// `inet_service`: a port.
    InetService,
    /// `mark`.
    Mark,
    /// `iface_index`.
    IfaceIndex,
    /// `ifname`.
    Ifname,
}

impl Type {
    /// The number by which `nft` knows the type (its `enum datatypes`); the kernel only keeps it.
    pub(super) fn number(self) -> u32 {
        match self {
            Type::Ipv4Addr => 7,
            Type::Ipv6Addr => 8,
            Type::EtherAddr => 9,
            Type::InetProto => 12,
            Type::InetService => 13,
            Type::Mark => 19,
            Type::IfaceIndex => 20,
            Type::Ifname => 41,
        }
    }

    /// Bytes of a value of this type.
    pub fn length(self) -> usize {
        match self {
            Type::InetProto => 1,
            Type::InetService => 2,
            Type::Ipv4Addr | Type::Mark | Type::IfaceIndex => 4,
            Type::EtherAddr => 6,
            Type::Ipv6Addr | Type::Ifname => 16,
        }
    }

    pub(super) fn length_u32(self) -> u32 {
        u32::try_from(self.length()).unwrap_or(u32::MAX)
    }

    /// Whether the machine's byte order applies (text counts as such in `nft`).
    pub(super) fn host_order(self) -> bool {
        matches!(self, Type::Mark | Type::IfaceIndex | Type::Ifname)
    }
}

fn ip_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn fields_of_a_concatenation_are_padded_and_a_single_value_is_not() {
        let mac = Value::ether([2, 0, 0, 0, 0, 1]);
        assert_eq!(Key::from(mac).as_bytes().len(), 6);
        let key = Key::concat(&[Value::ifname("vetha"), mac]);
        assert_eq!(key.as_bytes(), b"vetha\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0\x01\0\0");
        assert_eq!(key.split(&[Type::Ifname, Type::EtherAddr]), Some(vec![Value::ifname("vetha"), mac]));
        assert_eq!(key.split(&[Type::Ifname]), None);
    }

    #[test]
    fn an_interface_name_always_ends_in_nul() {
        assert_eq!(Value::ifname("0123456789abcdefghi").as_text(), "0123456789abcde");
    }

    #[test]
    fn the_next_value_carries_and_ends() {
        let next = |text: &str| {
            Value::from(text.parse::<Ipv4Addr>().unwrap()).next().map(|v| v.as_ip().unwrap().to_string())
        };
        assert_eq!(next("10.0.0.255").as_deref(), Some("10.0.1.0"));
        assert_eq!(next("255.255.255.255"), None);
    }
}
