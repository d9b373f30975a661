//! Forwarding through firewalld: the container's addresses become sources of a zone.

use super::dbus::{Bus, Failure};
use kernel::nft::{Family, Nft, Table};
use spec::error::{Error, Result};
use std::net::IpAddr;
use std::path::Path;

const NAME: &str = "org.fedoraproject.FirewallD1";
const PATH: &str = "/org/fedoraproject/FirewallD1";
const ZONE: &str = "org.fedoraproject.FirewallD1.zone";
/// What only a host with a running firewalld has: its own pid file, or its unit's control group.
const EVIDENCE: [&str; 3] = [
    "/run/firewalld.pid",
    "/sys/fs/cgroup/system.slice/firewalld.service",
    "/sys/fs/cgroup/systemd/system.slice/firewalld.service",
];

/// Whether it is worth asking on the bus: three look-ups of a file and one question to the kernel take some
/// microseconds, a conversation on the bus takes a thousand.
pub(super) fn is_likely(nft: Option<&mut Nft>) -> bool {
    let table = Table::new(Family::Inet, "firewalld");
    EVIDENCE.iter().any(|path| Path::new(path).exists())
        || nft.is_some_and(|nft| nft.has_table(table).unwrap_or(false))
}

/// Whether somebody on the bus is firewalld.
pub(super) fn is_running() -> bool {
    available().is_ok()
}

pub(super) fn available() -> Result<()> {
    let has = Bus::connect()?.has_owner(NAME).map_err(|failure| refused("ask for its name", &failure))?;
    match has {
        true => Ok(()),
        false => Err(Error::internal(format!(
            "nobody on the system bus is {NAME}: firewalld does not run; start it, or choose another backend"
        ))),
    }
}

pub(super) fn ensure(zone: &str, addresses: &[IpAddr]) -> Result<()> {
    let mut bus = Bus::connect()?;
    for address in addresses {
        let source = source(*address);
        match bus.call(NAME, PATH, ZONE, "addSource", &[zone, &source]) {
            // Another ADD of the same, or somebody's own rule. If that is of another zone the query says no.
            Err(failure) if failure.mentions("ZONE_ALREADY_SET") => {}
            Err(failure) => return Err(refused(&format!("add {source} to zone {zone}"), &failure)),
            Ok(_) => continue,
        }
        if !has(&mut bus, zone, &source)? {
            return Err(Error::internal(format!(
                "firewalld: add {source} to zone {zone}: it is a source of another zone already; remove it there"
            )));
        }
    }
    Ok(())
}

pub(super) fn check(zone: &str, addresses: &[IpAddr]) -> Result<()> {
    let mut bus = Bus::connect()?;
    for address in addresses {
        let source = source(*address);
        if !has(&mut bus, zone, &source)? {
            return Err(Error::internal(format!("firewalld: {source} is not a source of zone {zone}")));
        }
    }
    Ok(())
}

/// Where there is no bus firewalld does not run, and where it does not run it keeps no sources either: they are of its
/// runtime configuration. A bus that is there and does not answer is an error: the address would stay trusted.
pub(super) fn remove(zone: &str, addresses: &[IpAddr]) -> Result<()> {
    let Some(mut bus) = Bus::connect_if_there()? else { return Ok(()) };
    for address in addresses {
        let source = source(*address);
        match bus.call(NAME, PATH, ZONE, "removeSource", &[zone, &source]) {
            Err(failure) if is_gone(&failure) => {}
            Err(failure) => return Err(refused(&format!("remove {source} from zone {zone}"), &failure)),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Forgives that the source is not there: another DEL came first, or firewalld was reloaded; that it is one of
/// another zone, hence not ours; that the zone is gone with all its sources; that firewalld does not run.
fn is_gone(failure: &Failure) -> bool {
    ["UNKNOWN_SOURCE", "ZONE_CONFLICT", "INVALID_ZONE", "ServiceUnknown", "NameHasNoOwner"]
        .iter()
        .any(|word| failure.mentions(word))
}

fn has(bus: &mut Bus, zone: &str, source: &str) -> Result<bool> {
    let answer = bus.call(NAME, PATH, ZONE, "querySource", &[zone, source]);
    answer
        .map(|body| body.boolean())
        .map_err(|failure| refused(&format!("ask for {source} in zone {zone}"), &failure))
}

fn source(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

fn refused(tried: &str, failure: &Failure) -> Error {
    Error::internal(format!("firewalld: {tried}: {failure}"))
}
