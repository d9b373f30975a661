//! The bandwidth plugin's own keys, and the plan made of them: every decision, with nothing touched yet.

use crate::limit::Limit;
use serde::Deserialize;
use spec::config::Config;
use spec::error::Result;

/// The keys as they stand in the configuration. Any of the first four, at whatever value, makes the capability
/// count for nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Keys {
    ingress_rate: Option<u64>,
    ingress_burst: Option<u64>,
    egress_rate: Option<u64>,
    egress_burst: Option<u64>,
    runtime_config: RuntimeConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
struct RuntimeConfig {
    bandwidth: Option<Rates>,
}

/// The capability `bandwidth`: bits a second, and bits. Ingress is towards the container.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
struct Rates {
    ingress_rate: Option<u64>,
    ingress_burst: Option<u64>,
    egress_rate: Option<u64>,
    egress_burst: Option<u64>,
}

impl Keys {
    fn rates(&self) -> Rates {
        let own = [self.ingress_rate, self.ingress_burst, self.egress_rate, self.egress_burst];
        if own.iter().all(Option::is_none) {
            return self.runtime_config.bandwidth.unwrap_or_default();
        }
        let [ingress_rate, ingress_burst, egress_rate, egress_burst] = own;
        Rates { ingress_rate, ingress_burst, egress_rate, egress_burst }
    }
}

/// Every decision of one ADD or CHECK.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What the container receives.
    pub(crate) ingress: Option<Limit>,
    /// What it sends.
    pub(crate) egress: Option<Limit>,
}

impl Plan {
    /// The plan of this configuration.
    ///
    /// # Errors
    /// Code 7 for a rate or burst that cannot be.
    pub(crate) fn new(config: &Config) -> Result<Plan> {
        let rates = config.own::<Keys>()?.rates();
        Ok(Plan {
            ingress: Limit::new("ingress", rates.ingress_rate, rates.ingress_burst)?,
            egress: Limit::new("egress", rates.egress_rate, rates.egress_burst)?,
        })
    }

    /// Whether nothing is limited: the plugin hands the result on.
    pub(crate) fn is_empty(&self) -> bool {
        self.ingress.is_none() && self.egress.is_none()
    }
}

/// Whether an ADD by this configuration may have limited anything. One that was made worse after the ADD counts as
/// if it had: it must not keep what was made from being removed.
pub(crate) fn may_have_limited(config: &Config) -> bool {
    !Plan::new(config).is_ok_and(|plan| plan.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn plan(keys: &str) -> Result<Plan> {
        let text = format!(r#"{{"cniVersion":"1.0.0","name":"net","type":"bandwidth",{keys}}}"#);
        Plan::new(&Config::parse(text.into_bytes()).unwrap())
    }

    #[test]
    fn containerd_s_form_is_read() {
        let keys = r#""runtimeConfig":{"bandwidth":
            {"IngressRate":10000000,"IngressBurst":4294967295,"EgressRate":0,"EgressBurst":0}}"#;
        let plan = plan(keys).unwrap();
        assert!(plan.ingress.is_some() && plan.egress.is_none());
    }

    #[test]
    fn a_key_of_the_configuration_makes_the_capability_count_for_nothing() {
        let capability = r#""runtimeConfig":{"bandwidth":{"ingressRate":800,"ingressBurst":80000}}"#;
        assert!(plan(capability).unwrap().ingress.is_some());
        assert!(plan(&format!(r#""egressRate":0,{capability}"#)).unwrap().is_empty());
        assert!(plan(&format!(r#""egressRate":null,{capability}"#)).unwrap().ingress.is_some());
    }

    #[test]
    fn nothing_and_zeros_limit_nothing() {
        for keys in [
            r#""x":1"#,
            r#""runtimeConfig":{}"#,
            r#""runtimeConfig":null"#,
            r#""runtimeConfig":{"bandwidth":null}"#,
            r#""runtimeConfig":{"bandwidth":{}}"#,
            r#""ingressRate":0,"ingressBurst":0,"egressRate":0,"egressBurst":0"#,
        ] {
            assert!(plan(keys).unwrap().is_empty(), "{keys}");
        }
    }

    #[test]
    fn numbers_that_are_none_are_undecodable() {
        for value in ["-1", "18446744073709551616", "1.5", "\"8\"", "true"] {
            let error = plan(&format!(r#""ingressRate":{value},"ingressBurst":8"#)).unwrap_err();
            assert_eq!(error.code, spec::error::Code::Decoding, "{value}");
            assert!(error.msg.contains("ingressRate"), "{error}");
        }
    }

    #[test]
    fn a_configuration_that_was_made_worse_may_have_limited() {
        let config = |keys: &str| Config::parse(format!(r#"{{"name":"net",{keys}}}"#).into_bytes()).unwrap();
        assert!(may_have_limited(&config(r#""ingressRate":-1"#)));
        assert!(may_have_limited(&config(r#""ingressRate":8"#)));
        assert!(!may_have_limited(&config(r#""ingressRate":0"#)));
    }
}
