//! `runtimeConfig.portMappings`: from what runtimes send to mappings that can be made.

use serde::Deserialize;
use spec::error::{Error, Result};
use std::net::IpAddr;
use steps::ports::{HostPorts, Mapping, Protocol};

/// One entry as it stands in the request.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Entry {
    host_port: i64,
    container_port: i64,
    protocol: String,
    #[serde(rename = "hostIP")]
    host_ip: String,
    /// How many consecutive ports, as podman and netavark have it; 0 means 1.
    range: i64,
}

impl Default for Entry {
    fn default() -> Entry {
        Entry { host_port: 0, container_port: 0, protocol: String::new(), host_ip: String::new(), range: 1 }
    }
}

/// Reads all entries. The same entry twice counts once; consecutive ports to consecutive ports become one mapping.
///
/// # Errors
/// Code 7 for a port, protocol or address that cannot be, and for entries that want the same port of the host.
pub(crate) fn read(entries: &[Entry]) -> Result<Vec<Mapping>> {
    let mut mappings: Vec<Mapping> = Vec::with_capacity(entries.len());
    for entry in entries {
        let mapping = entry.mapping()?;
        if mappings.contains(&mapping) {
            continue;
        }
        if let Some(other) = mappings.iter().find(|other| other.clashes_with(&mapping)) {
            return Err(Error::invalid_config(format!(
                "portMappings: {} and {} want the same port of the host",
                words(other),
                words(&mapping)
            )));
        }
        mappings.push(mapping);
    }
    Ok(joined(mappings))
}

/// The mappings that can lead to an address of this family. `0.0.0.0` and `::` stand for all addresses of their
/// family.
pub(crate) fn of_family(mappings: &[Mapping], v4: bool) -> Vec<Mapping> {
    let mine = mappings.iter().filter(|mapping| mapping.address.is_none_or(|ip| ip.is_ipv4() == v4));
    let everywhere = |mapping: &Mapping| Mapping {
        address: mapping.address.filter(|address| !address.is_unspecified()),
        ..mapping.clone()
    };
    mine.map(everywhere).collect()
}

impl Entry {
    fn mapping(&self) -> Result<Mapping> {
        let invalid = |what: String| Error::invalid_config(format!("portMappings: {what}"));
        let port = |which: &str, port: i64| {
            u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
                invalid(format!("Invalid {which} port number: {port}: must be between 1 and 65535"))
            })
        };
        let container = port("container", self.container_port)?;
        let first = port("host", self.host_port)?;
        let protocol = match self.protocol.as_str() {
            "" => Protocol::Tcp,
            name => Protocol::from_name(name).ok_or_else(|| {
                invalid(format!(
                    "unknown protocol {name:?} of host port {first}: want \"tcp\", \"udp\" or \"sctp\""
                ))
            })?,
        };
        let count = self.count().filter(|count| {
            let room = u16::MAX - first.max(container);
            count - 1 <= room
        });
        let count = count.ok_or_else(|| {
            invalid(format!("range {} of host port {first} goes beyond port 65535", self.range))
        })?;
        let address = match self.host_ip.as_str() {
            "" => None,
            text => Some(text.parse::<IpAddr>().map_err(|_| {
                invalid(format!("hostIP {text:?} of host port {first} is not an IP address"))
            })?),
        };
        Ok(Mapping { protocol, address, host: HostPorts { first, count }, container })
    }

    fn count(&self) -> Option<u16> {
        u16::try_from(self.range.max(1)).ok().filter(|_| self.range >= 0)
    }
}

fn words(mapping: &Mapping) -> String {
    let address = mapping.address.map(|address| format!("{address} ")).unwrap_or_default();
    let ports = match mapping.host.count {
        1 => mapping.host.first.to_string(),
        _ => format!("{}-{}", mapping.host.first, mapping.host.last()),
    };
    format!("{address}{ports}/{} to {}", mapping.protocol, mapping.container)
}

/// Joins neighbours that keep their distance: runtimes send a range of ports as that many entries.
fn joined(mut mappings: Vec<Mapping>) -> Vec<Mapping> {
    mappings.sort_by_key(|mapping| (mapping.protocol, mapping.address, mapping.host.first));
    let mut joined: Vec<Mapping> = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        match joined.last_mut() {
            Some(before) if before.goes_on_with(&mapping) => before.host.count += mapping.host.count,
            _ => joined.push(mapping),
        }
    }
    joined
}
