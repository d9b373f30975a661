//! A netlink socket: bytes out, datagrams in. What they mean is said elsewhere (`rtnl.rs`, `nft.rs`).

use crate::error::{Result, Tried};
use crate::netns::NetNs;
use crate::sys;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// The kernel fills at most 32 KiB into one datagram of a dump (`netlink_dump`).
const DATAGRAM: usize = 32 * 1024;

const SOL_NETLINK: i32 = 270;
const ADD_MEMBERSHIP: i32 = 1;
const DROP_MEMBERSHIP: i32 = 2;
const CAP_ACK: i32 = 10;
const EXT_ACK: i32 = 11;
const GET_STRICT_CHK: i32 = 12;

/// The part of the kernel at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes: `NETLINK_ROUTE`.
    Route,
    /// nf_tables and conntrack: `NETLINK_NETFILTER`.
    Netfilter,
}

/// An open socket with its receive buffer and the number of the last request.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace. Acknowledgements are short and carry the
    /// kernel's words; dumps of the route family are checked strictly.
    ///
    /// # Errors
    /// The kernel has no such family, or the process no descriptor left.
    pub fn open(protocol: Protocol) -> Result<Socket> {
        let fd = open_fd(protocol).tried("open", "netlink socket")?;
        Ok(Socket { fd, buffer: Vec::with_capacity(DATAGRAM), sequence: 0 })
    }

    /// Opens a socket in another network namespace; it stays there wherever it is used from.
    ///
    /// # Errors
    /// As [`Socket::open`]; or the namespace cannot be entered.
    pub fn open_in(netns: &NetNs, protocol: Protocol) -> Result<Socket> {
        netns.run(|| Socket::open(protocol))?
    }

    /// The number for the next request.
    pub fn next_sequence(&mut self) -> u32 {
        // Zero is what the kernel's own notifications carry.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        self.sequence
    }

    /// Sends one datagram of one or more messages. The kernel handles them all before this returns.
    ///
    /// # Errors
    /// The bare errno; the caller knows what was tried.
    pub fn send(&self, messages: &[u8]) -> rustix::io::Result<()> {
        rustix::net::send(&self.fd, messages, SendFlags::empty()).map(drop)
    }

    /// Waits for the next datagram. The slice is valid until the next call.
    ///
    /// # Errors
    /// The bare errno: `ENOBUFS` when messages were lost, `EMSGSIZE` when one did not fit.
    pub fn receive(&mut self) -> rustix::io::Result<&[u8]> {
        self.receive_with(RecvFlags::empty())
    }

    /// The next datagram, or `EAGAIN` when there is none yet.
    ///
    /// # Errors
    /// As [`Socket::receive`].
    pub fn receive_now(&mut self) -> rustix::io::Result<&[u8]> {
        self.receive_with(RecvFlags::DONTWAIT)
    }

    fn receive_with(&mut self, flags: RecvFlags) -> rustix::io::Result<&[u8]> {
        self.buffer.clear();
        let length = rustix::io::retry_on_intr(|| {
            let spare = rustix::buffer::spare_capacity(&mut self.buffer);
            rustix::net::recv(&self.fd, spare, flags | RecvFlags::TRUNC).map(|(_, length)| length)
        })?;
        if length > self.buffer.len() {
            return Err(Errno::MSGSIZE);
        }
        Ok(&self.buffer)
    }

    /// Joins a multicast group (`RTNLGRP_*`) of the namespace that the socket was opened in.
    ///
    /// # Errors
    /// The kernel refuses the group.
    pub fn join(&self, group: i32) -> Result<()> {
        self.take_port()
            .and_then(|()| self.membership(ADD_MEMBERSHIP, group))
            .tried("join", format_args!("netlink group {group}"))
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn leave(&self, group: i32) -> Result<()> {
        self.membership(DROP_MEMBERSHIP, group).tried("leave", format_args!("netlink group {group}"))
    }

    /// A socket without a port is passed over by the kernel's multicast, member or not.
    fn take_port(&self) -> rustix::io::Result<()> {
        match rustix::net::bind(&self.fd, &rustix::net::netlink::SocketAddrNetlink::new(0, 0)) {
            // It has one since its first send.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn membership(&self, option: i32, group: i32) -> rustix::io::Result<()> {
        sys::set_socket_option(self.fd.as_fd(), SOL_NETLINK, option, group)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// No bind: the first send gives the socket its port.
fn open_fd(protocol: Protocol) -> rustix::io::Result<OwnedFd> {
    let family = match protocol {
        // NETLINK_ROUTE is 0, which rustix spells as no protocol at all.
        Protocol::Route => None,
        Protocol::Netfilter => Some(rustix::net::netlink::NETFILTER),
    };
    let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, family)?;
    for option in [CAP_ACK, EXT_ACK] {
        sys::set_socket_option(fd.as_fd(), SOL_NETLINK, option, 1)?;
    }
    if protocol == Protocol::Route {
        strict(fd.as_fd())?;
    }
    Ok(fd)
}

/// Kernels before 4.20 have no strict checking and filter dumps by nothing; every reader here filters once
/// more.
fn strict(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    match sys::set_socket_option(fd, SOL_NETLINK, GET_STRICT_CHK, 1) {
        Err(Errno::NOPROTOOPT) => Ok(()),
        other => other,
    }
}
