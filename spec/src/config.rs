//! What every plugin reads from stdin: the keys that mean the same to all of them.
//!
//! A plugin's own keys are read by [`Config::own`], with the same leniency as Go's decoder has.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::fold;
use crate::names::{NameError, NetworkName, PluginType};
use crate::result::Success;
use crate::version::Version;

/// The configuration of one request (specification, "Plugin configuration objects").
#[derive(Clone, Debug)]
pub struct Config {
    /// The version in which the runtime talks; absent means 0.1.0.
    pub version: Version,
    /// The network's name, unique on the host.
    pub name: NetworkName,
    /// The `type` of this plugin.
    pub plugin: Option<PluginType>,
    /// The `type` inside `ipam`; none when absent or empty.
    pub ipam: Option<PluginType>,
    /// The `dns` of the configuration.
    pub dns: Dns,
    /// The result of the plugin before (ADD), or of the whole chain (CHECK, DEL).
    pub prev_result: Option<Success>,
    /// GC: the attachments that live. None when the runtime gave no list, which means the same as an empty
    /// one.
    pub valid_attachments: Option<Vec<ValidAttachment>>,
    value: Value,
    bytes: Vec<u8>,
}

/// DNS settings, in a configuration and in a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Dns {
    /// Addresses of name servers, the preferred one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// The domain for short names; empty when there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Search domains, the preferred one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Options for the resolver.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Dns {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Dns::default()
    }
}

/// One attachment that GC must leave alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct ValidAttachment {
    /// `CNI_CONTAINERID` of its ADD.
    #[serde(rename = "containerID", default)]
    pub container_id: String,
    /// `CNI_IFNAME` of its ADD.
    #[serde(default)]
    pub ifname: String,
}

/// The specification's key for the living attachments.
pub(crate) const VALID_ATTACHMENTS: &str = "cni.dev/valid-attachments";
/// The key that an earlier text of the specification had, and that libcni sends as well (cni#1101).
pub(crate) const ATTACHMENTS: &str = "cni.dev/attachments";

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Code 6 for what is no JSON or has values of wrong types, 7 for a missing or impossible name, 1 for a
    /// version that is not spoken here.
    pub fn parse(bytes: Vec<u8>) -> Result<Config> {
        let draft = Draft::parse(bytes)?;
        let name = draft.name()?;
        let version = Version::of_config(draft.version_text())?;
        let prev_result = draft.prev_result(version)?;
        draft.finish(name, version, prev_result)
    }

    /// Reads this plugin's own keys, by Go's rules: keys match whatever their case (the exact spelling
    /// first), null is absent, what `T` does not know is ignored.
    ///
    /// # Errors
    /// Code 6, naming the path of the key and what was expected there.
    pub fn own<T: DeserializeOwned>(&self) -> Result<T> {
        fold::read(&self.value).map_err(|cause| undecodable(&cause))
    }

    /// Everything that came by stdin, for a delegate.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The result that CHECK, and any plugin that must be chained, cannot do without.
    ///
    /// # Errors
    /// Code 7 when there is none.
    pub fn required_prev_result(&self) -> Result<&Success> {
        self.prev_result.as_ref().ok_or_else(|| Error::invalid_config("Required prevResult missing"))
    }
}

/// A configuration that is JSON; name and version have not been looked at yet.
#[derive(Debug)]
pub(crate) struct Draft {
    common: Common,
    valid_attachments: Option<Vec<ValidAttachment>>,
    value: Value,
    bytes: Vec<u8>,
}

/// The keys that mean the same to all plugins.
#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
struct Common {
    #[serde(rename = "cniVersion")]
    version: String,
    name: String,
    #[serde(rename = "type")]
    plugin: String,
    ipam: Ipam,
    dns: Dns,
}

/// All that anybody but the IPAM plugin knows of `ipam`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
struct Ipam {
    #[serde(rename = "type")]
    plugin: String,
}

impl Draft {
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Draft> {
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|cause| Error::decoding(format!("parse network configuration: {cause}")))?;
        let common = fold::read(&value).map_err(|cause| undecodable(&cause))?;
        let valid_attachments = value.as_object().map_or(Ok(None), valid_attachments)?;
        Ok(Draft { common, valid_attachments, value, bytes })
    }

    /// The network's name, which has to be there.
    pub(crate) fn name(&self) -> Result<NetworkName> {
        self.common.name.parse().map_err(invalid_name)
    }

    /// `cniVersion` as it was written; empty when absent.
    pub(crate) fn version_text(&self) -> &str {
        &self.common.version
    }

    /// The result inside, in its own version or else in the configuration's.
    pub(crate) fn prev_result(&self, version: Version) -> Result<Option<Success>> {
        let result = self.value.as_object().and_then(|object| fold::member(object, "prevResult"));
        result
            .map(|value| Success::from_value(value, version).map_err(|e| e.context("prevResult")))
            .transpose()
    }

    /// The configuration, now that all the rest is known.
    pub(crate) fn finish(
        self,
        name: NetworkName,
        version: Version,
        prev_result: Option<Success>,
    ) -> Result<Config> {
        Ok(Config {
            version,
            name,
            plugin: plugin_type("type", self.common.plugin)?,
            ipam: plugin_type("ipam.type", self.common.ipam.plugin)?,
            dns: self.common.dns,
            prev_result,
            valid_attachments: self.valid_attachments,
            value: self.value,
            bytes: self.bytes,
        })
    }
}

fn valid_attachments(config: &Map<String, Value>) -> Result<Option<Vec<ValidAttachment>>> {
    [VALID_ATTACHMENTS, ATTACHMENTS]
        .into_iter()
        .find_map(|key| fold::member(config, key).map(|list| (key, list)))
        .map(|(key, list)| fold::read(list).map_err(|cause| undecodable(&cause).context(key)))
        .transpose()
}

fn plugin_type(key: &str, name: String) -> Result<Option<PluginType>> {
    if name.is_empty() {
        return Ok(None);
    }
    PluginType::try_from(name).map(Some).map_err(|error| invalid_name(error).context(key))
}

fn invalid_name(error: NameError) -> Error {
    Error::invalid_config(error.reason).with_details(error.name)
}

fn undecodable(cause: &fold::Error) -> Error {
    Error::decoding(format!("read network configuration: {cause}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::error::Code;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Config> {
        Config::parse(text.as_bytes().to_vec())
    }

    #[test]
    fn the_common_keys_are_typed() {
        let text = r#"{"cniVersion":"1.1.0","name":"front","type":"bridge","ipam":{"type":"host-local","x":1},
            "dns":{"nameservers":["10.0.0.1"],"domain":"d","search":null},"unknown":[1,2]}"#;
        let config = parse(text).unwrap();
        assert_eq!(config.version, Version::V1_1_0);
        assert_eq!(config.name.as_str(), "front");
        assert_eq!(config.plugin.as_ref().unwrap().as_str(), "bridge");
        assert_eq!(config.ipam.as_ref().unwrap().as_str(), "host-local");
        assert_eq!(
            (config.dns.nameservers.as_slice(), config.dns.domain.as_str()),
            (&["10.0.0.1".into()][..], "d")
        );
        assert_eq!(config.bytes(), text.as_bytes());
        assert!(config.prev_result.is_none() && config.valid_attachments.is_none());
    }

    #[test]
    fn the_smallest_configuration_has_a_name() {
        let config = parse(r#"{"NAME":"n"}"#).unwrap();
        assert_eq!((config.version, config.plugin, config.ipam), (Version::V0_1_0, None, None));
        assert!(config.dns.is_empty());
        for text in
            [r#"{"name":"n","ipam":{}}"#, r#"{"name":"n","ipam":null}"#, r#"{"name":"n","ipam":{"type":""}}"#]
        {
            assert_eq!(parse(text).unwrap().ipam, None);
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_code() {
        for (text, code, msg) in [
            ("", Code::Decoding, "parse network configuration: EOF while parsing a value at line 1 column 0"),
            (
                "{\"name\":",
                Code::Decoding,
                "parse network configuration: EOF while parsing a value at line 1 column 8",
            ),
            (
                "{\"name\":\"n\"}}",
                Code::Decoding,
                "parse network configuration: trailing characters at line 1 column 13",
            ),
            ("[]", Code::Decoding, "read network configuration: invalid type: sequence, expected an object"),
            (
                r#"{"name":5}"#,
                Code::Decoding,
                "read network configuration: name: invalid type: integer `5`, expected a string",
            ),
            (
                r#"{"name":"n","ipam":{"type":[]}}"#,
                Code::Decoding,
                "read network configuration: ipam.type: invalid type: sequence, expected a string",
            ),
            ("{}", Code::InvalidConfig, "missing network name"),
            (r#"{"name":"a/b"}"#, Code::InvalidConfig, "invalid characters found in network name"),
            (
                r#"{"name":"n","type":"/bin/sh"}"#,
                Code::InvalidConfig,
                "type: invalid plugin name, must not contain a path",
            ),
            (
                r#"{"name":"n","ipam":{"type":"../x"}}"#,
                Code::InvalidConfig,
                "ipam.type: invalid plugin name, must not contain a path",
            ),
            (
                r#"{"name":"n","cniVersion":"9.9.9"}"#,
                Code::IncompatibleVersion,
                "unknown CNI version \"9.9.9\"",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.code, error.msg.as_str()), (code, msg), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let deep = format!(r#"{{"name":"n","x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let error = parse(&deep).unwrap_err();
        assert_eq!(error.code, Code::Decoding);
        assert!(error.msg.contains("recursion limit exceeded"), "{error}");
    }

    #[test]
    fn a_plugin_reads_its_own_keys_and_errors_name_their_path() {
        #[derive(Debug, Deserialize)]
        struct Own {
            #[serde(rename = "isGateway", default)]
            is_gateway: bool,
            ipam: Ipam,
        }
        #[derive(Debug, Deserialize)]
        struct Ipam {
            ranges: Vec<Range>,
        }
        #[derive(Debug, Deserialize)]
        struct Range {
            subnet: ipnet::IpNet,
        }
        let config =
            parse(r#"{"name":"n","isgateway":true,"ipam":{"ranges":[{"SUBNET":"10.1.0.0/16"}]}}"#).unwrap();
        let own: Own = config.own().unwrap();
        assert!(own.is_gateway);
        assert_eq!(own.ipam.ranges[0].subnet.to_string(), "10.1.0.0/16");
        let config = parse(r#"{"name":"n","ipam":{"ranges":[{"subnet":"10.1.0.0/99"}]}}"#).unwrap();
        let error = config.own::<Own>().unwrap_err();
        assert_eq!(error.code, Code::Decoding);
        assert_eq!(error.msg, "read network configuration: ipam.ranges[0].subnet: invalid IP address syntax");
    }

    #[test]
    fn valid_attachments_come_under_the_right_key_or_the_former_one() {
        let attachments =
            |keys: &str| parse(&format!(r#"{{"name":"n",{keys}}}"#)).map(|config| config.valid_attachments);
        let one = |id: &str| ValidAttachment { container_id: id.into(), ifname: "eth0".into() };
        let list = |key: &str, id: &str| format!(r#""{key}":[{{"containerID":"{id}","ifname":"eth0"}}]"#);
        let (right, former) = (list(VALID_ATTACHMENTS, "a"), list(ATTACHMENTS, "b"));
        assert_eq!(attachments(&right).unwrap(), Some(vec![one("a")]));
        assert_eq!(attachments(&former).unwrap(), Some(vec![one("b")]));
        assert_eq!(attachments(&format!("{former},{right}")).unwrap(), Some(vec![one("a")]));
        assert_eq!(attachments(r#""cni.dev/valid-attachments":[]"#).unwrap(), Some(vec![]));
        assert_eq!(attachments(r#""cni.dev/valid-attachments":null"#).unwrap(), None);
        let error = attachments(r#""cni.dev/valid-attachments":[{"containerID":1}]"#).unwrap_err();
        assert_eq!(error.code, Code::Decoding);
        assert!(error.msg.contains("[0].containerID"), "{error}");
    }

    #[test]
    fn the_previous_result_is_of_its_own_version_or_else_of_the_configurations() {
        let result = |version: &str| {
            let text = format!(
                r#"{{"cniVersion":"0.4.0","name":"n","prevResult":{{{version}
                "ips":[{{"version":"4","address":"10.0.0.2/24"}}],"ip4":{{"ip":"10.0.0.3/24"}}}}}}"#
            );
            parse(&text).unwrap().required_prev_result().unwrap().ips[0].address.to_string()
        };
        assert_eq!(result(""), "10.0.0.2/24");
        assert_eq!(result(r#""cniVersion":"0.2.0","#), "10.0.0.3/24");
    }

    #[test]
    fn a_missing_or_impossible_previous_result_is_told() {
        let error = parse(r#"{"name":"n"}"#).unwrap().required_prev_result().unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (Code::InvalidConfig, "Required prevResult missing"));
        let error = parse(r#"{"name":"n","prevResult":{"cniVersion":"7.0.0"}}"#).unwrap_err();
        assert_eq!(error.msg, "prevResult: unsupported CNI result version \"7.0.0\"");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(config) = Config::parse(bytes.clone()) {
                prop_assert_eq!(config.bytes(), bytes);
            }
        }
    }
}
