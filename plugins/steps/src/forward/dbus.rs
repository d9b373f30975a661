//! As much of D-Bus as a method call with text arguments on the system bus needs (D-Bus Specification 0.43).
//!
//! A connection authenticates as its user (SASL EXTERNAL), says Hello, and has one call under way at a time. All
//! messages are little-endian, which the sender chooses; a bus passes on what others sent as they sent it.

mod wire;

use spec::error::{Error, Result};
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use wire::{
    ERROR, FIELD_DESTINATION, FIELD_INTERFACE, FIELD_MEMBER, FIELD_PATH, METHOD_RETURN, Message, Reader,
    message,
};

const SOCKET: &str = "/run/dbus/system_bus_socket";
/// How long one call may take. firewalld rewrites rules within some ten milliseconds, but may be busy starting.
const LIMIT: Duration = Duration::from_secs(10);
/// The largest message that is read; answers have a few hundred bytes.
const LARGEST: usize = 1 << 20;

const BUS: (&str, &str) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");

/// A connection to the system bus.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    deadline: Instant,
    /// What was read and not yet taken.
    came: Vec<u8>,
}

/// What a call came back with.
#[derive(Debug)]
pub(super) struct Body(Vec<u8>);

/// Why a call did not work: the other side's error, or the connection's.
#[derive(Debug)]
pub(super) struct Failure {
    name: String,
    text: String,
}

impl Bus {
    /// Connects, authenticates and says Hello.
    ///
    /// # Errors
    /// There is no bus, or it does not take us.
    pub(super) fn connect() -> Result<Bus> {
        Bus::connect_if_there()?.ok_or_else(|| {
            Error::internal(
                "connect to the system bus: there is none; start it and firewalld, or choose another backend",
            )
        })
    }

    /// The same; `None` where there is no bus.
    ///
    /// # Errors
    /// It does not take us.
    pub(super) fn connect_if_there() -> Result<Option<Bus>> {
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_default();
        let path =
            address.split([';', ',']).find_map(|part| part.strip_prefix("unix:path=")).unwrap_or(SOCKET);
        let failed = |cause: &dyn fmt::Display| {
            Error::internal(format!("connect to the system bus at {path}: {cause}"))
        };
        let stream = match UnixStream::connect(path) {
            Err(error) if is_no_bus(&error) => return Ok(None),
            stream => stream.map_err(|error| failed(&error))?,
        };
        let mut bus = Bus { stream, serial: 0, deadline: Instant::now() + LIMIT, came: Vec::new() };
        bus.authenticate().map_err(|error| failed(&error))?;
        bus.call(BUS.0, BUS.1, BUS.0, "Hello", &[]).map_err(|failure| failed(&failure))?;
        Ok(Some(bus))
    }

    /// Whether somebody has this name.
    pub(super) fn has_owner(&mut self, name: &str) -> std::result::Result<bool, Failure> {
        self.call(BUS.0, BUS.1, BUS.0, "NameHasOwner", &[name]).map(|body| body.boolean())
    }

    /// Calls a method with text arguments and waits for its answer.
    pub(super) fn call(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        member: &str,
        arguments: &[&str],
    ) -> std::result::Result<Body, Failure> {
        self.serial += 1;
        self.deadline = Instant::now() + LIMIT;
        let serial = self.serial;
        let fields = [
            (FIELD_PATH, b'o', path),
            (FIELD_DESTINATION, b's', destination),
            (FIELD_INTERFACE, b's', interface),
            (FIELD_MEMBER, b's', member),
        ];
        self.stream.write_all(&message(serial, &fields, arguments))?;
        loop {
            let answer = self.receive()?;
            if answer.reply_to != Some(serial) {
                continue;
            }
            return match answer.kind {
                METHOD_RETURN => Ok(Body(answer.body)),
                ERROR => {
                    let text = Reader::new(&answer.body).text().unwrap_or_default();
                    Err(Failure { name: answer.error_name, text })
                }
                _ => continue,
            };
        }
    }

    /// Without a name the bus takes the user that the kernel says is at the other end. All is said at once; it
    /// asks for the name all the same (`DATA`) before it agrees.
    fn authenticate(&mut self) -> std::io::Result<()> {
        self.stream.set_write_timeout(Some(LIMIT))?;
        self.stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        let mut answer = self.line()?;
        if answer == "DATA" {
            answer = self.line()?;
        }
        match answer.starts_with("OK ") {
            true => Ok(()),
            false => Err(std::io::Error::other(format!("authentication was refused: {answer}"))),
        }
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.fill(&mut byte)?;
            line.extend(byte);
            if line.len() > 1024 {
                return Err(std::io::Error::other("an endless line"));
            }
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn receive(&mut self) -> std::io::Result<Message> {
        let broken = || std::io::Error::other("a message that is none of D-Bus");
        let mut head = [0; 16];
        self.fill(&mut head)?;
        let number = |at: usize| {
            let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            let number = if head[0] == b'l' { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
            usize::try_from(number).unwrap_or(usize::MAX)
        };
        let (fields, body) = (number(12), number(4));
        if fields > LARGEST || body > LARGEST {
            return Err(broken());
        }
        let mut rest = vec![0; fields.next_multiple_of(8) + body];
        self.fill(&mut rest)?;
        // Signals and answers that somebody else sent in the other byte order are not for us.
        if head[0] != b'l' {
            return Ok(Message::default());
        }
        Message::read(head[1], &rest[..fields], rest[fields.next_multiple_of(8)..].to_vec())
            .ok_or_else(broken)
    }

    /// Takes so many bytes of what came, and waits for them until the deadline.
    fn fill(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        while self.came.len() < bytes.len() {
            self.read_more()?;
        }
        let rest = self.came.split_off(bytes.len());
        bytes.copy_from_slice(&self.came);
        self.came = rest;
        Ok(())
    }

    fn read_more(&mut self) -> std::io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::Error::other(format!("no answer within {} s", LIMIT.as_secs())));
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut some = [0; 4096];
        match self.stream.read(&mut some) {
            Ok(0) => Err(std::io::Error::other("the bus closed the connection")),
            Ok(length) => {
                self.came.extend_from_slice(&some[..length]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Body {
    /// The answer that is one boolean; anything else is no.
    pub(super) fn boolean(&self) -> bool {
        self.0 == 1u32.to_le_bytes()
    }
}

impl Failure {
    /// Whether the error's name or text has this word.
    pub(super) fn mentions(&self, word: &str) -> bool {
        self.name.contains(word) || self.text.contains(word)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure { name: String::new(), text: error.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.text.as_str()) {
            ("", text) => f.write_str(text),
            (name, "") => f.write_str(name),
            (_, text) => f.write_str(text),
        }
    }
}

/// Forgives ENOENT and ECONNREFUSED: no bus was started, or it has ended and left its socket.
fn is_no_bus(error: &std::io::Error) -> bool {
    [ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&error.kind())
}
