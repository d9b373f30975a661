//! How fast data comes through: what an interface of the receiver counts in each second while somebody sends as much as
//! they can. (What the receiving program gets is no measure of a second: one lost packet holds back all that follows.)
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::Netns;

/// What is sent at once.
const PIECE: usize = 16 << 10;
/// Payload of a datagram that fits into an Ethernet frame with either family.
const DATAGRAM: usize = 1400;
/// How long a conversation may take to begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// The receiver's side of a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Receiver<'a> {
    /// Where it is.
    pub netns: &'a Netns,
    /// Its address.
    pub address: &'a str,
    /// The interface by which it receives.
    pub interface: &'a str,
}

/// Bits that the interface counted in each second of a TCP stream.
pub fn tcp(from: &Netns, to: Receiver<'_>, seconds: u64) -> Vec<u64> {
    let listener = to.netns.run(|| TcpListener::bind((to.ip(), 0)).expect("listen"));
    let target = listener.local_addr().expect("the listener's address");
    std::thread::scope(|scope| {
        scope.spawn(move || from.run(|| send_tcp(target, Instant::now() + Duration::from_secs(seconds + 1))));
        let (mut stream, _) = listener.accept().expect("accept");
        scope.spawn(move || while stream.read(&mut [0; 64 << 10]).is_ok_and(|read| read > 0) {});
        to.netns.run(|| count(to.interface, seconds))
    })
}

fn send_tcp(target: SocketAddr, end: Instant) {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE).expect("connect to the receiver");
    while Instant::now() < end && stream.write_all(&[0; PIECE]).is_ok() {}
}

/// The same of UDP datagrams that are sent at this rate, in bits a second.
pub fn udp(from: &Netns, to: Receiver<'_>, offered: u64, seconds: u64) -> Vec<u64> {
    let socket = to.netns.run(|| UdpSocket::bind((to.ip(), 0)).expect("bind"));
    let target = socket.local_addr().expect("the receiver's address");
    std::thread::scope(|scope| {
        scope.spawn(move || from.run(|| send_udp(target, offered, Duration::from_secs(seconds + 1))));
        to.netns.run(|| count(to.interface, seconds))
    })
}

fn send_udp(target: SocketAddr, offered: u64, time: Duration) {
    let any: IpAddr = if target.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).expect("bind");
    let begin = Instant::now();
    let mut sent = 0;
    while begin.elapsed() < time {
        let due = u128::from(offered) * begin.elapsed().as_micros() / 8_000_000;
        while sent < due {
            // A full queue drops, as it should.
            socket.send_to(&[0; DATAGRAM], target).ok();
            sent += DATAGRAM as u128;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Receiver<'_> {
    fn ip(&self) -> IpAddr {
        self.address.parse().expect("an address")
    }
}

/// Runs in the receiver's namespace.
fn count(interface: &str, seconds: u64) -> Vec<u64> {
    let begin = Instant::now();
    let mut before = received(interface);
    let second = |nth: u64| {
        std::thread::sleep((begin + Duration::from_secs(nth)).saturating_duration_since(Instant::now()));
        let now = received(interface);
        let bits = (now - before) * 8;
        before = now;
        bits
    };
    (1..=seconds).map(second).collect()
}

fn received(interface: &str) -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").expect("read the counters");
    let line = table.lines().find_map(|line| line.trim().strip_prefix(&format!("{interface}:")));
    let bytes = line.and_then(|line| line.split_whitespace().next()).expect("the interface's counters");
    bytes.parse().expect("a number of bytes")
}
