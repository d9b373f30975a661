//! Packets through a mapped port: new connections and an established one, with few and with many mappings present.
//!
//! A neighbour sends datagrams to a port of the host that leads to a container. What is timed is the sending: the
//! packet's way through both namespaces is gone inside the system call that sends it. The mapping that is used was
//! made last.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::cases::Work;
use super::jobs::{self, Container};
use super::lab::Place;
use super::measure::FIRST;
use super::peers::{Peer, Verb};
use super::{Result, Tried, lab, launch, tell};

/// Datagrams of one measurement, each the first of its connection.
const NEW: usize = 4000;
/// Datagrams of one measurement on one connection.
const ESTABLISHED: usize = 100_000;
/// The peers in question.
const PEERS: [Peer; 2] = [Peer::Tidewater, Peer::Reference];

/// What the process of this measurement is told on its command line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// Our plugins.
    pub(super) ours: PathBuf,
    /// The reference plugins.
    pub(super) reference: PathBuf,
    /// Where leases may be kept.
    pub(super) directory: PathBuf,
    /// Mappings present, the one that is used included: measured in turn.
    pub(super) mappings: Vec<u32>,
    /// How often each peer is measured.
    pub(super) rounds: u32,
}

/// What one peer's host passes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Flows {
    /// Whose rules the packets pass.
    pub(super) peer: Peer,
    /// Mappings present.
    pub(super) mappings: u32,
    /// First packets of connections in a second, the median of all rounds.
    pub(super) new_per_second: f64,
    /// Packets of one established connection in a second, the median of all rounds.
    pub(super) established_per_second: f64,
}

/// Measures all peers in turn and prints what they pass on as JSON.
pub(super) fn run(task: &str) -> Result<()> {
    let task: Task = serde_json::from_str(task).tried(|| "understand the task".to_owned())?;
    let places = lab::for_flows(&task, &PEERS)?;
    let mut listeners = Vec::new();
    for place in &places {
        publish(place)?;
        listeners.push(listener(place)?);
    }
    let target = target()?;
    let mut new: Vec<Vec<f64>> = vec![Vec::new(); places.len()];
    let mut established = new.clone();
    for _ in 0..=task.rounds {
        for (number, place) in places.iter().enumerate() {
            new[number].push(inside(&place.neighbour, || new_connections(target))?);
            established[number].push(inside(&place.neighbour, || one_connection(target))?);
        }
    }
    let flows = |(number, place): (usize, &Place)| Flows {
        peer: place.site.peer,
        mappings: place.mappings,
        new_per_second: median(&new[number]),
        established_per_second: median(&established[number]),
    };
    let flows: Vec<Flows> = places.iter().enumerate().map(flows).collect();
    tell::result(&serde_json::to_string(&flows).tried(|| "write the figures".to_owned())?);
    Ok(())
}

/// The first round was for the caches.
fn median(figures: &[f64]) -> f64 {
    let mut figures = figures[1..].to_vec();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The crowd with its ports, then one container with one port.
fn publish(place: &Place) -> Result<()> {
    let (site, mappings) = (&place.site, place.mappings);
    tell::progress(&format!("  {mappings} mappings by {}", site.peer.name()));
    let container = |serial, netns| Container { serial, netns, ifname: "eth0".to_owned(), result: None };
    let crowd = (0..Work::Flows.crowd(mappings - 1)).map(|n| container(n + 1, lab::flows_crowd(place, n)));
    for container in crowd.chain([container(FIRST, place.container.clone())]) {
        let job = jobs::job(site, Work::Flows, Verb::Add, &container);
        let ran = inside(&site.host, || launch::run(&job))?;
        if !ran.success {
            return Err(format!("{mappings} mappings by {}: {}", site.peer.name(), ran.output));
        }
    }
    Ok(())
}

/// The mapped port at the host's address on the link to the neighbour.
fn target() -> Result<SocketAddr> {
    format!("{}:{}", lab::UPLINK, jobs::TIMED_PORTS).parse().tried(|| "make an address".to_owned())
}

/// Somebody who listens, and never reads: the kernel drops what does not fit.
fn listener(place: &Place) -> Result<UdpSocket> {
    let port = jobs::CONTAINER_PORT;
    inside(&place.container, || {
        UdpSocket::bind(format!("0.0.0.0:{port}")).tried(|| format!("listen on port {port}"))
    })
}

/// One datagram from each of many sockets.
fn new_connections(target: SocketAddr) -> Result<f64> {
    let open = || -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(target)?;
        Ok(socket)
    };
    let sockets: Vec<UdpSocket> =
        (0..NEW).map(|_| open()).collect::<std::io::Result<_>>().tried(|| "open sockets".to_owned())?;
    let started = Instant::now();
    for socket in &sockets {
        let _ = socket.send(b"flow");
    }
    Ok(rate(NEW, started.elapsed()))
}

/// Many datagrams from one socket.
fn one_connection(target: SocketAddr) -> Result<f64> {
    let what = || "open a socket".to_owned();
    let socket = UdpSocket::bind("0.0.0.0:0").tried(what)?;
    socket.connect(target).tried(what)?;
    let started = Instant::now();
    for _ in 0..ESTABLISHED {
        let _ = socket.send(b"flow");
    }
    Ok(rate(ESTABLISHED, started.elapsed()))
}

fn rate(count: usize, elapsed: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / elapsed.as_secs_f64()
}

/// Runs `work` in a thread of its own in this namespace.
fn inside<T: Send>(netns: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let namespace = File::open(netns).tried(|| format!("open {netns}"))?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .tried(|| format!("enter {netns}"))?;
            work()
        });
        thread.join().unwrap_or_else(|_| Err("a thread died".to_owned()))
    })
}
