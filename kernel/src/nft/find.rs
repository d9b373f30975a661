//! Questions: is it there, what is in it. What is not there is `None`, `false` or empty, never an error.

use super::found::{ChainFound, ElementFound, RuleComment, RuleFound, TableFound, set_name};
use super::number::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, chain, msg, rule, set, table};
use super::request::message;
use super::transaction::refusal;
use super::{Chain, Element, Key, Nft, Set, Table};
use crate::error::{Error, Result};
use crate::netlink::{Message, Reply, replies};
use rustix::io::Errno;
use std::collections::HashSet;
use std::fmt::Display;

/// How often a list is asked for while others change the ruleset under it. One round of a list of 10 000
/// elements takes some milliseconds, of a chain some microseconds.
const ROUNDS: u32 = 200;

/// How many questions are asked before the answers are read: those have to fit the receive buffer.
const QUESTIONS: usize = 64;

impl Nft {
    /// Whether the table is there.
    ///
    /// # Errors
    /// The kernel refuses the question (`EPERM`).
    pub fn has_table(&mut self, table: Table<'_>) -> Result<bool> {
        let question = message(msg::GETTABLE, 0, table.family).attr_str(table::NAME, table.name);
        Ok(self.ask("get table", &table, question, |_| Some(()))?.is_some())
    }

    /// Whether the set or map is there.
    ///
    /// # Errors
    /// As [`Nft::has_table`].
    pub fn has_set(&mut self, set: Set<'_>) -> Result<bool> {
        let question = message(msg::GETSET, 0, set.table.family)
            .attr_str(set::TABLE, set.table.name)
            .attr_str(set::NAME, set.name);
        Ok(self.ask("get set", &set, question, set_name)?.is_some())
    }

    /// The chain, where it is there.
    ///
    /// # Errors
    /// As [`Nft::has_table`].
    pub fn chain(&mut self, chain: Chain<'_>) -> Result<Option<ChainFound>> {
        let question = message(msg::GETCHAIN, 0, chain.table.family)
            .attr_str(chain::TABLE, chain.table.name)
            .attr_str(chain::NAME, chain.name);
        self.ask("get chain", &chain, question, |payload| ChainFound::read(payload).map(|(_, found)| found))
    }

    /// The element with this key; of a set of intervals, the interval that the key is in.
    ///
    /// # Errors
    /// As [`Nft::has_table`]; `EINVAL` where the key has not the set's length.
    pub fn element(&mut self, set: Set<'_>, key: impl Into<Key>) -> Result<Option<ElementFound>> {
        self.element_like(set, &Element::new(key))
    }

    /// Many questions at once, for elements with these keys; the answers are in the same order. One system call
    /// asks some sixty of them.
    ///
    /// # Errors
    /// As [`Nft::element`].
    pub fn look_up(&mut self, wanted: &[(Set<'_>, Key)]) -> Result<Vec<Option<ElementFound>>> {
        let mut found = Vec::with_capacity(wanted.len());
        for some in wanted.chunks(QUESTIONS) {
            found.extend(self.look_up_some(some)?);
        }
        Ok(found)
    }

    fn look_up_some(&mut self, wanted: &[(Set<'_>, Key)]) -> Result<Vec<Option<ElementFound>>> {
        let mut datagram = Vec::with_capacity(wanted.len() * 100);
        let mut first = None;
        for (set, key) in wanted {
            let mut question = set.get_element(&Element::new(key.clone()));
            let sequence = self.socket.next_sequence();
            first = first.or(Some(sequence));
            question.stamp(sequence);
            datagram.extend_from_slice(question.as_bytes());
        }
        let Some(first) = first else { return Ok(Vec::new()) };
        let error = |at: usize, errno| Error::new("get element of", wanted[at].0.to_string(), errno);
        self.socket.send(&datagram).map_err(|errno| error(0, errno))?;
        let mut found: Vec<Option<ElementFound>> = vec![None; wanted.len()];
        let mut answered = 0;
        let mut refusal = None;
        while answered < wanted.len() {
            let datagram = self.socket.receive_now().map_err(|errno| error(answered, unanswered(errno)))?;
            for reply in replies(datagram) {
                let at = reply.sequence.wrapping_sub(first) as usize;
                let Some(place) = found.get_mut(at) else { continue };
                answered += 1;
                match refused(&reply) {
                    None => *place = ElementFound::read_list(reply.payload).into_iter().next(),
                    Some((Errno::NOENT, _)) => {}
                    // The other answers are on their way: they are read to the last.
                    Some((errno, note)) => refusal = Some(error(at, errno).with_note(note)),
                }
            }
        }
        refusal.map_or(Ok(found), Err)
    }

    /// The element that this one would be deleted as.
    pub(super) fn element_like(
        &mut self,
        set: Set<'_>,
        element: &Element<'_>,
    ) -> Result<Option<ElementFound>> {
        let question = set.get_element(&element.bare());
        self.ask("get element of", &set, question, |payload| {
            ElementFound::read_list(payload).into_iter().next()
        })
    }

    /// All tables of the families that this room speaks of.
    ///
    /// # Errors
    /// As [`Nft::has_table`]; `EINTR` where others changed the ruleset at each of many attempts. So for all
    /// lists.
    pub fn tables(&mut self) -> Result<Vec<TableFound>> {
        // 0 asks for all families.
        let question =
            Message::new(u16::from_be_bytes([super::number::SUBSYSTEM, msg::GETTABLE]), 1 | NLM_F_DUMP);
        self.dump("list", &"nf_tables tables", question.body(&[0; 4]), TableFound::read)
    }

    /// The chains of a table.
    ///
    /// # Errors
    /// As [`Nft::tables`].
    pub fn chains(&mut self, table: Table<'_>) -> Result<Vec<ChainFound>> {
        let question = message(msg::GETCHAIN, NLM_F_DUMP, table.family);
        // The kernel has no filter for this: it lists the chains of the whole family.
        self.dump("list chains of", &table, question, |payload| {
            ChainFound::read(payload).filter(|(of, _)| of == table.name).map(|(_, found)| found)
        })
    }

    /// The names of the sets and maps of a table.
    ///
    /// # Errors
    /// As [`Nft::tables`].
    pub fn sets(&mut self, table: Table<'_>) -> Result<Vec<String>> {
        let question = message(msg::GETSET, NLM_F_DUMP, table.family).attr_str(set::TABLE, table.name);
        self.dump("list sets of", &table, question, set_name)
    }

    /// The rules of a chain, in order.
    ///
    /// # Errors
    /// As [`Nft::tables`].
    pub fn rules(&mut self, chain: Chain<'_>) -> Result<Vec<RuleFound>> {
        let question = rules_of(chain.table).attr_str(rule::CHAIN, chain.name);
        self.dump("list rules of", &chain, question, RuleFound::read)
    }

    /// The rules of all chains of a table.
    ///
    /// # Errors
    /// As [`Nft::tables`].
    pub fn rules_of_table(&mut self, table: Table<'_>) -> Result<Vec<RuleFound>> {
        self.dump("list rules of", &table, rules_of(table), RuleFound::read)
    }

    /// How many rules a chain has.
    ///
    /// # Errors
    /// As [`Nft::tables`].
    pub fn count_rules(&mut self, chain: Chain<'_>) -> Result<usize> {
        let question = rules_of(chain.table).attr_str(rule::CHAIN, chain.name);
        Ok(self.dump("count rules of", &chain, question, |_| Some(()))?.len())
    }

    /// The chain and the comment of each rule of a table, in order within a chain: less to read than
    /// [`Nft::rules_of_table`] where rules are known by their comments.
    ///
    /// # Errors
    /// As [`Nft::tables`].
    pub fn rule_comments(&mut self, table: Table<'_>) -> Result<Vec<RuleComment>> {
        self.dump("list rules of", &table, rules_of(table), RuleComment::read)
    }

    /// The elements of a set, in no order.
    ///
    /// The kernel enlarges the hash table of a set that grew some time later, and a list interrupted by that
    /// has as many elements twice as it lacks, without being marked as interrupted. It is asked for once more
    /// then.
    ///
    /// # Errors
    /// As [`Nft::tables`].
    pub fn elements(&mut self, set: Set<'_>) -> Result<Vec<ElementFound>> {
        let op = "list elements of";
        for _ in 0..ROUNDS {
            let question = set.get_elements(NLM_F_DUMP);
            let lists = self.dump(op, &set, question, |payload| Some(ElementFound::read_list(payload)))?;
            let list: Vec<_> = lists.into_iter().flatten().collect();
            if !has_repetition(&list) {
                return Ok(list);
            }
        }
        Err(kept_changing(op, &set))
    }

    /// One question, one answer; `None` where the kernel says that there is no such thing.
    fn ask<T>(
        &mut self,
        op: &'static str,
        object: &impl Display,
        mut question: Message,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>> {
        let error = |errno| Error::new(op, object.to_string(), errno);
        let sequence = self.socket.next_sequence();
        question.stamp(sequence);
        self.socket.send(question.as_bytes()).map_err(error)?;
        loop {
            let datagram = self.socket.receive_now().map_err(|errno| error(unanswered(errno)))?;
            let Some(reply) = replies(datagram).find(|reply| reply.sequence == sequence) else { continue };
            return match refused(&reply) {
                None => Ok(read(reply.payload)),
                Some((Errno::NOENT, _)) => Ok(None),
                Some((errno, note)) => Err(error(errno).with_note(note)),
            };
        }
    }

    /// Asks for a list until nobody changed the ruleset meanwhile: a list interrupted in the middle may lack
    /// entries.
    fn dump<T>(
        &mut self,
        op: &'static str,
        object: &impl Display,
        mut question: Message,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        for _ in 0..ROUNDS {
            let sequence = self.socket.next_sequence();
            question.stamp(sequence);
            match self.dump_once(&question, sequence, &read) {
                Ok(Some(list)) => return Ok(list),
                Ok(None) => {}
                // The table or set is not there, or went away meanwhile.
                Err((Errno::NOENT, _)) => return Ok(Vec::new()),
                Err((errno, note)) => return Err(Error::new(op, object.to_string(), errno).with_note(note)),
            }
        }
        Err(kept_changing(op, object))
    }

    /// One round; `None` where it was interrupted. It is read to its end in any case: a socket has one dump
    /// at a time.
    fn dump_once<T>(
        &mut self,
        question: &Message,
        sequence: u32,
        read: &impl Fn(&[u8]) -> Option<T>,
    ) -> std::result::Result<Option<Vec<T>>, (Errno, Option<String>)> {
        self.socket.send(question.as_bytes()).map_err(|errno| (errno, None))?;
        let (mut list, mut whole) = (Vec::new(), true);
        loop {
            let datagram = self.socket.receive_now().map_err(|errno| (unanswered(errno), None))?;
            for reply in replies(datagram).filter(|reply| reply.sequence == sequence) {
                whole &= reply.flags & NLM_F_DUMP_INTR == 0;
                match refused(&reply) {
                    Some(refusal) => return Err(refusal),
                    None if reply.kind == NLMSG_DONE => return Ok(whole.then_some(list)),
                    None => list.extend(read(reply.payload)),
                }
            }
        }
    }
}

/// Whether an element is in the list twice.
fn has_repetition(list: &[ElementFound]) -> bool {
    let mut seen = HashSet::with_capacity(list.len());
    !list.iter().all(|element| seen.insert((&element.key, &element.last, element.ends_interval)))
}

fn kept_changing(op: &str, object: &impl Display) -> Error {
    Error::new(op, object.to_string(), Errno::INTR).because("changed at every attempt")
}

fn rules_of(table: Table<'_>) -> Message {
    message(msg::GETRULE, NLM_F_DUMP, table.family).attr_str(rule::TABLE, table.name)
}

/// An error message, or the end of a list that ended in an error: both begin with the errno.
fn refused(reply: &Reply<'_>) -> Option<(Errno, Option<String>)> {
    if reply.kind != NLMSG_ERROR && reply.kind != NLMSG_DONE {
        return None;
    }
    refusal(reply).map(|refusal| (refusal.errno, refusal.note))
}

/// The kernel answers before `send` or the previous receive returns; where nothing is queued, the answer was
/// lost.
fn unanswered(errno: Errno) -> Errno {
    if errno == Errno::AGAIN { Errno::NODATA } else { errno }
}
