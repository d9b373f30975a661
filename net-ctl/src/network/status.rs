//! `net-ctl network status`: see whether a network could take a container now.

use clap::Args;
use lifecycle::Error;
use serde_json::json;
use spec::{NetworkName, Version};

use super::{lookup, trouble};
use crate::answer::Answer;
use crate::failure::{Exit, Failure};
use crate::places::{CachePlace, ConfigPlace, PluginPlace};

/// See whether a network could take a container now
///
/// Looks whether all plugins are installed, those of IPAM included, and from configuration version 1.1.0 on asks them.
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
        let status = self.plugins.runtime(&self.cache).status(&network);
        status.map_err(|error| self.failure(&error))?;
        let asked = network.version >= Version::V1_1_0;
        let document = json!({"network": network.name, "ready": true, "asked": asked});
        let answer = Answer::new(&document, format!("{} is ready", network.name));
        Ok(match asked {
            true => answer,
            false => answer.with_notes(vec![format!(
                "all plugins are installed; for more STATUS is needed, which is in configuration version 1.1.0 \
                 and later, {} has {}",
                network.name, network.version
            )]),
        })
    }

    fn failure(&self, error: &Error) -> Failure {
        let places = self.config.given().and(self.plugins.given()).and(self.cache.given());
        let what = format!("find out whether network {} is ready", self.network);
        let failure = trouble::on_network(what, error, &self.network, &places);
        let failure = match failure.exit {
            Exit::NotReady | Exit::NotFound | Exit::TryAgain => {
                failure.finding(format!("network {} is not ready", self.network))
            }
            _ => failure,
        };
        failure.next(format!("net-ctl network status {}{places}, after mending the cause", self.network))
    }
}
