//! The floor of the benchmark: the kernel result of a plugin by netlink alone, without JSON, leases or checks.
//!
//! Everything comes from the command line, and each command sends what a plugin cannot do without:
//! `add HOST MASTER NETNS IFNAME ADDRESS/LENGTH GATEWAY`, `check HOST NETNS IFNAME`, `del NETNS IFNAME` (waits for
//! the kernel's answer), `del-notified NETNS IFNAME` (returns on the notification that the link is gone), and for
//! a lease alone `lease-add|lease-check|lease-del DIRECTORY ADDRESS OWNER`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

#[path = "bench/route.rs"]
mod route;

use route::{Route, Veth};

/// Flags of files that only this process sees.
const PRIVATE: Mode = Mode::from_raw_mode(0o600);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match obey(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor {}: {error}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn obey(words: &[&str]) -> io::Result<()> {
    match *words {
        ["add", host, master, netns, ifname, address, gateway] => {
            add(&Veth { host, ifname }, master, netns, address, gateway)
        }
        ["check", host, netns, ifname] => check(host, netns, ifname),
        ["del", netns, ifname] => del(netns, ifname),
        ["del-notified", netns, ifname] => del_notified(netns, ifname),
        ["lease-add", directory, address, owner] => lease_add(directory, address, owner),
        ["lease-check", directory, address, _] => {
            rustix::fs::stat(lease(directory, address)).map(drop).map_err(Into::into)
        }
        ["lease-del", directory, address, _] => std::fs::remove_file(lease(directory, address)),
        _ => Err(io::Error::other("no such command")),
    }
}

fn add(veth: &Veth<'_>, master: &str, netns: &str, address: &str, gateway: &str) -> io::Result<()> {
    let netns = File::open(netns)?;
    let mut host = Route::open(0)?;
    let master = host.index_of(master)?;
    host.request(&[route::create(veth, master, &netns)])?;
    let mut inside = open_in(&netns, 0)?;
    let index = inside.index_of(veth.ifname)?;
    inside.request(&[
        route::address(index, address)?,
        route::up_and_announce(index),
        route::default_route(index, gateway)?,
    ])
}

fn check(host: &str, netns: &str, ifname: &str) -> io::Result<()> {
    Route::open(0)?.index_of(host)?;
    let mut inside = open_in(&File::open(netns)?, 0)?;
    let index = inside.index_of(ifname)?;
    inside.dump_addresses(index)
}

fn del(netns: &str, ifname: &str) -> io::Result<()> {
    let mut inside = open_in(&File::open(netns)?, 0)?;
    let index = inside.index_of(ifname)?;
    inside.request(&[route::removal(index)])
}

/// The link is notified as gone long before the request is answered; a second process sits that wait out, because a
/// thread would keep this one from being reaped.
fn del_notified(netns: &str, ifname: &str) -> io::Result<()> {
    let mut inside = open_in(&File::open(netns)?, route::LINK_GROUP)?;
    let index = inside.index_of(ifname)?;
    let (helper, removal) = (Route::open(0)?, route::removal(index));
    // The kernel does the work, and waits, within the sending call: nobody has to read its answer.
    let send = || drop(helper.send(removal.as_bytes()));
    kernel::detach::detached(&[helper.as_fd()], send).map_err(io::Error::other)?;
    inside.await_removal(index)
}

/// A route socket in that namespace; the process stays there, since it has nothing left to do outside.
fn open_in(netns: &File, groups: u32) -> io::Result<Route> {
    move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
    Route::open(groups)
}

fn lease(directory: &str, address: &str) -> String {
    format!("{directory}/{address}")
}

/// Whole or not at all: the file gets its name when it has its content.
fn lease_add(directory: &str, address: &str, owner: &str) -> io::Result<()> {
    let file = rustix::fs::open(directory, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, PRIVATE)?;
    rustix::io::write(&file, format!("{owner}\r\neth0").as_bytes())?;
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, unnamed, CWD, lease(directory, address), AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}
