//! The portmap plugin's own keys, and the plan made of them: every decision, with nothing touched yet.

use crate::mappings::{self, Entry};
use ipnet::IpNet;
use serde::Deserialize;
use spec::config::Config;
use spec::error::{Error, Result};
use spec::request::Attachment;
use spec::result::Success;
use steps::chained;
use steps::iptables::chain_name;
use steps::ports::{Backend, Mapping, Mark, Ports, Side, Source};

/// The bit of the packet mark that the reference plugin uses.
const DEFAULT_MARK_BIT: u8 = 13;
/// The last bit of the packet mark.
const LAST_MARK_BIT: i64 = 31;

/// The keys as they stand in the configuration.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Keys {
    backend: String,
    snat: bool,
    masq_all: bool,
    mark_masq_bit: Option<i64>,
    external_set_mark_chain: String,
    #[serde(rename = "conditionsV4")]
    conditions_v4: Vec<String>,
    #[serde(rename = "conditionsV6")]
    conditions_v6: Vec<String>,
    runtime_config: RuntimeConfig,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            backend: String::new(),
            snat: true,
            masq_all: false,
            mark_masq_bit: None,
            external_set_mark_chain: String::new(),
            conditions_v4: Vec::new(),
            conditions_v6: Vec::new(),
            runtime_config: RuntimeConfig::default(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RuntimeConfig {
    port_mappings: Vec<Entry>,
}

/// Every decision of one ADD or CHECK.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// What is passed on.
    pub(crate) result: &'a Success,
    /// The mappings; `None` where the runtime asks for none that can lead to the container.
    pub(crate) ports: Option<Ports>,
}

impl Plan<'_> {
    /// The plan of an ADD, CHECK or DEL.
    ///
    /// # Errors
    /// Code 7 for each key whose value cannot be, and where there is no prevResult.
    pub(crate) fn new<'a>(config: &'a Config, attachment: &Attachment) -> Result<Plan<'a>> {
        let keys: Keys = config.own()?;
        let (backend, mark) = (keys.backend()?, keys.mark()?);
        let result = chained::prev_result(config)?;
        let mappings = mappings::read(&keys.runtime_config.port_mappings)?;
        if mappings.is_empty() {
            return Ok(Plan { result, ports: None });
        }
        let addresses = chained::addresses(attachment, result);
        if addresses.is_empty() {
            return Err(Error::invalid_config(format!(
                "map ports to container {}: prevResult has no address of interface {} that they could lead to",
                attachment.container, attachment.ifname
            )));
        }
        let sides = sides(&keys, &mappings, &addresses);
        if sides.is_empty() {
            // All are at addresses of the family that the container does not have.
            return Ok(Plan { result, ports: None });
        }
        // Without snat nobody is masqueraded: the reference's backends both ask for it first.
        let source = Source { snat: keys.snat, masquerade_all: keys.snat && keys.masq_all, mark };
        Ok(Plan { result, ports: Some(Ports { backend, source, sides }) })
    }
}

/// Whether the runtime asks for ports, right or wrong.
pub(crate) fn asks_for_ports(config: &Config) -> bool {
    config.own::<Keys>().map_or(true, |keys| !keys.runtime_config.port_mappings.is_empty())
}

impl Keys {
    /// The backend: the one named, or iptables where a key needs it, or nftables.
    ///
    /// # Errors
    /// Code 7 for any other word, and where a key is of the other backend.
    pub(crate) fn backend(&self) -> Result<Backend> {
        let iptables_conditions = self.conditions().any(is_iptables_syntax);
        let nft_conditions = self.conditions().any(|words| !words.is_empty() && !is_iptables_syntax(words));
        self.refuse_line_breaks()?;
        let wanted = match self.backend.as_str() {
            "nftables" => Backend::Nftables,
            "iptables" => Backend::Iptables,
            "" if iptables_conditions || !self.external_set_mark_chain.is_empty() => Backend::Iptables,
            "" => Backend::Nftables,
            other => {
                return Err(Error::invalid_config(format!(
                    "unrecognized backend {other:?}: want \"nftables\" or \"iptables\""
                )));
            }
        };
        match wanted {
            Backend::Nftables if iptables_conditions => Err(Error::invalid_config(
                "conditionsV4/conditionsV6 are in the syntax of iptables, but backend is \"nftables\"",
            )),
            Backend::Iptables if nft_conditions => Err(Error::invalid_config(
                "conditionsV4/conditionsV6 are in the syntax of nftables, but backend is \"iptables\"",
            )),
            Backend::Nftables if !self.external_set_mark_chain.is_empty() => Err(Error::invalid_config(
                "externalSetMarkChain is a chain of iptables, but backend is \"nftables\"",
            )),
            _ => Ok(wanted),
        }
    }

    /// A rule is a line of a script.
    fn refuse_line_breaks(&self) -> Result<()> {
        match self.conditions().flatten().find(|word| word.contains(char::is_control)) {
            Some(word) => Err(Error::invalid_config(format!(
                "conditionsV4/conditionsV6: {word:?} has a control character"
            ))),
            None => Ok(()),
        }
    }

    fn mark(&self) -> Result<Mark> {
        let bit = self.mark_masq_bit;
        match (self.external_set_mark_chain.as_str(), bit) {
            ("", None) => Ok(Mark::Bit(DEFAULT_MARK_BIT)),
            ("", Some(bit)) => mark_bit(bit),
            (_, Some(_)) => Err(Error::invalid_config("Cannot specify externalSetMarkChain and markMasqBit")),
            (chain, None) => {
                chain_name("externalSetMarkChain", chain)?;
                Ok(Mark::Chain(chain.to_owned()))
            }
        }
    }

    fn conditions(&self) -> impl Iterator<Item = &[String]> {
        [self.conditions_v4.as_slice(), self.conditions_v6.as_slice()].into_iter()
    }
}

fn mark_bit(bit: i64) -> Result<Mark> {
    match u8::try_from(bit) {
        Ok(small) if bit <= LAST_MARK_BIT => Ok(Mark::Bit(small)),
        _ => Err(Error::invalid_config(format!(
            "MasqMarkBit must be between 0 and {LAST_MARK_BIT}: markMasqBit is {bit}"
        ))),
    }
}

/// iptables options begin with a dash, or with the exclamation mark before one.
fn is_iptables_syntax(words: &[String]) -> bool {
    words.first().is_some_and(|word| word.starts_with(['-', '!']))
}

/// For each family the first address, with the mappings that can lead there.
fn sides(keys: &Keys, mappings: &[Mapping], addresses: &[IpNet]) -> Vec<Side> {
    let (v4, v6) = chained::first_of_each_family(addresses);
    let side = |container: Option<IpNet>, conditions: &[String]| {
        let container = container?;
        let mappings = mappings::of_family(mappings, container.addr().is_ipv4());
        let conditions = conditions.to_vec();
        (!mappings.is_empty()).then_some(Side { container, mappings, conditions })
    };
    [side(v4, &keys.conditions_v4), side(v6, &keys.conditions_v6)].into_iter().flatten().collect()
}
