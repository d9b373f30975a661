//! Which MAC address an interface gets: asked for in one of three places, or a new random one.

use kernel::link::Mac;
use serde::Deserialize;
use spec::error::{Error, Result};

/// The places of the configuration where a MAC may stand besides `CNI_ARGS`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MacKeys {
    args: Args,
    #[serde(rename = "runtimeConfig")]
    runtime_config: RuntimeConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Args {
    cni: RuntimeConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RuntimeConfig {
    mac: String,
}

/// Chooses by the precedence of the reference plugins: `CNI_ARGS` MAC < `args.cni.mac` < `runtimeConfig.mac`.
/// `None` means that nobody asked.
///
/// # Errors
/// Code 7 when the text that wins is no unicast MAC address.
pub fn requested(keys: &MacKeys, cni_args: &[(String, String)]) -> Result<Option<Mac>> {
    let from_args = cni_args.iter().find(|(key, _)| key == "MAC").map_or("", |(_, value)| value);
    let asked = [keys.runtime_config.mac.as_str(), keys.args.cni.mac.as_str(), from_args];
    asked.into_iter().find(|mac| !mac.is_empty()).map(parse).transpose()
}

/// Reads a unicast MAC address: `02:42:0a:01:00:02`, `02-42-0a-01-00-02` or `0242.0a01.0002`.
///
/// # Errors
/// Code 7 when it is malformed, all zero or a group address: the kernel would refuse it later with less to
/// say.
pub fn parse(text: &str) -> Result<Mac> {
    let mac: Mac = with_colons(text).parse().map_err(|_| {
        Error::invalid_config(format!("invalid MAC address {text:?}: want aa:bb:cc:dd:ee:ff"))
    })?;
    let bytes = mac.0;
    if bytes[0] & 1 == 1 || bytes == [0; 6] {
        return Err(Error::invalid_config(format!("invalid MAC address {text:?}: not a unicast address")));
    }
    Ok(mac)
}

/// The one form of the three that the reference plugins read.
fn with_colons(text: &str) -> String {
    let groups: Vec<&str> = text.split('.').collect();
    if groups.len() == 3 && groups.iter().all(|group| group.len() == 4 && group.is_ascii()) {
        let pairs: Vec<String> =
            groups.iter().map(|group| format!("{}:{}", &group[..2], &group[2..])).collect();
        return pairs.join(":");
    }
    if text.contains(':') { text.to_owned() } else { text.replace('-', ":") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn keys(args: &str, runtime: &str) -> MacKeys {
        MacKeys {
            args: Args { cni: RuntimeConfig { mac: args.into() } },
            runtime_config: RuntimeConfig { mac: runtime.into() },
        }
    }

    #[test]
    fn runtime_config_wins_over_args_over_cni_args() {
        let cni_args = [("MAC".to_owned(), "02:00:00:00:00:01".to_owned())];
        let chosen = |keys: &MacKeys| requested(keys, &cni_args).unwrap().unwrap().to_string();
        assert_eq!(chosen(&keys("", "")), "02:00:00:00:00:01");
        assert_eq!(chosen(&keys("02:00:00:00:00:02", "")), "02:00:00:00:00:02");
        assert_eq!(chosen(&keys("02:00:00:00:00:02", "02:00:00:00:00:03")), "02:00:00:00:00:03");
        assert_eq!(requested(&keys("", ""), &[]).unwrap(), None);
    }

    #[test]
    fn three_spellings_are_one_address() {
        for text in ["02:42:0a:01:00:0F", "02-42-0A-01-00-0f", "0242.0a01.000f"] {
            assert_eq!(parse(text).unwrap().to_string(), "02:42:0a:01:00:0f", "{text}");
        }
    }

    #[test]
    fn group_zero_and_malformed_addresses_are_refused() {
        for bad in [
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "02:00:00:00:00",
            "x",
            "02:00:00:00:00:0g",
            "02:00-00:00:00:00",
            "0200.0000.00é",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
