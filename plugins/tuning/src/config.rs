//! The tuning plugin's own keys, and the plan made of them: every decision, with nothing touched yet.

use crate::allowlist;
use crate::link::LinkSettings;
use crate::sysctl::{self, Pairs, Sysctl};
use kernel::link::Mac;
use serde::Deserialize;
use spec::config::Config;
use spec::error::{Error, Result};
use spec::names::IfName;
use spec::request::{Caller, Status};
use std::path::PathBuf;
use steps::mac;

/// Where the reference plugin, too, keeps what was there before.
pub(crate) const DEFAULT_DATA_DIR: &str = "/run/cni/tuning";

/// The keys as they stand in the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Keys {
    sysctl: Pairs,
    mac: String,
    promisc: bool,
    mtu: i64,
    allmulti: Option<bool>,
    #[serde(rename = "txQLen")]
    tx_queue_len: Option<i64>,
    args: Args,
    #[serde(rename = "runtimeConfig")]
    runtime_config: RuntimeConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Args {
    cni: Overrides,
}

/// The same keys under `args.cni`, which win.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Overrides {
    sysctl: Pairs,
    mac: Option<String>,
    promisc: Option<bool>,
    mtu: Option<i64>,
    allmulti: Option<bool>,
    #[serde(rename = "txQLen")]
    tx_queue_len: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RuntimeConfig {
    mac: String,
}

/// Every decision of one ADD or CHECK.
#[derive(Debug)]
pub(crate) struct Plan {
    /// To be set in this order: the configuration's own.
    pub sysctls: Vec<Sysctl>,
    /// Of the interface.
    pub link: LinkSettings,
    /// Where the old values are kept.
    pub data_dir: PathBuf,
}

impl Plan {
    /// The plan for one interface.
    ///
    /// # Errors
    /// Code 7 for each key whose value cannot be and each sysctl that is not allowed, code 5 for an allow-list
    /// that cannot be read, code 999 for `CNI_ARGS` that cannot.
    pub(crate) fn new(config: &Config, caller: &Caller, ifname: &IfName) -> Result<Plan> {
        let from_args = caller.args(&["MAC"])?;
        let from_args = from_args.into_iter().find(|(key, _)| key == "MAC").map(|(_, value)| value);
        let keys: Keys = config.own()?;
        let overrides = &keys.args.cni;
        let own = sysctl::in_order(config, &keys.sysctl);
        let sysctls = sysctl::resolve(&own, &overrides.sysctl, ifname)?;
        allowlist::permit(&sysctls)?;
        Ok(Plan { sysctls, link: link(&keys, from_args.as_deref())?, data_dir: data_dir(config)? })
    }

    /// The plan as far as no single interface is meant.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub(crate) fn of_network(call: &Status) -> Result<Plan> {
        let any = sysctl::PLACEHOLDER.parse()?;
        Plan::new(&call.config, &Caller::default(), &any)
    }

    /// Whether the configuration asks for nothing, as podman's does until somebody adds to it.
    pub(crate) fn is_empty(&self) -> bool {
        self.sysctls.is_empty() && self.link.is_empty()
    }
}

/// Where the old values are kept. DEL and GC read no other key: a configuration that was made worse after the
/// ADD must not keep a container from being deleted.
///
/// # Errors
/// Code 6 when it is no text.
pub(crate) fn data_dir(config: &Config) -> Result<PathBuf> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct DataDir {
        data_dir: String,
    }
    let own: DataDir = config.own()?;
    Ok(PathBuf::from(if own.data_dir.is_empty() { DEFAULT_DATA_DIR } else { &own.data_dir }))
}

fn link(keys: &Keys, from_args: Option<&str>) -> Result<LinkSettings> {
    let overrides = &keys.args.cni;
    let queue = overrides.tx_queue_len.or(keys.tx_queue_len);
    Ok(LinkSettings {
        mac: requested_mac(keys, from_args)?,
        // Off is not asked for: an interface that is promiscuous for another's sake stays so.
        promisc: overrides.promisc.unwrap_or(keys.promisc).then_some(true),
        mtu: Some(number("mtu", overrides.mtu.unwrap_or(keys.mtu))?).filter(|mtu| *mtu != 0),
        allmulti: overrides.allmulti.or(keys.allmulti),
        tx_queue_len: queue.map(|length| number("txQLen", length)).transpose()?,
    })
}

/// The precedence is this plugin's alone: configuration < `CNI_ARGS` < `runtimeConfig` < `args.cni`. An empty
/// text asks for nothing; under `args.cni` it takes back what the others ask for.
fn requested_mac(keys: &Keys, from_args: Option<&str>) -> Result<Option<Mac>> {
    let others = [keys.runtime_config.mac.as_str(), from_args.unwrap_or_default(), &keys.mac];
    let other = || others.into_iter().find(|mac| !mac.is_empty()).unwrap_or_default();
    let asked = keys.args.cni.mac.as_deref().unwrap_or_else(other);
    Some(asked).filter(|mac| !mac.is_empty()).map(mac::parse).transpose()
}

/// The kernel's own limit depends on the link and is left to it.
fn number(key: &str, value: i64) -> Result<u32> {
    i32::try_from(value).ok().and_then(|value| u32::try_from(value).ok()).ok_or_else(|| {
        Error::invalid_config(format!("invalid {key} {value}: want a number from 0 to {}", i32::MAX))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn plan(keys: &str, args: &str) -> Result<Plan> {
        let text = format!(r#"{{"cniVersion":"1.0.0","name":"net","type":"tuning",{keys}}}"#);
        let config = Config::parse(text.into_bytes()).unwrap();
        let caller = Caller { args: args.to_owned(), ..Caller::default() };
        Plan::new(&config, &caller, &"eth0".parse().unwrap())
    }

    #[test]
    fn the_mac_of_args_cni_wins_over_runtime_config_over_cni_args_over_the_key() {
        let mac = |keys: &str, args: &str| plan(keys, args).unwrap().link.mac.map(|mac| mac.to_string());
        let key = r#""mac":"02:00:00:00:00:01""#;
        let runtime = r#""runtimeConfig":{"mac":"02:00:00:00:00:03"}"#;
        let cni = |mac: &str| format!(r#""args":{{"cni":{{"mac":"{mac}"}}}}"#);
        let args = "MAC=02:00:00:00:00:02";
        assert_eq!(mac(key, "").unwrap(), "02:00:00:00:00:01");
        assert_eq!(mac(key, args).unwrap(), "02:00:00:00:00:02");
        assert_eq!(mac(&format!("{key},{runtime}"), args).unwrap(), "02:00:00:00:00:03");
        let last = cni("02:00:00:00:00:04");
        assert_eq!(mac(&format!("{key},{runtime},{last}"), args).unwrap(), "02:00:00:00:00:04");
        assert_eq!(mac(&format!("{key},{runtime},{}", cni("")), args), None);
    }

    #[test]
    fn args_cni_overrides_each_key() {
        let link = plan(
            r#""promisc":true,"mtu":1400,"allmulti":true,"txQLen":5,
            "args":{"cni":{"promisc":false,"mtu":1300,"allmulti":false,"txQLen":0}}"#,
            "",
        );
        let expected = LinkSettings {
            mac: None,
            promisc: None,
            mtu: Some(1300),
            allmulti: Some(false),
            tx_queue_len: Some(0),
        };
        assert_eq!(link.unwrap().link, expected);
    }

    #[test]
    fn nothing_asked_is_nothing_to_do() {
        assert!(plan(r#""mtu":0,"promisc":false,"mac":"","sysctl":null"#, "").unwrap().is_empty());
    }

    #[test]
    fn values_that_cannot_be_are_named() {
        for (keys, word) in [
            (r#""mtu":-1"#, "invalid mtu -1"),
            (r#""mtu":4294967296"#, "invalid mtu 4294967296"),
            (r#""txQLen":-5"#, "invalid txQLen -5"),
            (r#""mac":"01:00:00:00:00:00""#, "unicast"),
        ] {
            assert!(plan(keys, "").unwrap_err().to_string().contains(word), "{keys}");
        }
    }
}
