//! static: the addresses that the configuration or the runtime names, without any state.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value;
use spec::{
    Add, Caller, Check, Config, Del, Dns, Error, Gc, Ip, Plugin, Result, Route, Status, Success, Version,
};

use crate::config::routes;

/// The plugin `static`.
#[derive(Clone, Copy, Debug)]
pub struct Static;

impl Plugin for Static {
    const NAME: &'static str = "static";
    const ABOUT: &'static str = "Tidewater static: gives the addresses that the configuration names";

    fn add(call: &Add) -> Result<Success> {
        let keys: Keys = call.config.own()?;
        let ips = addresses(&keys, &call.caller, call.config.version)?;
        Ok(Success { ips, routes: keys.routes()?, dns: keys.ipam.dns, ..Success::default() })
    }

    /// There is nothing to release.
    fn del(_: &Del) -> Result<()> {
        Ok(())
    }

    fn check(call: &Check) -> Result<()> {
        let keys: Keys = call.config.own()?;
        let found = &call.config.required_prev_result()?.ips;
        let wanted = addresses(&keys, &call.caller, call.config.version)?;
        match wanted.iter().find(|ip| !found.iter().any(|found| is_same(ip, found))) {
            None => Ok(()),
            Some(ip) => Err(Error::internal(format!(
                "static: Failed to match addr {} on interface {}",
                ip.address.addr(),
                call.attachment.ifname
            ))),
        }
    }

    /// There is nothing to collect.
    fn gc(_: &Gc) -> Result<()> {
        Ok(())
    }

    /// What the runtime will ask for is not known yet; only what is written can be wrong.
    fn status(call: &Status) -> Result<()> {
        let keys: Keys = call.config.own()?;
        addresses(&keys, &call.caller, call.config.version).map(drop)
    }
}

/// The addresses of an attachment, as far as the request of its DEL tells them.
pub(crate) fn held(call: &Del) -> Vec<IpAddr> {
    let told =
        |config: &Config| -> Result<Vec<Ip>> { addresses(&config.own()?, &call.caller, config.version) };
    told(&call.config).unwrap_or_default().iter().map(|ip| ip.address.addr()).collect()
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Keys {
    ipam: IpamKeys,
    runtime_config: IpKeys,
    args: Args,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IpamKeys {
    addresses: Vec<Address>,
    routes: Value,
    dns: Dns,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Address {
    address: String,
    gateway: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IpKeys {
    ips: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Args {
    cni: IpKeys,
}

impl Keys {
    fn routes(&self) -> Result<Vec<Route>> {
        routes(&self.ipam.routes)
    }
}

/// All addresses: those of the configuration and of `CNI_ARGS`, unless `args.cni.ips` or, before that,
/// `runtimeConfig.ips` replaces them.
fn addresses(keys: &Keys, caller: &Caller, version: Version) -> Result<Vec<Ip>> {
    let written = written(&keys.ipam.addresses, caller)?;
    let replacing = [&keys.runtime_config.ips, &keys.args.cni.ips].into_iter().find(|ips| !ips.is_empty());
    let ips = match replacing {
        None => written,
        Some(ips) => ips
            .iter()
            .map(|text| without_gateway("an entry in the 'ips' field", text))
            .collect::<Result<_>>()?,
    };
    one_of_a_family(&ips, version)?;
    Ok(ips)
}

/// The configuration's addresses, then those of `CNI_ARGS`; a gateway there goes to each address that it is a
/// neighbour of.
fn written(addresses: &[Address], caller: &Caller) -> Result<Vec<Ip>> {
    let mut ips = addresses.iter().map(Address::to_ip).collect::<Result<Vec<_>>>()?;
    let args = caller.args(&["IP", "GATEWAY"])?;
    for text in listed(&args, "IP") {
        ips.push(without_gateway("the 'ip' field", text)?);
    }
    for text in listed(&args, "GATEWAY") {
        let gateway = parse_ip(text)?;
        ips.iter_mut().filter(|ip| ip.address.contains(&gateway)).for_each(|ip| ip.gateway = Some(gateway));
    }
    Ok(ips)
}

/// The elements of a comma-separated value of `CNI_ARGS`.
fn listed<'a>(args: &'a [(String, String)], key: &'a str) -> impl Iterator<Item = &'a str> {
    let values = args.iter().filter(move |(name, value)| name == key && !value.is_empty());
    values.flat_map(|(_, value)| value.split(',').map(str::trim))
}

impl Address {
    fn to_ip(&self) -> Result<Ip> {
        let mut ip = without_gateway("the 'address' field", &self.address)?;
        if !self.gateway.is_empty() {
            ip.gateway = Some(parse_ip(&self.gateway)?);
        }
        Ok(ip)
    }
}

fn without_gateway(what: &str, text: &str) -> Result<Ip> {
    let address: IpNet = text.parse().map_err(|_| {
        Error::invalid_config(format!("{what} is expected to be in CIDR notation, got: '{text}'"))
    })?;
    Ok(Ip { address, gateway: None, interface: None })
}

fn parse_ip(text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| Error::invalid_config(format!("invalid gateway address: {text:?}")))
}

/// Results below 0.3.0 have room for one address of each family.
fn one_of_a_family(ips: &[Ip], version: Version) -> Result<()> {
    let v4 = ips.iter().filter(|ip| ip.address.addr().is_ipv4()).count();
    if version >= Version::V0_3_0 || (v4 <= 1 && ips.len() - v4 <= 1) {
        return Ok(());
    }
    let text = format!("CNI version {version} does not support more than 1 address per family");
    Err(Error::invalid_config(text))
}

/// Whether a result still has an address, with its gateway if one was set.
fn is_same(wanted: &Ip, found: &Ip) -> bool {
    wanted.address.addr() == found.address.addr()
        && (wanted.gateway.is_none() || wanted.gateway == found.gateway)
}
