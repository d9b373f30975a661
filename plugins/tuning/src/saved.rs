//! What was there before, as the file in `place.rs` says it.
//!
//! Its form is the reference plugin's, so that either can put back what the other had changed; one more key,
//! which the reference does not look at, says whose the file is, in which namespace, and what the sysctls were.

use crate::link::LinkSettings;
use crate::sysctl::same;
use kernel::error::Errno;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spec::config::Config;
use spec::error::Result;
use spec::request::Attachment;

/// Our key among the reference's.
const RECORD: &str = "tidewater";

/// What was there before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Of the interface.
    pub link: LinkSettings,
    /// Not in a file of the reference's.
    pub record: Option<Record>,
}

/// What we know more than the reference.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Record {
    /// The network of the attachment.
    pub network: String,
    /// Its container.
    pub container: String,
    /// Its interface.
    pub ifname: String,
    /// Inode of the namespace in which things were changed.
    pub netns: u64,
    /// The interface's index there; none when only sysctls were changed.
    pub index: Option<u32>,
    /// Those that were changed.
    pub sysctls: Vec<OldSysctl>,
}

/// A sysctl that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct OldSysctl {
    /// Under `/proc/sys`.
    pub path: String,
    /// What it was.
    pub old: String,
    /// What it became.
    pub new: String,
}

impl OldSysctl {
    /// Gives the sysctl its old value, in the calling thread's namespace.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn put_back(&self) -> Result<()> {
        Ok(kernel::sysctl::overwrite(&self.path, &self.old)?)
    }

    /// The same, unless somebody has given it a third value since, or it went with its interface.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn put_back_if_ours(&self) -> Result<()> {
        match kernel::sysctl::get_whole(&self.path) {
            Ok(now) if same(&now, &self.new) => self.put_back(),
            Ok(_) => Ok(()),
            Err(error) if error.errno() == Errno::NOENT => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Record {
    /// The record of an attachment, without sysctls yet.
    pub(crate) fn new(config: &Config, attachment: &Attachment, netns: u64, index: Option<u32>) -> Record {
        Record {
            network: config.name.to_string(),
            container: attachment.container.to_string(),
            ifname: attachment.ifname.to_string(),
            netns,
            index,
            sysctls: Vec::new(),
        }
    }

    /// Whether this attachment made it. Of two whose file names are the same (`a_b` with `c`, `a` with `b_c`)
    /// only one did.
    pub(crate) fn is_of(&self, attachment: &Attachment) -> bool {
        self.container == attachment.container.as_str() && self.ifname == attachment.ifname.as_str()
    }

    /// Whether the interface is the one that was changed, and not a later one of the same name.
    pub(crate) fn is_about(&self, index: Option<u32>) -> bool {
        self.index.is_none() || index.is_none() || self.index == index
    }

    fn is_the_same_place(&self, other: &Record) -> bool {
        self.netns == other.netns && self.is_about(other.index)
    }
}

impl Saved {
    /// What a file says; `None` for one that is torn, or was never a plugin's.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Saved> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let record = value.get(RECORD).map(Record::deserialize).transpose().ok()?;
        Some(Saved { link: LinkSettings::deserialize(&value).ok()?, record })
    }

    /// One space of indent, as the reference writes it.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        let mut object = match serde_json::to_value(self.link)? {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        if let Some(record) = &self.record {
            object.insert(RECORD.to_owned(), serde_json::to_value(record)?);
        }
        let mut bytes = Vec::new();
        let form = serde_json::ser::PrettyFormatter::with_indent(b" ");
        object.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, form))?;
        Ok(bytes)
    }

    /// What was there before `self` was looked at and before whatever left `earlier`: an ADD that was killed, or
    /// another tuning plugin in the same list. Its values are the older ones. A file about an interface that is
    /// gone has nothing to say.
    pub(crate) fn after(self, earlier: &Saved) -> Saved {
        let (Some(mine), Some(theirs)) = (&self.record, &earlier.record) else {
            // The reference does not say which interface it speaks of.
            return Saved { link: earlier.link.or(&self.link), record: self.record };
        };
        if !mine.is_the_same_place(theirs) {
            return self;
        }
        let record = Record {
            index: mine.index.or(theirs.index),
            sysctls: older_values(&theirs.sysctls, &mine.sysctls),
            ..mine.clone()
        };
        Saved { link: earlier.link.or(&self.link), record: Some(record) }
    }
}

/// Each sysctl with what it was first and what it became last.
fn older_values(earlier: &[OldSysctl], later: &[OldSysctl]) -> Vec<OldSysctl> {
    let mut all = earlier.to_vec();
    for sysctl in later {
        match all.iter_mut().find(|other| other.path == sysctl.path) {
            Some(other) => other.new.clone_from(&sysctl.new),
            None => all.push(sysctl.clone()),
        }
    }
    all
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    pub(crate) fn record(netns: u64, sysctls: &[(&str, &str, &str)]) -> Record {
        let sysctls = sysctls.iter().map(|(path, old, new)| OldSysctl {
            path: path.to_string(),
            old: old.to_string(),
            new: new.to_string(),
        });
        Record {
            network: "net".into(),
            container: "c1".into(),
            ifname: "eth0".into(),
            netns,
            index: Some(2),
            sysctls: sysctls.collect(),
        }
    }

    pub(crate) fn saved(mtu: u32, record: Option<Record>) -> Saved {
        Saved { link: LinkSettings { mtu: Some(mtu), ..LinkSettings::default() }, record }
    }

    #[test]
    fn a_file_of_the_reference_is_read() {
        let text = "{\n \"mac\": \"02:00:00:00:00:01\",\n \"promisc\": false,\n \"mtu\": 1500,\n \"allmulti\": true,\n \"txQLen\": 1000\n}";
        let link = Saved::parse(text.as_bytes()).unwrap().link;
        assert_eq!(link.mac.unwrap().to_string(), "02:00:00:00:00:01");
        assert_eq!(
            (link.promisc, link.mtu, link.allmulti, link.tx_queue_len),
            (Some(false), Some(1500), Some(true), Some(1000))
        );
    }

    #[test]
    fn a_file_of_ours_has_the_reference_s_keys_and_one_more() {
        let text = String::from_utf8(saved(1500, Some(record(7, &[("net/x", "0", "1")]))).to_json().unwrap())
            .unwrap();
        assert!(text.starts_with("{\n \"mtu\": 1500,\n \"tidewater\": {\n"), "{text}");
        assert_eq!(
            Saved::parse(text.as_bytes()).unwrap(),
            saved(1500, Some(record(7, &[("net/x", "0", "1")])))
        );
    }
}
