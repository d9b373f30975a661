//! Ethernet frames by hand.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) type Mac = [u8; 6];

/// From whom to whom.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) source: Mac,
    pub(crate) destination: Mac,
}

/// The bytes of a frame, without its check sum.
#[derive(Clone)]
pub(crate) struct Frame(Vec<u8>);

impl Way {
    pub(crate) fn other(self, kind: u16, payload: &[u8]) -> Frame {
        Frame([&self.destination, &self.source, &kind.to_be_bytes()[..], payload].concat())
    }

    pub(crate) fn arp(self, operation: u16, mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Frame {
        let form = [0, 1, 8, 0, 6, 4];
        let parts = [&form[..], &operation.to_be_bytes(), &mac, &sender.octets(), &[0; 6], &target.octets()];
        self.other(0x0806, &parts.concat())
    }

    pub(crate) fn ip(self, source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: &[u8]) -> Frame {
        self.ip_with([0x40, 0], source, destination, protocol, payload)
    }

    /// A fragment from so many times eight bytes on.
    pub(crate) fn ip_fragment(
        self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        offset: u16,
        more: bool,
    ) -> Frame {
        let field = (offset | u16::from(more) << 13).to_be_bytes();
        self.ip_with(field, source, destination, 17, &[7; 32])
    }

    fn ip_with(
        self,
        fragment: [u8; 2],
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: u8,
        payload: &[u8],
    ) -> Frame {
        let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
        let head = [
            &[0x45, 0][..],
            &length,
            &[0, 1],
            &fragment,
            &[64, protocol, 0, 0],
            &source.octets(),
            &destination.octets(),
        ];
        let mut head = head.concat();
        let sum = sum(&head);
        head[10..12].copy_from_slice(&sum);
        self.other(0x0800, &[&head, payload].concat())
    }

    pub(crate) fn ip6(self, source: Ipv6Addr, destination: Ipv6Addr, next: u8, payload: &[u8]) -> Frame {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&[0x60, 0, 0, 0][..], &length, &[next, 255], &source.octets(), &destination.octets()];
        self.other(0x86dd, &[&head.concat(), payload].concat())
    }

    pub(crate) fn icmp6(self, source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Frame {
        self.ip6(source, destination, 58, &checked(source, destination, message))
    }
}

impl Frame {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same with a VLAN tag before its type.
    pub(crate) fn tagged(&self, vlan: u16) -> Frame {
        Frame([&self.0[..12], &[0x81, 0], &vlan.to_be_bytes(), &self.0[12..]].concat())
    }

    /// The same without its outermost tag, if it has one.
    pub(crate) fn untagged(&self) -> Vec<u8> {
        if self.0[12..14] == [0x81, 0] { [&self.0[..12], &self.0[16..]].concat() } else { self.0.clone() }
    }

    /// The same with other bytes from this place on.
    pub(crate) fn patched(mut self, at: usize, bytes: &[u8]) -> Frame {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }
}

/// A datagram of four bytes without check sum.
pub(crate) fn udp(source: u16, destination: u16) -> Vec<u8> {
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &[0, 12, 0, 0], b"fake"].concat()
}

/// Type and code 0, room for the check sum, and so many zeros.
pub(crate) fn plain(kind: u8, zeros: usize) -> Vec<u8> {
    [&[kind, 0, 0, 0][..], &vec![0; zeros]].concat()
}

pub(crate) fn advert(target: Ipv6Addr, mac: Option<Mac>) -> Vec<u8> {
    let option = mac.map(|mac| [&[2, 1][..], &mac].concat()).unwrap_or_default();
    [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &target.octets(), &option].concat()
}

pub(crate) fn solicit(target: Ipv6Addr, option: Option<(u8, Mac)>) -> Vec<u8> {
    let option = option.map(|(kind, mac)| [&[kind, 1][..], &mac].concat()).unwrap_or_default();
    [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), &option].concat()
}

/// An ICMPv6 message with its check sum.
pub(crate) fn checked(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let sum = sum(&[&source.octets()[..], &destination.octets(), &length, &[0, 0, 0, 58], message].concat());
    let mut message = message.to_vec();
    message[2..4].copy_from_slice(&sum);
    message
}

fn sum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(*two.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap()).to_be_bytes()
}

pub(crate) fn text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

pub(crate) fn parse(text: &str) -> Mac {
    let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}
