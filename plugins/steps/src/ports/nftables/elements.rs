//! The elements that mappings are.

use super::group::{Group, HAIRPIN_PREFIX};
use super::layout::{self, TABLE};
use crate::ports::{HostPorts, Mapping, Ports, Protocol};
use kernel::nft::{Data, Element, ElementFound, Key, Nft, Request, Set, Type, Value};
use spec::error::Result;
use std::net::IpAddr;

/// From so many ports on, a range that keeps its numbers is one element of an interval map. Below, single elements:
/// the kernel copies an interval map whenever one is added.
const RANGE_MIN: u16 = 16;

/// One element that an attachment has.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) set: String,
    pub(super) key: Key,
    /// The first and last port, where it is a range.
    range: Option<(Protocol, HostPorts)>,
    data: Option<Key>,
    /// The port, where it is one at a single address.
    pub(super) port_at: Option<Key>,
    /// For errors: `port mapping 8080/tcp`.
    pub(super) what: String,
}

impl Entry {
    /// The request that makes it: EEXIST where there is one.
    pub(super) fn create(&self, comment: &str) -> Vec<Request> {
        let element = match &self.data {
            Some(data) => self.bare().to(Data::Value(data.clone())),
            None => self.bare(),
        };
        TABLE.set(&self.set).create_elements(&[element.comment(comment)])
    }

    /// Only what it is known by.
    pub(super) fn bare<'a>(&self) -> Element<'a> {
        match self.range {
            Some((protocol, ports)) => range(protocol, ports),
            None => Element::new(self.key.clone()),
        }
    }

    /// Whether it is a port, and not the container's membership in a set.
    pub(super) fn is_port(&self) -> bool {
        self.data.is_some()
    }

    /// Its place, for the kernel to look it up.
    pub(super) fn place(&self) -> (Set<'_>, Key) {
        (TABLE.set(&self.set), self.key.clone())
    }

    /// Whether this is what the kernel has.
    pub(super) fn is(&self, found: &ElementFound) -> bool {
        let last = self.range.map(|(protocol, ports)| port_key(protocol, ports.last()));
        let data = self.data.clone().map(Data::Value);
        found.key == self.key && (last.is_none() || found.last == last) && found.data == data
    }
}

/// All elements of an attachment but those of [`some`].
pub(super) fn of(ports: &Ports, groups: &[Group]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (side, group) in ports.sides.iter().zip(groups) {
        let container = side.container.addr();
        entries.extend(side.mappings.iter().flat_map(|mapping| of_mapping(mapping, container, group)));
    }
    entries.extend(memberships(ports, groups).map(|(set, key)| Entry {
        set: set.name.to_owned(),
        what: format!("masquerade of callers of {}", key.as_ip().map_or(String::new(), |ip| ip.to_string())),
        key,
        range: None,
        data: None,
        port_at: None,
    }));
    entries
}

/// The sets that the container's addresses are in, for its callers to be masqueraded.
pub(super) fn memberships<'a>(ports: &'a Ports, groups: &'a [Group]) -> impl Iterator<Item = (Set<'a>, Key)> {
    ports.sides.iter().zip(groups).flat_map(|(side, group)| {
        let hairpin = ports.source.snat.then_some(group.hairpin.as_str());
        let all = ports.source.masquerade_all.then(|| layout::masquerade_all_set(group.v4));
        let key = Key::from(side.container.addr());
        [hairpin, all].into_iter().flatten().map(move |set| (TABLE.set(set), key.clone()))
    })
}

/// Whether a mapping is one element of the map of ranges.
pub(super) fn is_range(mapping: &Mapping) -> bool {
    mapping.address.is_none() && mapping.keeps_numbers() && mapping.host.count >= RANGE_MIN
}

fn of_mapping(mapping: &Mapping, container: IpAddr, group: &Group) -> Vec<Entry> {
    let protocol = mapping.protocol;
    if is_range(mapping) {
        return vec![Entry {
            set: group.ranges.clone(),
            key: port_key(protocol, mapping.host.first),
            range: Some((protocol, mapping.host)),
            data: Some(Key::from(container)),
            port_at: None,
            what: format!("port mapping {}-{}/{protocol}", mapping.host.first, mapping.host.last()),
        }];
    }
    let single = |(host, inside): (u16, u16)| Entry {
        set: if mapping.address.is_some() { group.at.clone() } else { group.all.clone() },
        key: match mapping.address {
            Some(address) => at_key(address, protocol, host),
            None => port_key(protocol, host),
        },
        range: None,
        data: Some(Key::concat(&[Value::from(container), Value::port(inside)])),
        port_at: mapping.address.map(|_| port_key(protocol, host)),
        what: format!("port mapping {host}/{protocol}"),
    };
    mapping.pairs().map(single).collect()
}

/// The requests that note which ports are mapped at a single address; fine where it is noted already.
pub(super) fn some(ports: &Ports, groups: &[Group]) -> Vec<Request> {
    let mut requests = Vec::new();
    for (side, group) in ports.sides.iter().zip(groups) {
        for mapping in side.mappings.iter().filter(|mapping| mapping.address.is_some()) {
            let noted: Vec<Element<'_>> =
                mapping.host.each().map(|port| Element::new(port_key(mapping.protocol, port))).collect();
            requests.extend(TABLE.set(&group.some).add_elements(&noted));
        }
    }
    requests
}

/// The deletions of notes of ports that are mapped at no address any more, once these elements are gone: each a port
/// and the key of its element. Under the lock of [`crate::record`].
pub(super) fn no_longer_some(nft: &mut Nft, group: &Group, gone: &[(Key, Key)]) -> Result<Vec<Request>> {
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let staying: Vec<Key> = (nft.elements(TABLE.set(&group.at))?.into_iter())
        .filter(|found| !gone.iter().any(|(_, key)| *key == found.key))
        .filter_map(|found| port_of(&found.key, group))
        .collect();
    let mut ports: Vec<&Key> =
        gone.iter().map(|(port, _)| port).filter(|port| !staying.contains(port)).collect();
    ports.sort();
    ports.dedup();
    let mut deletions = Vec::new();
    for port in ports {
        let set = TABLE.set(&group.some);
        if nft.element(set, port.clone())?.is_some() {
            deletions.extend(set.delete_elements(&[Element::new(port.clone())]));
        }
    }
    Ok(deletions)
}

/// The elements at single addresses whose comment is chosen: port and key of each.
pub(super) fn at_where(
    nft: &mut Nft,
    group: &Group,
    chosen: impl Fn(&str) -> bool,
) -> Result<Vec<(Key, Key)>> {
    let found = nft.elements(TABLE.set(&group.at))?.into_iter();
    let found = found.filter(|found| found.comment.as_deref().is_some_and(&chosen));
    Ok(found.filter_map(|found| port_of(&found.key, group).map(|port| (port, found.key))).collect())
}

/// Whether a set of the table holds elements of mappings with marks.
pub(super) fn is_of_mappings(name: &str) -> bool {
    let group = name.starts_with("hostports-v") && !name.ends_with("-some");
    group || name.starts_with(HAIRPIN_PREFIX) || name.starts_with("masquerade-all-")
}

/// What was found, as it is deleted.
pub(super) fn as_deleted<'a>(found: ElementFound) -> Element<'a> {
    let port = [Type::InetProto, Type::InetService];
    let fields = |key: &Key| key.split(&port);
    match found.last.as_ref().and_then(|last| Some((fields(&found.key)?, fields(last)?))) {
        Some((first, last)) => Element::ranges(&first.into_iter().zip(last).collect::<Vec<_>>()),
        None => Element::new(found.key),
    }
}

/// The key of a port at all addresses.
pub(super) fn port_key(protocol: Protocol, port: u16) -> Key {
    Key::concat(&[Value::protocol(protocol.number()), Value::port(port)])
}

/// The key of a port at one address.
pub(super) fn at_key(address: IpAddr, protocol: Protocol, port: u16) -> Key {
    Key::concat(&[Value::from(address), Value::protocol(protocol.number()), Value::port(port)])
}

/// The port in the key of an element at one address.
pub(super) fn port_of(key: &Key, group: &Group) -> Option<Key> {
    let fields = key.split(&group.at_key())?;
    Some(Key::concat(fields.get(1..)?))
}

fn range<'a>(protocol: Protocol, ports: HostPorts) -> Element<'a> {
    let protocol = Value::protocol(protocol.number());
    Element::ranges(&[(protocol, protocol), (Value::port(ports.first), Value::port(ports.last()))])
}
