//! The namespaces of one case: a host for each peer, and containers.
//!
//! They are pinned on a tmpfs in this process's own mount namespace, so they go when it goes, however it goes.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::mount::{MountFlags, mount};

use super::cases::Work;
use super::measure::Task;
use super::peers::{Peer, Site};
use super::{Result, Tried, flows};

/// Where `ip netns` pins.
const PINS: &str = "/run/netns";

/// Namespaces that timed containers take turns in, for each peer.
const ROTATION: u32 = 8;

/// Where the peers of one case work.
#[derive(Debug)]
pub(super) struct Lab {
    /// One for each peer, in the order of their turns.
    pub(super) sites: Vec<Site>,
}

impl Lab {
    /// Builds everything that exists before the first plugin runs.
    pub(super) fn build(task: &Task) -> Result<Lab> {
        let peers = Peer::of(task.case.work);
        pin_here()?;
        let hosts = peers.iter().map(|peer| host(*peer));
        let rotating = peers.iter().flat_map(|peer| (0..ROTATION).map(|turn| container(*peer, turn)));
        let crowd = (0..task.case.work.crowd(task.case.present)).map(crowded);
        let lines: String =
            hosts.chain(rotating).chain(crowd).map(|name| format!("netns add {name}\n")).collect();
        ip(&[], &lines)?;
        let lab = Lab { sites: peers.iter().map(|peer| site(task, *peer)).collect() };
        lab.sites.iter().try_for_each(|site| furnish(site, task.case.work))?;
        Ok(lab)
    }
}

/// The host's address on the link to its neighbour.
pub(super) const UPLINK: &str = "203.0.113.1";

/// A host with its neighbour and one container, for packets through mappings.
#[derive(Debug)]
pub(super) struct Place {
    /// The host.
    pub(super) site: Site,
    /// Mappings that are to be there.
    pub(super) mappings: u32,
    /// Path of the namespace of the container that packets go to.
    pub(super) container: String,
    /// Path of the namespace that they come from.
    pub(super) neighbour: String,
}

/// A place for each peer and number of mappings, and a crowd of containers for the largest number.
pub(super) fn for_flows(task: &flows::Task, peers: &[Peer]) -> Result<Vec<Place>> {
    pin_here()?;
    let places: Vec<Place> = task
        .mappings
        .iter()
        .flat_map(|mappings| peers.iter().map(|peer| place(task, *peer, *mappings)))
        .collect();
    for place in &places {
        let crowd = (0..Work::Flows.crowd(place.mappings)).map(|n| flows_crowd(place, n));
        let names = [&place.site.host, &place.container, &place.neighbour].into_iter().cloned().chain(crowd);
        let line =
            |path: String| format!("netns add {}\n", path.trim_start_matches(PINS).trim_start_matches('/'));
        ip(&[], &names.map(line).collect::<String>())?;
        link_neighbour(place)?;
    }
    Ok(places)
}

/// The namespace of container number `n` of a place's crowd.
pub(super) fn flows_crowd(place: &Place, n: u32) -> String {
    format!("{}-crowd-{n}", place.container)
}

fn place(task: &flows::Task, peer: Peer, mappings: u32) -> Place {
    let programs = if peer == Peer::Reference { &task.reference } else { &task.ours };
    let name = format!("{}-{mappings}", peer.name());
    let path = |role: &str| format!("{PINS}/{role}-{name}");
    let leases = task.directory.join("flows").join(&name);
    Place {
        site: Site { peer, programs: programs.clone(), host: path("host"), leases },
        mappings,
        container: path("container"),
        neighbour: path("outside"),
    }
}

fn link_neighbour(place: &Place) -> Result<()> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let (host, neighbour) = (name(&place.site.host), name(&place.neighbour));
    let lines = format!(
        "link set lo up\nlink add uplink up type veth peer name eth0 netns {neighbour}\naddr add {UPLINK}/24 dev uplink\n"
    );
    ip(&["-n", &host], &lines)?;
    ip(&["-n", &neighbour], "link set eth0 up\naddr add 203.0.113.2/24 dev eth0\n")
}

/// The namespace of the peer's timed container number `turn`.
pub(super) fn rotating(peer: Peer, turn: u32) -> String {
    format!("{PINS}/{}", container(peer, turn % ROTATION))
}

/// The namespace of container number `n` of the crowd; the peers share it under different interface names.
pub(super) fn crowd(n: u32) -> String {
    format!("{PINS}/{}", crowded(n))
}

fn host(peer: Peer) -> String {
    format!("host-{}", peer.name())
}

fn container(peer: Peer, turn: u32) -> String {
    format!("{}-{turn}", peer.name())
}

fn crowded(n: u32) -> String {
    format!("crowd-{n}")
}

fn site(task: &Task, peer: Peer) -> Site {
    let programs = match peer {
        Peer::Tidewater => &task.ours,
        Peer::Reference => &task.reference,
        Peer::Floor | Peer::FloorNotified => &task.floor,
    };
    Site {
        peer,
        programs: programs.clone(),
        host: format!("{PINS}/{}", host(peer)),
        leases: task.directory.join(&task.case.name).join(peer.name()),
    }
}

/// The floor program makes no bridge and no directory; the plugins make their own.
fn furnish(site: &Site, work: Work) -> Result<()> {
    ip(&["-n", &host(site.peer)], "link set lo up\n")?;
    if !site.peer.is_floor() {
        return Ok(());
    }
    if work == Work::HostLocal {
        return std::fs::create_dir_all(&site.leases).tried(|| format!("make {}", site.leases.display()));
    }
    let (bridge, gateway) = (site.bridge(), site.address(1));
    let lines = format!("link add {bridge} up type bridge\naddr add {gateway}/16 dev {bridge}\n");
    ip(&["-n", &host(site.peer)], &lines)
}

fn pin_here() -> Result<()> {
    // All of /run: records of rules and locks of iptables are the case's own too.
    mount("bench", "/run", "tmpfs", MountFlags::empty(), None)
        .tried(|| "mount a tmpfs on /run".to_owned())?;
    std::fs::create_dir_all(PINS).tried(|| format!("make {PINS}"))
}

fn ip(arguments: &[&str], lines: &str) -> Result<()> {
    let what = || format!("ip {} -batch", arguments.join(" "));
    let mut child =
        Command::new("ip").args(arguments).args(["-batch", "-"]).stdin(Stdio::piped()).spawn().tried(what)?;
    let mut input = child.stdin.take().ok_or("ip without a pipe")?;
    input.write_all(lines.as_bytes()).tried(what)?;
    drop(input);
    let status = child.wait().tried(what)?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", what())) }
}
