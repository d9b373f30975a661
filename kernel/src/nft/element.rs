//! Elements: `nft add element inet tidewater masquerade4 '{ 10.1.0.5 comment "…" : goto subnet-… }'`.

use super::number::{NLM_F_CREATE, NLM_F_EXCL, elem, msg};
use super::request::{Request, message};
use super::verdict::put_value;
use super::{Data, ElementFound, Key, Set, Value, comment};
use crate::netlink::{Message, NESTED};
use std::time::Duration;

/// The list of elements of one message is an attribute, whose length has 16 bits. Longer lists are cut here,
/// one element (at most about 500 bytes) early.
const LIST_BYTES: usize = 60_000;

/// One element, to be added or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    key: Key,
    end: End,
    data: Option<Data>,
    comment: Option<&'a str>,
    timeout: Option<Duration>,
}

/// Where an interval ends, which the kernel is told in two ways.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// No interval: one key.
    Single,
    /// One field: an element of its own says what comes first after the interval; `None` is the end of all
    /// values.
    Before(Option<Key>),
    /// Several fields: the last value of each field, in the same element.
    Last(Key),
}

impl<'a> Element<'a> {
    /// The element with this key.
    pub fn new(key: impl Into<Key>) -> Element<'a> {
        Element { key: key.into(), end: End::Single, data: None, comment: None, timeout: None }
    }

    /// `10.0.2.1-10.0.2.7`, for a set of one field with `flags interval`. A prefix is the range from its
    /// first to its last address.
    pub fn range(first: impl Into<Value>, last: impl Into<Value>) -> Element<'a> {
        let end = last.into().next().map(Key::from);
        Element { end: End::Before(end), ..Element::new(first.into()) }
    }

    /// `10.0.0.0/24 . 80-90`, for a set of several fields with `flags interval`: first and last value of each
    /// field.
    pub fn ranges(fields: &[(Value, Value)]) -> Element<'a> {
        let (first, last): (Vec<Value>, Vec<Value>) = fields.iter().copied().unzip();
        Element { end: End::Last(Key::concat(&last)), ..Element::new(Key::concat(&first)) }
    }

    /// What the map has for this key.
    pub fn to(self, data: impl Into<Data>) -> Element<'a> {
        Element { data: Some(data.into()), ..self }
    }

    /// `comment "…"`, at most [`MAX_COMMENT`](super::MAX_COMMENT) bytes.
    pub fn comment(self, comment: &'a str) -> Element<'a> {
        Element { comment: Some(comment), ..self }
    }

    /// `timeout 5s`, for a set with `flags timeout`.
    pub fn timeout(self, after: Duration) -> Element<'a> {
        Element { timeout: Some(after), ..self }
    }

    /// The chain that its verdict leads to.
    pub(super) fn target(&self) -> Option<&str> {
        match self.data.as_ref()? {
            Data::Verdict(verdict) => verdict.target(),
            Data::Value(_) => None,
        }
    }

    /// Whether this is what the kernel has.
    pub(super) fn is_the_same_as(&self, found: &ElementFound) -> bool {
        let comment = self.comment.map(comment::shown);
        self.key == found.key && self.data == found.data && comment == found.comment.as_deref()
    }

    /// Only what an element is known by.
    pub(super) fn bare<'b>(&self) -> Element<'b> {
        Element { end: self.end.clone(), ..Element::new(self.key.clone()) }
    }

    /// The key, of an interval its first.
    pub fn key(&self) -> &Key {
        &self.key
    }

    fn put(&self, list: Message, index: u16) -> Message {
        list.nest(index | NESTED, |item| {
            let item = match self.timeout {
                Some(after) => {
                    let milliseconds = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                    item.attr(elem::TIMEOUT, &milliseconds.to_be_bytes())
                }
                None => item,
            };
            let item = put_value(item, elem::KEY, self.key.as_bytes());
            let item = match &self.end {
                End::Last(last) => put_value(item, elem::KEY_END, last.as_bytes()),
                End::Single | End::Before(_) => item,
            };
            let item = match &self.data {
                Some(data) => data.put(item, elem::DATA),
                None => item,
            };
            match self.comment {
                Some(text) => item.attr(elem::USERDATA, &comment::userdata(comment::PLAIN, text)),
                None => item,
            }
        })
    }

    /// The second element of an interval of one field.
    fn put_end(&self, list: Message, index: u16) -> Message {
        match &self.end {
            End::Before(Some(end)) => list.nest(index | NESTED, |item| {
                let item = item.attr_be32(elem::FLAGS, elem::F_INTERVAL_END);
                put_value(item, elem::KEY, end.as_bytes())
            }),
            _ => list,
        }
    }
}

impl Set<'_> {
    /// `nft add element`: an element that is there with the same data stays as it is, comment included; with
    /// other data EEXIST. Of a long list, several requests.
    pub fn add_elements(self, elements: &[Element<'_>]) -> Vec<Request> {
        self.requests("add element", msg::NEWSETELEM, NLM_F_CREATE, elements)
    }

    /// `nft create element`: EEXIST where one is there already.
    pub fn create_elements(self, elements: &[Element<'_>]) -> Vec<Request> {
        self.requests("create element", msg::NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, elements)
    }

    /// `nft delete element`: ENOENT where one is missing. Data and comment do not matter.
    pub fn delete_elements(self, elements: &[Element<'_>]) -> Vec<Request> {
        let bare: Vec<_> = elements.iter().map(Element::bare).collect();
        self.requests("delete element", msg::DELSETELEM, 0, &bare)
    }

    /// The question for one element; asked by [`Nft::element`](super::Nft::element).
    pub(super) fn get_element(self, element: &Element<'_>) -> Message {
        let body = self.list(msg::GETSETELEM, 0);
        body.nest(elem::LIST_ELEMENTS | NESTED, |list| element.put(list, 1))
    }

    /// The question for all elements.
    pub(super) fn get_elements(self, flags: u16) -> Message {
        self.list(msg::GETSETELEM, flags)
    }

    fn list(self, kind: u8, flags: u16) -> Message {
        message(kind, flags, self.table.family)
            .attr_str(elem::LIST_TABLE, self.table.name)
            .attr_str(elem::LIST_SET, self.name)
    }

    fn requests(self, op: &'static str, kind: u8, flags: u16, mut elements: &[Element<'_>]) -> Vec<Request> {
        let mut requests = Vec::with_capacity(1);
        while let Some(first) = elements.first() {
            let mut taken = 0;
            let body = self.list(kind, flags).nest(elem::LIST_ELEMENTS | NESTED, |list| {
                let (list, fitted) = put_list(list, elements);
                taken = fitted;
                list
            });
            requests.push(Request::new(op, self.object(first, taken), body));
            elements = &elements[taken..];
        }
        requests
    }

    /// `10.1.0.5 of inet tidewater masquerade4`, and how many more.
    fn object(self, first: &Element<'_>, count: usize) -> String {
        let Set { table, name } = self;
        let key = shown(&first.key);
        match count {
            0 | 1 => format!("{key} of {table} {name}"),
            _ => format!("{key} and {} more of {table} {name}", count - 1),
        }
    }
}

/// Writes as many elements as fit, at least one, and says how many.
fn put_list(mut list: Message, elements: &[Element<'_>]) -> (Message, usize) {
    let mut index = 0;
    for (position, element) in elements.iter().enumerate() {
        if position > 0 && list.as_bytes().len() > LIST_BYTES {
            return (list, position);
        }
        index += 1;
        list = element.put(list, index);
        if matches!(element.end, End::Before(Some(_))) {
            index += 1;
            list = element.put_end(list, index);
        }
    }
    (list, elements.len())
}

/// A key in an error: an address, else its bytes.
fn shown(key: &Key) -> String {
    match key.as_ip() {
        Some(address) => address.to_string(),
        None => key.as_bytes().iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::netlink::{attribute, attributes};
    use crate::nft::{Family, Table};
    use std::net::Ipv4Addr;

    const SET: Set<'static> = Table::new(Family::Inet, "t").set("s");

    #[test]
    fn a_long_list_is_spread_over_messages_that_the_kernel_can_measure() {
        let comment = "c".repeat(128);
        let elements: Vec<_> =
            (0..10_000u32).map(|n| Element::new(Ipv4Addr::from(n)).comment(&comment)).collect();
        let requests = SET.add_elements(&elements);
        let counts = requests.iter().map(|request| {
            let list = attribute(&request.as_bytes()[20..], elem::LIST_ELEMENTS).unwrap();
            assert!(list.len() < 65_000, "{}", list.len());
            attributes(list).count()
        });
        assert_eq!(counts.sum::<usize>(), 10_000);
    }

    #[test]
    fn an_error_names_the_element() {
        let one = [Element::new(Ipv4Addr::new(10, 1, 0, 5))];
        assert_eq!(SET.create_elements(&one)[0].object, "10.1.0.5 of inet t s");
        let two = [Element::new(Value::port(80)), Element::new(Value::port(81))];
        assert_eq!(SET.create_elements(&two)[0].object, "0x0050 and 1 more of inet t s");
        assert!(SET.create_elements(&[]).is_empty());
    }

    #[test]
    fn the_range_up_to_the_highest_value_has_no_end_element() {
        let range = Element::range(Ipv4Addr::new(255, 0, 0, 0), Ipv4Addr::BROADCAST);
        let request = &SET.add_elements(&[range])[0];
        let list = attribute(&request.as_bytes()[20..], elem::LIST_ELEMENTS).unwrap();
        assert_eq!(attributes(list).count(), 1);
    }
}
