//! The route socket: requests with their acknowledgements, batches, look-ups and dumps.

use crate::error::{Error, Result};
use crate::netlink::{self, DUMP_INTERRUPTED, Message, Outcome};
use crate::netns::NetNs;
use crate::socket::{Protocol, Socket};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

/// How often a list that changes while it is read is read again.
const DUMP_ATTEMPTS: usize = 32;
/// Acknowledgements wait in the socket's buffer until the whole datagram is handled; so many fit for certain.
const MESSAGES_AT_ONCE: usize = 64;

/// A message, with the words for its error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    op: &'static str,
    object: String,
    message: Message,
}

impl Request {
    /// `op` and `object` read as in [`Error`]: `add address`, `10.1.0.2/24 on eth0`.
    pub fn new(op: &'static str, object: impl Into<String>, message: Message) -> Request {
        Request { op, object: object.into(), message }
    }

    /// The bytes that will be sent, but for their sequence number.
    pub fn as_bytes(&self) -> &[u8] {
        self.message.as_bytes()
    }

    /// Asks the kernel to send back what it made of this request, for [`Rtnl::batch_echoed`].
    #[must_use]
    pub fn echoed(self) -> Request {
        Request { message: self.message.or_flags(netlink::ECHO), ..self }
    }

    fn refused(&self, errno: Errno) -> Error {
        Error::new(self.op, self.object.as_str(), errno)
    }

    /// Gives the message its sequence number, where it is not the socket that sends it.
    pub(crate) fn stamp(&mut self, sequence: u32) {
        self.message.stamp(sequence);
    }

    /// The outcome as a result, in this request's words.
    pub(crate) fn judge(&self, outcome: Outcome) -> Result<()> {
        match outcome.errno {
            None => Ok(()),
            Some(errno) => Err(self.refused(errno).with_note(outcome.note)),
        }
    }
}

/// A route socket. It acts in the namespace where it was opened, wherever the caller is.
#[derive(Debug)]
pub struct Rtnl {
    socket: Socket,
    out: Vec<u8>,
}

impl Rtnl {
    /// Opens a route socket in the calling thread's namespace.
    ///
    /// # Errors
    /// As [`Socket::open`].
    pub fn open() -> Result<Rtnl> {
        Ok(Rtnl { socket: Socket::open(Protocol::Route)?, out: Vec::new() })
    }

    /// Opens a route socket in another namespace.
    ///
    /// # Errors
    /// As [`Socket::open_in`].
    pub fn open_in(netns: &NetNs) -> Result<Rtnl> {
        Ok(Rtnl { socket: Socket::open_in(netns, Protocol::Route)?, out: Vec::new() })
    }

    /// Speaks over a socket of another family whose requests, lists and acknowledgements are alike.
    pub(crate) fn over(socket: Socket) -> Rtnl {
        Rtnl { socket, out: Vec::new() }
    }

    /// Sends one request, which asks for an acknowledgement, and reads it.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn request(&mut self, request: Request) -> Result<()> {
        self.batch(vec![request])
    }

    /// Sends several requests at once and reads all acknowledgements. The kernel carries them out in order
    /// and, after one that failed, carries on: what the others did stays done.
    ///
    /// # Errors
    /// The first request that the kernel refused.
    pub fn batch(&mut self, mut requests: Vec<Request>) -> Result<()> {
        requests.chunks_mut(MESSAGES_AT_ONCE).try_for_each(|chunk| self.batch_once(chunk, |_| {}))
    }

    /// As [`Rtnl::batch`], for at most 64 requests; `read` gets the payload of what the kernel echoes of
    /// those that are [`Request::echoed`]. Kernels before 6.2 echo nothing of a new link, so the caller must
    /// be able to ask instead.
    ///
    /// # Errors
    /// The first request that the kernel refused; `E2BIG` for too many.
    pub fn batch_echoed<T>(
        &mut self,
        mut requests: Vec<Request>,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>> {
        if let Some(surplus) = requests.get(MESSAGES_AT_ONCE) {
            return Err(surplus.refused(Errno::TOOBIG));
        }
        let mut echo = None;
        self.batch_once(&mut requests, |payload| echo = echo.take().or_else(|| read(payload)))?;
        Ok(echo)
    }

    fn batch_once(&mut self, requests: &mut [Request], mut echo: impl FnMut(&[u8])) -> Result<()> {
        let mut outcomes: Vec<(u32, Option<Outcome>)> = Vec::with_capacity(requests.len());
        self.out.clear();
        for request in requests.iter_mut() {
            let sequence = self.socket.next_sequence();
            request.message.stamp(sequence);
            self.out.extend_from_slice(request.message.as_bytes());
            outcomes.push((sequence, None));
        }
        let Some(first) = requests.first() else { return Ok(()) };
        self.socket.send(&self.out).map_err(|errno| first.refused(errno))?;
        while outcomes.iter().any(|(_, outcome)| outcome.is_none()) {
            let datagram = self.socket.receive().map_err(|errno| first.refused(errno))?;
            note_outcomes(datagram, &mut outcomes, &mut echo);
        }
        let judged = requests.iter().zip(outcomes);
        judged
            .filter_map(|(request, (_, outcome))| Some((request, outcome?)))
            .try_for_each(|(r, o)| r.judge(o))
    }

    /// Sends a request for one thing and reads it: `read` gets the payload of the reply.
    ///
    /// # Errors
    /// What the kernel refused: `ENODEV` or `ENOENT` where there is no such thing.
    pub fn query<T>(&mut self, mut request: Request, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T> {
        let sequence = self.send_one(&mut request)?;
        loop {
            let datagram = self.socket.receive().map_err(|errno| request.refused(errno))?;
            let Some(reply) = netlink::replies(datagram).find(|reply| reply.sequence == sequence) else {
                continue;
            };
            let Some(outcome) = reply.outcome() else {
                return read(reply.payload).ok_or_else(|| request.refused(Errno::BADMSG));
            };
            request.judge(outcome)?;
            return Err(request.refused(Errno::NODATA));
        }
    }

    /// Sends a request for a list and reads all of it: `read` gets the payload of each message and skips by
    /// `None`.
    ///
    /// # Errors
    /// What the kernel refused; `EAGAIN` when the list changed under each of many attempts.
    pub fn dump<T>(
        &mut self,
        mut request: Request,
        mut read: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut found = Vec::new();
            let whole = self.dump_once(&mut request, |payload| found.extend(read(payload)))?;
            if whole {
                return Ok(found);
            }
        }
        Err(request.refused(Errno::AGAIN))
    }

    /// `false` when the list changed meanwhile. It is read to its end all the same: the socket can do one
    /// dump at a time.
    fn dump_once(&mut self, request: &mut Request, mut each: impl FnMut(&[u8])) -> Result<bool> {
        let sequence = self.send_one(request)?;
        let mut whole = true;
        loop {
            let datagram = self.socket.receive().map_err(|errno| request.refused(errno))?;
            for reply in netlink::replies(datagram).filter(|reply| reply.sequence == sequence) {
                whole &= reply.flags & DUMP_INTERRUPTED == 0;
                let Some(outcome) = reply.outcome() else {
                    each(reply.payload);
                    continue;
                };
                return request.judge(outcome).map(|()| whole);
            }
        }
    }

    fn send_one(&mut self, request: &mut Request) -> Result<u32> {
        let sequence = self.socket.next_sequence();
        request.message.stamp(sequence);
        self.socket.send(request.as_bytes()).map_err(|errno| request.refused(errno))?;
        Ok(sequence)
    }

    /// The socket below, for what is neither request nor list.
    pub(crate) fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }
}

impl AsFd for Rtnl {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Acknowledgements come one to a datagram, in order; but it is the sequence number that counts.
/// Anything else under one of these numbers is an echo.
fn note_outcomes(datagram: &[u8], outcomes: &mut [(u32, Option<Outcome>)], echo: &mut impl FnMut(&[u8])) {
    for reply in netlink::replies(datagram) {
        let slot = outcomes.iter_mut().find(|(sequence, _)| *sequence == reply.sequence);
        match (slot, reply.outcome()) {
            (Some((_, slot)), Some(outcome)) => *slot = Some(outcome),
            (Some(_), None) => echo(reply.payload),
            (None, _) => {}
        }
    }
}
