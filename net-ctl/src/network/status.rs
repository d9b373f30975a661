//! `net-ctl network status`: see whether a network could take a container now.

use clap::Args;
use serde_json::json;
use spec::{NetworkName, Version};

use super::{lookup, trouble};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::places::{CachePlace, ConfigPlace, PluginPlace};

/// See whether a network could take a container now
#[derive(Args)]
pub(crate) struct Status {
    /// The network, by the name in its configuration
    #[arg(value_parser = super::name)]
    network: NetworkName,
    #[command(flatten)]
    config: ConfigPlace,
    #[command(flatten)]
    plugins: PluginPlace,
    #[command(flatten)]
    cache: CachePlace,
}

impl Status {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let network = lookup::one(&self.config, &self.network)?;
        let what = format!("find network {} ready", network.name);
        self.plugins.runtime(&self.cache).status(&network).map_err(|error| trouble::failure(what, &error))?;
        let asked = network.version >= Version::V1_1_0;
        let document = json!({"network": network.name, "ready": true, "asked": asked});
        let answer = Answer::new(&document, format!("{} is ready", network.name));
        Ok(match asked {
            true => answer,
            false => answer.with_notes(vec![format!(
                "plugins cannot be asked in configuration version {}, only from 1.1.0 on: taken for ready",
                network.version
            )]),
        })
    }
}
