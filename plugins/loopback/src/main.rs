//! The CNI plugin `loopback`: brings the container's `lo` up. It has no keys, and `CNI_IFNAME` means nothing
//! to it.

use kernel::addr;
use kernel::link::{self, Link, LinkRef};
use kernel::rtnl::Rtnl;
use spec::error::{Error, Result};
use spec::plugin::{self, Plugin};
use spec::request::{Add, Check, Del, Gc, Status};
use spec::result::{Interface, Ip, Success};
use std::path::Path;
use std::process::ExitCode;
use steps::sockets::{open_living, open_netns};

/// The one interface that every network namespace is born with.
const LO: &str = "lo";

struct Loopback;

impl Plugin for Loopback {
    const NAME: &'static str = "loopback";
    const ABOUT: &'static str = "CNI loopback plugin of Tidewater";

    fn add(call: &Add) -> Result<Success> {
        let mut container = Rtnl::open_in(&open_netns(&call.netns)?)?;
        let lo = find(&mut container)?;
        container.request(link::set_up(lo.index))?;
        let addresses = loopback_addresses(&mut container, &lo)?;
        Ok(call.config.prev_result.clone().unwrap_or_else(|| result(&call.netns, addresses)))
    }

    fn del(call: &Del) -> Result<()> {
        // A namespace that is gone took its lo along.
        let Some(netns) = call.netns.as_deref().map(open_living).transpose()?.flatten() else {
            return Ok(());
        };
        let mut container = Rtnl::open_in(&netns)?;
        let lo = find(&mut container)?;
        Ok(container.request(link::set_down(lo.index))?)
    }

    fn check(call: &Check) -> Result<()> {
        let mut container = Rtnl::open_in(&open_netns(&call.netns)?)?;
        if find(&mut container)?.up { Ok(()) } else { Err(Error::internal("loopback interface is down")) }
    }

    /// Nothing outlives the namespace.
    fn gc(_call: &Gc) -> Result<()> {
        Ok(())
    }

    /// Nothing is needed but the kernel.
    fn status(_call: &Status) -> Result<()> {
        Ok(())
    }
}

fn find(container: &mut Rtnl) -> Result<Link> {
    link::get(container, LinkRef::Name(LO))?
        .ok_or_else(|| Error::internal("the namespace has no interface lo"))
}

/// The first address of each family; on `lo` there must be none but loopback addresses, besides link-local
/// ones.
fn loopback_addresses(container: &mut Rtnl, lo: &Link) -> Result<Vec<Ip>> {
    let found = addr::list(container, lo.index)?;
    if let Some(stranger) = found.iter().find(|address| !address.net.addr().is_loopback()) {
        return Err(Error::internal(format!("loopback interface has non-loopback address {}", stranger.net)));
    }
    let first = |v4: bool| found.iter().find(|address| address.net.addr().is_ipv4() == v4);
    let ips = [first(true), first(false)].into_iter().flatten();
    Ok(ips.map(|address| Ip { address: address.net, gateway: None, interface: Some(0) }).collect())
}

fn result(netns: &Path, ips: Vec<Ip>) -> Success {
    let lo = Interface {
        name: LO.to_owned(),
        mac: Some("00:00:00:00:00:00".to_owned()),
        sandbox: Some(netns.display().to_string()),
        ..Interface::default()
    };
    Success { interfaces: vec![lo], ips, ..Success::default() }
}

#[global_allocator]
static ALLOCATOR: kernel::Arena = kernel::Arena::new();

fn main() -> ExitCode {
    plugin::main::<Loopback>()
}
