//! Tables: `nft add table inet tidewater`.

use super::number::{msg, table as nfta};
use super::request::{Request, message};
use super::{Chain, Set, comment};
use std::fmt;

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4 and IPv6 in one table.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Frames that cross a bridge.
    Bridge,
    /// ARP, from and to this host.
    Arp,
}

impl Family {
    /// `NFPROTO_IPV4`, by which `meta nfproto` tells packets of an inet table apart.
    pub(super) const IPV4: u8 = 2;
    /// `NFPROTO_IPV6`.
    pub(super) const IPV6: u8 = 10;

    /// `NFPROTO_*`.
    pub(super) fn number(self) -> u8 {
        match self {
            Family::Inet => 1,
            Family::Ip => Family::IPV4,
            Family::Arp => 3,
            Family::Bridge => 7,
            Family::Ip6 => Family::IPV6,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Family> {
        [Family::Inet, Family::Ip, Family::Ip6, Family::Bridge, Family::Arp]
            .into_iter()
            .find(|family| family.number() == number)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Inet => "inet",
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
            Family::Bridge => "bridge",
            Family::Arp => "arp",
        })
    }
}

/// Names a table; whether it exists is another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table<'a> {
    /// Which packets it sees.
    pub family: Family,
    /// Its name, at most 255 bytes.
    pub name: &'a str,
}

impl<'a> Table<'a> {
    /// The table of this family and name.
    pub const fn new(family: Family, name: &'a str) -> Table<'a> {
        Table { family, name }
    }

    /// Names a chain of this table.
    pub const fn chain(self, name: &'a str) -> Chain<'a> {
        Chain { table: self, name }
    }

    /// Names a set or map of this table.
    pub const fn set(self, name: &'a str) -> Set<'a> {
        Set { table: self, name }
    }

    /// `nft add table`: fine where it is there already.
    pub fn add(self) -> Request {
        let body = message(msg::NEWTABLE, 0, self.family).attr_str(nfta::NAME, self.name);
        Request::new("add table", self.to_string(), body.attr_be32(nfta::FLAGS, 0))
    }

    /// `nft add table … { comment "…"; }`; a table that is there keeps the comment it has.
    pub fn add_with_comment(self, text: &str) -> Request {
        let mut request = self.add();
        request.message = request.message.attr(nfta::USERDATA, &comment::userdata(comment::PLAIN, text));
        request
    }

    /// `nft delete table`: with all that is in it; ENOENT where there is none.
    pub fn delete(self) -> Request {
        let body = message(msg::DELTABLE, 0, self.family).attr_str(nfta::NAME, self.name);
        Request::new("delete table", self.to_string(), body)
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}
