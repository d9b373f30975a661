//! A packet socket: sends frames as they are, and sees all that arrive.
#![allow(unsafe_code, reason = "std has no packet sockets; each block tells why it holds")]

use super::frames::Frame;
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

pub(crate) struct Wire(OwnedFd);

impl Wire {
    /// Opens the link of this name in the namespace of the calling thread.
    pub(crate) fn open(link: &str) -> Wire {
        let all = u16::try_from(libc::ETH_P_ALL).unwrap().to_be();
        let name = CString::new(link).unwrap();
        // SAFETY: plain system calls; the descriptor is new and owned by nobody else, the address is whole and of
        // the length that is given.
        unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(all));
            assert!(fd >= 0, "packet socket: {}", std::io::Error::last_os_error());
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
            address.sll_protocol = all;
            address.sll_ifindex = i32::try_from(libc::if_nametoindex(name.as_ptr())).unwrap();
            let length = u32::try_from(size_of_val(&address)).unwrap();
            assert_eq!(libc::bind(fd, (&raw const address).cast(), length), 0, "bind to {link}");
            Wire(OwnedFd::from_raw_fd(fd))
        }
    }

    pub(crate) fn send(&self, frame: &Frame) {
        let bytes = frame.bytes();
        // SAFETY: the kernel reads as many bytes as the slice has.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        assert_eq!(usize::try_from(sent).ok(), Some(bytes.len()), "{}", std::io::Error::last_os_error());
    }

    /// What arrived until nothing came for a while.
    pub(crate) fn everything(&self) -> Vec<Vec<u8>> {
        let (mut seen, mut last) = (Vec::new(), Instant::now());
        while last.elapsed() < Duration::from_millis(200) {
            let mut bytes = [0u8; 4096];
            // SAFETY: the kernel writes at most as many bytes as the array has.
            let got = unsafe {
                libc::recv(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT)
            };
            match usize::try_from(got) {
                Ok(length) => {
                    seen.push(bytes[..length].to_vec());
                    last = Instant::now();
                }
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        seen
    }
}
