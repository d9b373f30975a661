//! Traffic between namespaces: ping, TCP, UDP, and a neighbour that plays the outside world.
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};

use super::{Lab, Netns, PINS, command};

/// How long a conversation may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The address of the outside world, and the host's on the link to it.
pub const OUTSIDE: [&str; 2] = ["203.0.113.2", "2001:db8:ffff::2"];
/// The host's own addresses on the link to the outside.
pub const HOST_OUTSIDE: [&str; 2] = ["203.0.113.1", "2001:db8:ffff::1"];

/// Whether `target` answers a ping from inside within five seconds.
pub fn ping(from: &Netns, target: &str) -> bool {
    from.run(|| command::try_run(&format!("ping -n -c 1 -i 0.2 -w 5 {target}")).is_ok())
}

/// Whether `target` stays silent for a second of pings.
pub fn no_ping(from: &Netns, target: &str) -> bool {
    from.run(|| command::try_run(&format!("ping -n -c 3 -i 0.2 -w 1 {target}")).is_err())
}

/// A TCP conversation from `client` to the address `to` of `server`: the address that the server saw.
pub fn tcp(client: &Netns, server: &Netns, to: &str) -> std::io::Result<IpAddr> {
    let to: IpAddr = to.parse().expect("an address");
    exchange(client, server, move |ready| serve_tcp((to, 0).into(), &ready), ask_tcp)
}

/// The same through a translation: the client speaks to `to`, where the host is to hand it on to `listen` of `server`.
pub fn tcp_translated(client: &Netns, to: &str, server: &Netns, listen: &str) -> std::io::Result<IpAddr> {
    let listen: SocketAddr = listen.parse().expect("an address with a port");
    let to: SocketAddr = to.parse().expect("an address with a port");
    exchange(client, server, move |ready| serve_tcp(listen, &ready), move |_| ask_tcp(to))
}

/// The same with one UDP datagram each way.
pub fn udp(client: &Netns, server: &Netns, to: &str) -> std::io::Result<IpAddr> {
    let to: IpAddr = to.parse().expect("an address");
    exchange(client, server, move |ready| serve_udp((to, 0).into(), &ready), ask_udp)
}

/// One UDP datagram each way through a translation, as [`tcp_translated`].
pub fn udp_translated(client: &Netns, to: &str, server: &Netns, listen: &str) -> std::io::Result<IpAddr> {
    let listen: SocketAddr = listen.parse().expect("an address with a port");
    let to: SocketAddr = to.parse().expect("an address with a port");
    exchange(client, server, move |ready| serve_udp(listen, &ready), move |_| ask_udp(to))
}

/// The same as [`tcp_translated`] with SCTP; `Ok(None)` where the kernel has no such sockets.
pub fn sctp_translated(
    client: &Netns,
    to: &str,
    server: &Netns,
    listen: &str,
) -> std::io::Result<Option<IpAddr>> {
    if client.run(|| sctp_socket(to)).is_err() {
        return Ok(None);
    }
    let listener = server.run(|| -> std::io::Result<TcpListener> {
        let socket = sctp_socket(listen)?;
        rustix::net::bind(&socket, &listen.parse::<SocketAddr>().expect("an address with a port"))?;
        rustix::net::listen(&socket, 1)?;
        Ok(socket.into())
    })?;
    let ask = |_| {
        let socket = sctp_socket(to)?;
        rustix::net::connect(&socket, &to.parse::<SocketAddr>().expect("an address with a port"))?;
        echo(socket.into())
    };
    exchange(client, server, move |ready| accept(&listener, &ready), ask).map(Some)
}

/// A socket that behaves as one of TCP does.
fn sctp_socket(address: &str) -> std::io::Result<OwnedFd> {
    let v6 = address.starts_with('[');
    let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
    Ok(rustix::net::socket(family, SocketType::STREAM, Some(rustix::net::ipproto::SCTP))?)
}

/// What becomes of a connection, after one repeated attempt where nobody answers the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is open.
    Opened,
    /// Somebody refused it at once.
    Refused,
    /// Nobody answered.
    Silence,
}

/// Opens a TCP connection to `to` while `server` accepts connections at `listen`: whether it is led there.
pub fn knock(client: &Netns, to: &str, server: &Netns, listen: &str) -> Answer {
    let to: SocketAddr = to.parse().expect("an address with a port");
    let _open = server.run(|| TcpListener::bind(listen)).expect("listen");
    match client.run(|| TcpStream::connect_timeout(&to, Duration::from_millis(2500))) {
        Ok(_) => Answer::Opened,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Answer::Refused,
        Err(error) if error.kind() == ErrorKind::TimedOut => Answer::Silence,
        Err(error) => panic!("connect to {to}: {error}"),
    }
}

fn exchange(
    client: &Netns,
    server: &Netns,
    serve: impl FnOnce(mpsc::Sender<SocketAddr>) -> std::io::Result<IpAddr> + Send,
    ask: impl FnOnce(SocketAddr) -> std::io::Result<()> + Send,
) -> std::io::Result<IpAddr> {
    std::thread::scope(|scope| {
        let (ready, address) = mpsc::channel();
        let seen = scope.spawn(move || server.run(|| serve(ready)));
        let asked = match address.recv() {
            Ok(address) => client.run(|| ask(address)),
            Err(_) => Ok(()),
        };
        let seen = seen.join().expect("the server's thread");
        asked.and(seen)
    })
}

fn serve_tcp(to: SocketAddr, ready: &mpsc::Sender<SocketAddr>) -> std::io::Result<IpAddr> {
    accept(&TcpListener::bind(to)?, ready)
}

/// One conversation of a server.
fn accept(listener: &TcpListener, ready: &mpsc::Sender<SocketAddr>) -> std::io::Result<IpAddr> {
    listener.set_nonblocking(true)?;
    ready.send(listener.local_addr()?).ok();
    let end = Instant::now() + PATIENCE;
    let (mut stream, peer) = loop {
        match listener.accept() {
            Err(e) if e.kind() == ErrorKind::WouldBlock && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(2));
            }
            other => break other?,
        }
    };
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut word = [0; 4];
    stream.read_exact(&mut word)?;
    stream.write_all(&word)?;
    Ok(peer.ip())
}

fn ask_tcp(address: SocketAddr) -> std::io::Result<()> {
    echo(TcpStream::connect_timeout(&address, PATIENCE)?)
}

/// One conversation of a client.
fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"echo")?;
    let mut word = [0; 4];
    stream.read_exact(&mut word)?;
    assert_eq!(&word, b"echo");
    Ok(())
}

fn serve_udp(to: SocketAddr, ready: &mpsc::Sender<SocketAddr>) -> std::io::Result<IpAddr> {
    let socket = UdpSocket::bind(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    ready.send(socket.local_addr()?).ok();
    let mut word = [0; 4];
    let (_, peer) = socket.recv_from(&mut word)?;
    socket.send_to(&word, peer)?;
    Ok(peer.ip())
}

fn ask_udp(address: SocketAddr) -> std::io::Result<()> {
    let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(b"echo", address)?;
    let mut word = [0; 4];
    socket.recv_from(&mut word)?;
    Ok(())
}

/// What a web server that runs there already says; nothing where it cannot be reached.
pub fn http(client: &Netns, to: &str) -> String {
    let to: SocketAddr = to.parse().expect("an address with a port");
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_millis(2500))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    client.run(ask).unwrap_or_default()
}

/// A namespace that plays the outside: linked to the host, without any route to the containers.
pub fn outside(lab: &Lab) -> Netns {
    let outside = Netns::create(&Path::new(PINS).join("outside"));
    command::run("ip link add uplink type veth peer name eth0 netns outside");
    for (v4, v6, dev, place) in
        [(HOST_OUTSIDE[0], HOST_OUTSIDE[1], "uplink", lab.host()), (OUTSIDE[0], OUTSIDE[1], "eth0", &outside)]
    {
        place.sh(&format!("ip address add {v4}/24 dev {dev}"));
        place.sh(&format!("ip address add {v6}/64 dev {dev} nodad"));
        place.sh(&format!("ip link set {dev} up"));
    }
    outside
}
