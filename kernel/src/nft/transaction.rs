//! Transactions: many requests, one `sendmsg`, all or nothing.

use super::number::{BATCH_BEGIN, BATCH_END, ERROR_TEXT, NLM_F_ACK, NLM_F_ACK_TLVS, NLMSG_ERROR};
use super::request::batch_mark;
use super::{Nft, Request};
use crate::error::{Error, Result};
use crate::netlink::{HEADER, Reply, attribute, replies, text, u16_at};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::sockopt;

/// How often a batch is sent before the answer "once more" is passed on.
const ATTEMPTS: u32 = 8;
/// What fits the send buffer that a socket is born with (`net.core.wmem_default`), with room to spare.
const SMALL: usize = 128 * 1024;

/// Requests that take effect together, in their order, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    requests: Vec<Request>,
}

impl Transaction {
    /// Nothing yet; committing it does nothing.
    pub fn new() -> Transaction {
        Transaction::default()
    }

    /// One more request.
    pub fn push(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The requests, in order.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// The whole datagram. Only the last request asks for an acknowledgement: the kernel goes through all of
    /// them and reports each that fails anyway, and ten thousand acknowledgements would not fit the receive
    /// buffer.
    fn datagram(&self, mut number: impl FnMut() -> u32) -> Vec<u8> {
        let length: usize = self.requests.iter().map(|request| request.as_bytes().len()).sum();
        let mut bytes = Vec::with_capacity(length + 2 * (HEADER + 4));
        append(&mut bytes, batch_mark(BATCH_BEGIN).as_bytes(), number(), 0);
        for (index, request) in self.requests.iter().enumerate() {
            let last = index + 1 == self.requests.len();
            append(&mut bytes, request.as_bytes(), number(), if last { NLM_F_ACK } else { 0 });
        }
        append(&mut bytes, batch_mark(BATCH_END).as_bytes(), number(), 0);
        bytes
    }

    /// The error of the request that the kernel refused; it speaks of the opening mark where the whole is
    /// refused.
    fn error(&self, begin: u32, refusal: Refusal) -> Error {
        let index = refusal.sequence.wrapping_sub(begin).checked_sub(1);
        let request = index.and_then(|index| self.requests.get(usize::try_from(index).ok()?));
        let (op, object) = match request {
            Some(request) => (request.op, request.object.as_str()),
            None => ("commit", "nf_tables transaction"),
        };
        Error::new(op, object, refusal.errno).with_note(refusal.note)
    }
}

impl Extend<Request> for Transaction {
    fn extend<I: IntoIterator<Item = Request>>(&mut self, requests: I) {
        self.requests.extend(requests);
    }
}

impl FromIterator<Request> for Transaction {
    fn from_iter<I: IntoIterator<Item = Request>>(requests: I) -> Transaction {
        Transaction { requests: requests.into_iter().collect() }
    }
}

impl Nft {
    /// Sends the transaction and waits until it is in force.
    ///
    /// # Errors
    /// Of the first request that the kernel refuses: nothing of the transaction is in force then. `EMSGSIZE`
    /// where it is larger than the send buffer may be (`net.core.wmem_max`, unless root of the first user
    /// namespace).
    pub fn commit(&mut self, transaction: &Transaction) -> Result<()> {
        if transaction.is_empty() {
            return Ok(());
        }
        let mut attempt = 1;
        loop {
            match self.try_commit(transaction) {
                Err(error) if once_more(error.errno()) && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    /// A transaction of these requests, committed.
    ///
    /// # Errors
    /// As [`Nft::commit`].
    pub fn apply(&mut self, requests: impl IntoIterator<Item = Request>) -> Result<()> {
        self.commit(&requests.into_iter().collect())
    }

    fn try_commit(&mut self, transaction: &Transaction) -> Result<()> {
        let begin = self.socket.next_sequence();
        let mut next = Some(begin);
        let bytes = transaction.datagram(|| next.take().unwrap_or_else(|| self.socket.next_sequence()));
        let whole = |errno| Error::new("commit", "nf_tables transaction", errno);
        self.make_room(bytes.len()).map_err(whole)?;
        self.socket.send(&bytes).map_err(whole)?;
        let requests = u32::try_from(transaction.requests.len()).unwrap_or(u32::MAX);
        match self.outcome(begin, begin.wrapping_add(requests)).map_err(whole)? {
            None => Ok(()),
            Some(refusal) => Err(transaction.error(begin, refusal)),
        }
    }

    /// A datagram has to fit the send buffer whole. Beyond `wmem_max` only root of the first user namespace
    /// gets.
    fn make_room(&self, length: usize) -> rustix::io::Result<()> {
        if length <= SMALL {
            return Ok(());
        }
        match sockopt::set_socket_send_buffer_size_force(self.socket.as_fd(), length) {
            Err(Errno::PERM) => sockopt::set_socket_send_buffer_size(self.socket.as_fd(), length),
            other => other,
        }
    }

    /// Reads the answers until the last request is acknowledged, or there are none left: the kernel has
    /// queued all of them before `send` returned, so there is nothing to wait for. An error of the commit
    /// itself comes *before* the acknowledgements of the requests, and they still come.
    fn outcome(&mut self, begin: u32, last: u32) -> rustix::io::Result<Option<Refusal>> {
        let mut refusal: Option<Refusal> = None;
        loop {
            let datagram = match self.socket.receive_now() {
                Ok(datagram) => datagram,
                Err(Errno::AGAIN) => return refusal.map_or(Err(Errno::NODATA), |refusal| Ok(Some(refusal))),
                // Thousands of requests failed at once: the first answers are in the queue, the others were
                // dropped.
                Err(Errno::NOBUFS) => continue,
                Err(errno) => return Err(errno),
            };
            for answer in replies(datagram).filter_map(|reply| answer(&reply)) {
                match answer {
                    Answer::Done(sequence) if sequence == last && refusal.is_none() => return Ok(None),
                    Answer::Refused(found) if (begin..=last).contains(&found.sequence) => {
                        refusal.get_or_insert(found);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// What the kernel says of one request.
enum Answer {
    Done(u32),
    Refused(Refusal),
}

/// Which request was refused, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    sequence: u32,
    pub(super) errno: Errno,
    pub(super) note: Option<String>,
}

/// `EAGAIN`: the kernel loaded a module or has to validate the ruleset, and starts over; it does so by
/// itself, and answers so only where it gives up. `ERESTART`: the ruleset changed since the generation that a
/// batch names (`NFNL_BATCH_GENID`); ours name none. `EINTR`: a signal came first. Nothing was done in any of
/// these cases.
fn once_more(errno: Errno) -> bool {
    /// `ERESTART`, which has no name in user space.
    const RESTART: i32 = 85;
    matches!(errno, Errno::AGAIN | Errno::INTR) || errno.raw_os_error() == RESTART
}

fn answer(reply: &Reply<'_>) -> Option<Answer> {
    if reply.kind != NLMSG_ERROR {
        return None;
    }
    match refusal(reply) {
        Some(refusal) => Some(Answer::Refused(refusal)),
        None => Some(Answer::Done(reply.sequence)),
    }
}

/// The errno and the kernel's words in an error message; `None` where it is an acknowledgement.
pub(super) fn refusal(reply: &Reply<'_>) -> Option<Refusal> {
    let code = i32::from_ne_bytes(reply.payload.get(..4)?.try_into().ok()?);
    if code == 0 {
        return None;
    }
    // Behind the errno comes the header of the refused message, then the attributes.
    let attributes = (reply.flags & NLM_F_ACK_TLVS != 0).then(|| reply.payload.get(4 + HEADER..)).flatten();
    let note = attributes.and_then(|bytes| attribute(bytes, ERROR_TEXT)).map(text);
    Some(Refusal { sequence: reply.sequence, errno: Errno::from_raw_os_error(code.saturating_neg()), note })
}

/// Appends a message with its sequence number and further flags.
fn append(bytes: &mut Vec<u8>, message: &[u8], sequence: u32, flags: u16) {
    let flags = u16_at(message, 6).unwrap_or(0) | flags;
    bytes.extend_from_slice(&message[..6]);
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&message[12..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{Family, Table};

    #[test]
    fn a_batch_is_framed_numbered_and_asks_for_one_acknowledgement() {
        let table = Table::new(Family::Inet, "t");
        let transaction: Transaction = [table.add(), table.chain("c").add()].into_iter().collect();
        let mut number = 6;
        let bytes = transaction.datagram(|| {
            number += 1;
            number
        });
        let seen: Vec<_> = replies(&bytes).map(|reply| (reply.kind, reply.flags, reply.sequence)).collect();
        assert_eq!(seen, [(0x10, 1, 7), (0xa00, 1, 8), (0xa03, 0x405, 9), (0x11, 1, 10)]);
        assert_eq!(&bytes[16..20], [0, 0, 0, 10], "the subsystem is named in network order");
    }

    #[test]
    fn an_error_speaks_of_the_request_that_failed() {
        let table = Table::new(Family::Inet, "t");
        let transaction: Transaction = [table.add(), table.chain("c").add()].into_iter().collect();
        let refusal = |sequence| Refusal { sequence, errno: Errno::EXIST, note: None };
        let text = transaction.error(7, refusal(9)).to_string();
        assert_eq!(text, "add chain inet t c: File exists (os error 17)");
        let text = transaction.error(7, refusal(7)).to_string();
        assert_eq!(text, "commit nf_tables transaction: File exists (os error 17)");
    }
}
