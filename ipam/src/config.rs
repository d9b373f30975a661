//! host-local's own keys, in the leniency of the reference: what they mean, and what is wrong with them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};
use spec::{Add, Caller, Check, Config, Error, Result, Route, Status, Success, Version};

use self::pool::{Pool, PoolSet};
use crate::range::{Range, RangeSet};
use crate::span::Family;

mod pool;

const DEFAULT_DATA_DIR: &str = "/var/lib/cni/networks";

/// Names in `CNI_ARGS` that mean something here, or that every Kubernetes runtime sends.
const KNOWN_ARGS: [&str; 5] =
    ["IP", "K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID"];

/// All that an ADD has to know; every decision is made.
#[derive(Debug)]
pub(crate) struct Plan {
    /// One address from each.
    pub(crate) sets: Vec<RangeSet>,
    /// Addresses that were asked for, no two alike.
    pub(crate) requested: Vec<IpAddr>,
    /// Routes for the result.
    pub(crate) routes: Vec<Route>,
    /// The file whose DNS settings go into the result.
    pub(crate) resolv_conf: Option<PathBuf>,
    /// Where the leases of all networks lie.
    pub(crate) data_dir: PathBuf,
}

impl Plan {
    /// What an ADD asks for.
    pub(crate) fn of_add(call: &Add) -> Result<Plan> {
        let keys: Keys = call.config.own()?;
        let requested = requested(&keys, &call.caller)?;
        let ipam = keys.ipam.as_ref().ok_or_else(missing_ipam)?;
        Ok(Plan {
            routes: routes(&ipam.routes)?,
            resolv_conf: Some(&ipam.resolv_conf).filter(|path| !path.is_empty()).map(PathBuf::from),
            data_dir: keys.data_dir(),
            sets: sets(&keys, call.config.version)?,
            requested,
        })
    }
}

/// The ranges and the place of the leases, for CHECK.
pub(crate) fn of_check(call: &Check) -> Result<(Vec<RangeSet>, PathBuf)> {
    let keys: Keys = call.config.own()?;
    requested(&keys, &call.caller)?;
    Ok((sets(&keys, call.config.version)?, keys.data_dir()))
}

/// The same for STATUS, which comes without `runtimeConfig`: there may be no ranges yet.
pub(crate) fn of_status(call: &Status) -> Result<(Vec<RangeSet>, PathBuf)> {
    let keys: Keys = call.config.own()?;
    let sets = if keys.pool_sets()?.is_empty() { Vec::new() } else { sets(&keys, call.config.version)? };
    Ok((sets, keys.data_dir()))
}

/// The place of the leases. DEL and GC need nothing else, and so release also what a configuration that has
/// been spoilt since still owns.
pub(crate) fn data_dir(config: &Config) -> Result<PathBuf> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Place {
        ipam: PlaceKeys,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct PlaceKeys {
        data_dir: String,
    }
    config.own().map(|Place { ipam }| place(&ipam.data_dir))
}

fn place(data_dir: &str) -> PathBuf {
    PathBuf::from(if data_dir.is_empty() { DEFAULT_DATA_DIR } else { data_dir })
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Keys {
    ipam: Option<IpamKeys>,
    runtime_config: RuntimeKeys,
    args: Args,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct IpamKeys {
    ranges: Vec<Vec<Pool>>,
    subnet: String,
    range_start: String,
    range_end: String,
    gateway: String,
    routes: Value,
    resolv_conf: String,
    data_dir: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RuntimeKeys {
    #[serde(rename = "ipRanges")]
    ip_ranges: Vec<PoolSet>,
    ips: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Args {
    cni: CniArgs,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CniArgs {
    ips: Vec<String>,
}

impl Keys {
    fn data_dir(&self) -> PathBuf {
        place(self.ipam.as_ref().map_or("", |ipam| &ipam.data_dir))
    }

    /// All pools in their order: the runtime's, the single range of old configurations, `ranges`.
    fn pool_sets(&self) -> Result<Vec<Vec<Pool>>> {
        let ipam = self.ipam.as_ref().ok_or_else(missing_ipam)?;
        let dynamic = self.runtime_config.ip_ranges.iter().map(|set| set.0.clone());
        Ok(dynamic.chain(ipam.single_pool()).chain(ipam.ranges.iter().cloned()).collect())
    }
}

impl IpamKeys {
    /// The range that old configurations write directly into `ipam`.
    fn single_pool(&self) -> Option<Vec<Pool>> {
        let pool = Pool {
            subnet: self.subnet.clone(),
            range_start: self.range_start.clone(),
            range_end: self.range_end.clone(),
            gateway: self.gateway.clone(),
        };
        (!pool.subnet.is_empty()).then(|| vec![pool])
    }
}

fn missing_ipam() -> Error {
    Error::invalid_config("IPAM config missing 'ipam' key")
}

/// The range sets, each one valid and all of them together.
fn sets(keys: &Keys, version: Version) -> Result<Vec<RangeSet>> {
    let pool_sets = keys.pool_sets()?;
    if pool_sets.is_empty() {
        return Err(Error::invalid_config("no IP ranges specified"));
    }
    let sets = pool_sets.iter().enumerate().map(|(i, pools)| {
        range_set(pools).map_err(|cause| Error::invalid_config(format!("invalid range set {i}: {cause}")))
    });
    let sets = sets.collect::<Result<Vec<_>>>()?;
    one_of_a_family(&sets, version)?;
    no_overlap(&sets)?;
    Ok(sets)
}

fn range_set(pools: &[Pool]) -> std::result::Result<RangeSet, String> {
    let ranges = pools.iter().map(|pool| Range::new(pool.limits()?).map_err(|cause| cause.to_string()));
    RangeSet::new(ranges.collect::<std::result::Result<_, _>>()?).map_err(|cause| cause.to_string())
}

/// Results below 0.3.0 have room for one address of each family.
fn one_of_a_family(sets: &[RangeSet], version: Version) -> Result<()> {
    let count = |family: Family| sets.iter().filter(|set| set.family() == family).count();
    if version >= Version::V0_3_0 || (count(Family::V4) <= 1 && count(Family::V6) <= 1) {
        return Ok(());
    }
    let text = format!("CNI version {version} does not support more than 1 address per family");
    Err(Error::invalid_config(text))
}

fn no_overlap(sets: &[RangeSet]) -> Result<()> {
    for (i, set) in sets.iter().enumerate() {
        if let Some(j) = sets[i + 1..].iter().position(|other| set.overlaps(other)) {
            return Err(Error::invalid_config(format!("range set {i} overlaps with {}", i + 1 + j)));
        }
    }
    Ok(())
}

/// Addresses from all three sources together; a prefix length behind one is not looked at.
fn requested(keys: &Keys, caller: &Caller) -> Result<Vec<IpAddr>> {
    let by_env =
        caller.args(&KNOWN_ARGS)?.into_iter().filter(|(key, value)| key == "IP" && !value.is_empty());
    let by_env = by_env.map(|(_, value)| value).collect::<Vec<_>>();
    let mut ips = Vec::new();
    for text in by_env.iter().chain(&keys.args.cni.ips).chain(&keys.runtime_config.ips) {
        let ip = parse_requested(text)?;
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    Ok(ips)
}

fn parse_requested(text: &str) -> Result<IpAddr> {
    let ip = text.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<IpNet>().ok()?.addr()));
    let ip = ip.ok_or_else(|| Error::invalid_config(format!("cannot understand ip: {text:?}")))?;
    Ok(ip.to_canonical())
}

/// Routes are written as in a result, so they are read as one.
pub(crate) fn routes(routes: &Value) -> Result<Vec<Route>> {
    let result = json!({ "routes": routes });
    let result = Success::from_value(&result, Version::NEWEST);
    Ok(result.map_err(|cause| cause.context("ipam.routes"))?.routes)
}

/// The content of a regular file of at most 64 KiB: a device or a pipe may never end.
fn read_short(path: &Path) -> std::io::Result<Vec<u8>> {
    const LARGEST: u64 = 64 << 10;
    let found = std::fs::metadata(path)?;
    if !found.is_file() || found.len() > LARGEST {
        return Err(std::io::Error::other("not a regular file of at most 64 KiB"));
    }
    std::fs::read(path)
}

/// DNS settings out of a file in the form of resolv.conf(5).
pub(crate) fn dns_of(path: &Path) -> Result<spec::Dns> {
    let text = read_short(path)
        .map_err(|cause| Error::invalid_config(format!("read resolvConf {}: {cause}", path.display())))?;
    let mut dns = spec::Dns::default();
    for line in String::from_utf8_lossy(&text).lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        let keyword = words.next().unwrap_or_default();
        match keyword.as_str() {
            "nameserver" => dns.nameservers.extend(words.next()),
            "domain" => dns.domain = words.next().unwrap_or(dns.domain),
            "search" => dns.search.extend(words),
            "options" => dns.options.extend(words),
            _ => {}
        }
    }
    Ok(dns)
}
