//! ADD: one address from each range set, all of them or none.

use std::net::IpAddr;

use ipnet::IpNet;
use spec::{Add, Dns, Error, Ip, Result, Success};

use super::Usage;
use crate::config::{Plan, dns_of};
use crate::range::{Range, RangeSet};
use crate::span::{self, Span};
use crate::store::{Key, Store};

pub(super) fn add(call: &Add) -> Result<Success> {
    let plan = Plan::of_add(call)?;
    let dns = plan.resolv_conf.as_deref().map_or_else(|| Ok(Dns::default()), dns_of)?;
    let mut store = Store::open(&plan.data_dir, &call.config.name)?;
    let mut claim = Claim { store: &mut store, key: Key::of(&call.attachment), ips: Vec::new() };
    let outcome = claim.all(&plan);
    if outcome.is_err() {
        claim.give_up();
    } else {
        claim.keep(call);
    }
    store.close();
    Ok(Success { ips: outcome?, routes: plan.routes, dns, ..Success::default() })
}

/// The addresses that this ADD has leased so far.
struct Claim<'a> {
    store: &'a mut Store,
    key: Key,
    ips: Vec<IpAddr>,
}

impl Claim<'_> {
    /// An address from each set; an address that was asked for from the set that has it.
    fn all(&mut self, plan: &Plan) -> Result<Vec<Ip>> {
        let mut requested = plan.requested.clone();
        let mut ips = Vec::with_capacity(plan.sets.len());
        for (i, set) in plan.sets.iter().enumerate() {
            let wanted = requested.iter().position(|ip| set.range_of(*ip).is_some());
            let wanted = wanted.map(|at| requested.remove(at));
            let ip = self.one(i, set, wanted);
            ips.push(ip.map_err(|cause| cause.context(format!("failed to allocate for range {i}")))?);
        }
        match requested.as_slice() {
            [] => Ok(ips),
            left => Err(left_over(left)),
        }
    }

    fn one(&mut self, i: usize, set: &RangeSet, wanted: Option<IpAddr>) -> Result<Ip> {
        self.refuse_second(set)?;
        let (ip, range) = match wanted {
            Some(ip) => self.this(i, set, ip)?,
            None => self.next(i, set)?,
        };
        Ok(Ip {
            address: IpNet::new(ip, range.prefix_len())?,
            gateway: Some(range.gateway()),
            interface: None,
        })
    }

    /// An attachment has one address of a set: a second ADD without DEL is the runtime's mistake.
    fn refuse_second(&mut self, set: &RangeSet) -> Result<()> {
        for key in [self.key.clone(), self.key.bare()] {
            let mine = self.store.held_by(&key)?;
            let here = mine.iter().find(|&&ip| set.range_of(ip).is_some() && !self.ips.contains(&ip));
            if let Some(ip) = here {
                let id = &self.key.id;
                return Err(Error::internal(format!(
                    "{ip} has been allocated to {id}, duplicate allocation is not allowed"
                )));
            }
        }
        Ok(())
    }

    /// The address that was asked for.
    fn this<'s>(&mut self, i: usize, set: &'s RangeSet, ip: IpAddr) -> Result<(IpAddr, &'s Range)> {
        if set.is_gateway(ip) {
            return Err(Error::invalid_config(format!("requested ip {ip} is subnet's gateway")));
        }
        match set.range_of(ip) {
            Some(range) if self.store.lease(ip, &self.key)? => {
                self.ips.push(ip);
                self.store.last_reserved(i).set(ip);
                Ok((ip, range))
            }
            _ => Err(Error::try_again(format!(
                "requested IP address {ip} is not available in range set {set}: \
                 it is leased to another container in {}",
                self.store.path().display()
            ))),
        }
    }

    /// The next address by round robin.
    fn next<'s>(&mut self, i: usize, set: &'s RangeSet) -> Result<(IpAddr, &'s Range)> {
        let last = self.store.last_reserved(i);
        let order = set.order(last.get());
        let ip = match self.first_of(&order)? {
            // That none is left counts only once all leases have been read.
            None => {
                self.store.rescan_once()?;
                self.first_of(&order)?
            }
            found => found,
        };
        match ip.and_then(|ip| Some((ip, set.range_of(ip)?))) {
            Some((ip, range)) => {
                last.set(ip);
                Ok((ip, range))
            }
            None => Err(Error::try_again(Usage::of(set, self.store).exhausted(self.store.path()))),
        }
    }

    /// Leases the first address that can be had. One that looked free and was not is never tried again.
    fn first_of(&mut self, order: &[Span]) -> Result<Option<IpAddr>> {
        let mut rest = order.to_vec();
        while let Some(ip) = self.store.first_free(&rest) {
            if self.store.lease(ip, &self.key)? {
                self.ips.push(ip);
                return Ok(Some(ip));
            }
            rest = span::after(&rest, ip);
        }
        Ok(None)
    }

    fn keep(&mut self, call: &Add) {
        self.store.remember(&self.key, &call.netns);
    }

    /// Releases what was leased. Should even that fail, the DEL that follows a failed ADD finds it.
    fn give_up(&mut self) {
        let _ = self.store.release(&self.key, &self.ips);
    }
}

fn left_over(ips: &[IpAddr]) -> Error {
    let ips: Vec<String> = ips.iter().map(IpAddr::to_string).collect();
    Error::invalid_config(format!("failed to allocate all requested IPs: {}", ips.join(" ")))
}
