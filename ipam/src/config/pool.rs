//! A range as a configuration or a runtime writes it.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::range::Limits;

/// One pool of addresses, not looked at yet. An empty text counts as absent, as it does in Go.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Pool {
    pub(super) subnet: String,
    pub(super) range_start: String,
    pub(super) range_end: String,
    pub(super) gateway: String,
}

impl Pool {
    /// What the texts say.
    pub(super) fn limits(&self) -> Result<Limits, String> {
        Ok(Limits {
            subnet: parsed("subnet", &self.subnet)?.ok_or("subnet is missing")?,
            start: parsed("rangeStart", &self.range_start)?,
            end: parsed("rangeEnd", &self.range_end)?,
            gateway: parsed("gateway", &self.gateway)?,
        })
    }

    /// The field that Go's decoder would choose for a key.
    fn field(&mut self, key: &str) -> Option<&mut String> {
        match key.to_ascii_lowercase().as_str() {
            "subnet" => Some(&mut self.subnet),
            "rangestart" => Some(&mut self.range_start),
            "rangeend" => Some(&mut self.range_end),
            "gateway" => Some(&mut self.gateway),
            _ => None,
        }
    }
}

fn parsed<T: FromStr<Err: fmt::Display>>(key: &str, text: &str) -> Result<Option<T>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|cause| format!("{key} {text:?}: {cause}"))
}

/// An element of `runtimeConfig.ipRanges`: a list of pools, or a single one where the runtime sends a flat
/// list, as containerd does.
#[derive(Clone)]
pub(super) struct PoolSet(pub(super) Vec<Pool>);

impl<'de> Deserialize<'de> for PoolSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PoolSet, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = PoolSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a range or a list of ranges")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PoolSet, A::Error> {
        let mut pools = Vec::new();
        while let Some(pool) = list.next_element()? {
            pools.push(pool);
        }
        Ok(PoolSet(pools))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<PoolSet, A::Error> {
        let mut pool = Pool::default();
        while let Some(key) = object.next_key::<String>()? {
            match pool.field(&key) {
                Some(field) => *field = object.next_value::<Option<String>>()?.unwrap_or_default(),
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(PoolSet(vec![pool]))
    }
}
