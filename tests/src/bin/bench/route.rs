//! The few route messages that the floor program sends, with a socket to send them on.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use kernel::netlink::{self, Message, NESTED};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

/// `RTMGRP_LINK`: links coming, changing, going.
pub(crate) const LINK_GROUP: u32 = 1;

const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const SETLINK: u16 = 19;
const NEWADDR: u16 = 20;
const GETADDR: u16 = 22;
const NEWROUTE: u16 = 24;

const REQUEST_ACK: u16 = 0x5;
const CREATE_EXCL: u16 = 0x600;
const DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

const IFF_UP: u32 = 1;
const IFLA_IFNAME: u16 = 3;
const AF_INET: u8 = 2;
const ARP_NOTIFY: u16 = 22;

/// A veth pair: one end here, the other in the container.
pub(crate) struct Veth<'a> {
    /// Name of the end that stays on the host.
    pub(crate) host: &'a str,
    /// Name of the end in the container.
    pub(crate) ifname: &'a str,
}

/// One message that makes the pair: host end up and enslaved, the other end born where it belongs.
pub(crate) fn create(veth: &Veth<'_>, master: u32, netns: &File) -> Message {
    let netns = u32::try_from(netns.as_raw_fd()).unwrap_or(u32::MAX);
    let peer = |m: Message| m.body(&link_body(0, 0)).attr_str(IFLA_IFNAME, veth.ifname).attr_u32(28, netns);
    Message::new(NEWLINK, REQUEST_ACK | CREATE_EXCL)
        .body(&link_body(0, IFF_UP))
        .attr_str(IFLA_IFNAME, veth.host)
        .attr_u32(10, master)
        .nest(18 | NESTED, |m| m.attr_str(1, "veth").nest(2 | NESTED, |m| m.nest(1 | NESTED, peer)))
}

/// Link up, and a gratuitous ARP for what it carries.
pub(crate) fn up_and_announce(index: u32) -> Message {
    let conf = |m: Message| m.nest(1 | NESTED, |m| m.attr_u32(ARP_NOTIFY, 1));
    Message::new(SETLINK, REQUEST_ACK)
        .body(&link_body(index, IFF_UP))
        .nest(26 | NESTED, |m| m.nest(u16::from(AF_INET) | NESTED, conf))
}

/// Gives the link its address, written as `10.0.0.2/16`.
pub(crate) fn address(index: u32, address: &str) -> io::Result<Message> {
    let net: ipnet::Ipv4Net = address.parse().map_err(io::Error::other)?;
    let mut body = vec![AF_INET, net.prefix_len(), 0, 0];
    body.extend_from_slice(&index.to_ne_bytes());
    let ip = net.addr().octets();
    Ok(Message::new(NEWADDR, REQUEST_ACK | CREATE_EXCL)
        .body(&body)
        .attr(2, &ip)
        .attr(1, &ip)
        .attr(4, &net.broadcast().octets()))
}

/// The default route.
pub(crate) fn default_route(index: u32, gateway: &str) -> io::Result<Message> {
    let gateway: Ipv4Addr = gateway.parse().map_err(io::Error::other)?;
    // Main table, protocol boot, scope universe, unicast.
    let body = [AF_INET, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    Ok(Message::new(NEWROUTE, REQUEST_ACK | 0x400).body(&body).attr(5, &gateway.octets()).attr_u32(4, index))
}

/// Removes the link, and with it the other end of the pair.
pub(crate) fn removal(index: u32) -> Message {
    Message::new(DELLINK, REQUEST_ACK).body(&link_body(index, 0))
}

fn link_body(index: u32, up: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&up.to_ne_bytes());
    body[12..16].copy_from_slice(&up.to_ne_bytes());
    body
}

/// A route socket.
pub(crate) struct Route {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Route {
    /// Opens the socket in the namespace of the calling thread, subscribed to the groups of this mask.
    pub(crate) fn open(groups: u32) -> io::Result<Route> {
        let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
        // No protocol is protocol 0, which is NETLINK_ROUTE.
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, kind, flags, None)?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_secs(10)))?;
        if groups != 0 {
            rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        }
        Ok(Route { socket, buffer: vec![0; 16 * 1024] })
    }

    /// Sends all messages at once and takes their acknowledgements.
    pub(crate) fn request(&mut self, messages: &[Message]) -> io::Result<()> {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| message.as_bytes()).copied().collect();
        self.send(&bytes)?;
        let mut missing = messages.len();
        while missing > 0 {
            for reply in netlink::replies(self.receive()?).filter(|reply| reply.kind == NLMSG_ERROR) {
                acknowledged(reply.payload)?;
                missing -= 1;
            }
        }
        Ok(())
    }

    /// The index of a link by its name.
    pub(crate) fn index_of(&mut self, name: &str) -> io::Result<u32> {
        let question = Message::new(GETLINK, 1).body(&link_body(0, 0)).attr_str(IFLA_IFNAME, name);
        self.send(question.as_bytes())?;
        let reply = netlink::replies(self.receive()?).next().ok_or(io::ErrorKind::UnexpectedEof)?;
        if reply.kind == NLMSG_ERROR {
            acknowledged(reply.payload)?;
        }
        netlink::u32_at(reply.payload, 4).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Reads the addresses of the namespace, as CHECK has to.
    pub(crate) fn dump_addresses(&mut self, index: u32) -> io::Result<()> {
        let mut body = vec![AF_INET, 0, 0, 0];
        body.extend_from_slice(&index.to_ne_bytes());
        self.send(Message::new(GETADDR, DUMP).body(&body).as_bytes())?;
        while !netlink::replies(self.receive()?).any(|reply| reply.kind == NLMSG_DONE) {}
        Ok(())
    }

    /// Returns when the kernel notifies that the link is gone.
    pub(crate) fn await_removal(&mut self, index: u32) -> io::Result<()> {
        let gone = |reply: netlink::Reply<'_>| {
            reply.kind == DELLINK && netlink::u32_at(reply.payload, 4) == Some(index)
        };
        while !netlink::replies(self.receive()?).any(gone) {}
        Ok(())
    }

    /// Sends bytes without waiting for what the kernel answers.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.socket, bytes, SendFlags::empty(), &kernel)?;
        Ok(())
    }

    fn receive(&mut self) -> io::Result<&[u8]> {
        let (length, _) = rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::empty())?;
        Ok(&self.buffer[..length])
    }
}

impl AsFd for Route {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The error number of an acknowledgement, zero being success.
fn acknowledged(payload: &[u8]) -> io::Result<()> {
    match netlink::u32_at(payload, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}
