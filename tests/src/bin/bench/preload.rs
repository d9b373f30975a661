//! Brings a site to the number of leases or attachments that a case wants present.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::cases::{Case, Work};
use super::crew::Worker;
use super::jobs::{self, Container};
use super::peers::{Peer, Site, Verb};
use super::{Result, Tried, lab, tell};

/// Attachments that are made at once.
const AT_ONCE: u32 = 4;

/// Makes what has to be there. `adder` is the site's worker for ADD.
pub(super) fn run(case: &Case, site: &Site, adder: &mut Worker) -> Result<()> {
    match (case.work, case.present) {
        (Work::Version, _) | (_, 0) => Ok(()),
        (Work::HostLocal, present) if site.peer != Peer::Floor => leases(site, present),
        (Work::HostLocal, _) => Ok(()),
        (Work::BridgePlain | Work::BridgeMasq | Work::Chain { .. } | Work::Flows, _) => {
            attachments(case, site, adder)
        }
    }
}

/// Writes the lease files as the reference plugin does: id, CR LF, interface, no end of line.
fn leases(site: &Site, present: u32) -> Result<()> {
    let directory = site.leases.join(site.network());
    let what = || format!("fill {}", directory.display());
    fs::DirBuilder::new().recursive(true).mode(0o755).create(&directory).tried(what)?;
    for n in 0..present {
        let lease = format!("{}\r\neth0", crowd(site, n).id());
        write(&directory.join(site.address(n + 2)), &lease).tried(what)?;
    }
    write(&directory.join("last_reserved_ip.0"), &site.address(present + 1)).tried(what)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// Lets the peer itself attach the crowd, each in a namespace of its own.
fn attachments(case: &Case, site: &Site, adder: &mut Worker) -> Result<()> {
    let what = if matches!(case.work, Work::Chain { .. }) { "mappings" } else { "attachments" };
    tell::progress(&format!("  {} {what} by {}", case.present, site.peer.name()));
    let all = case.work.crowd(case.present);
    for first in (0..all).step_by(AT_ONCE as usize) {
        let batch = first..(first + AT_ONCE).min(all);
        let batch = batch.map(|n| jobs::job(site, case.work, Verb::Add, &crowd(site, n))).collect();
        let (runs, _) = adder.run(batch)?;
        if let Some(failed) = runs.iter().find(|run| !run.success) {
            return Err(format!("preload by {}: {}", site.peer.name(), failed.output));
        }
    }
    Ok(())
}

fn crowd(site: &Site, n: u32) -> Container {
    Container {
        serial: n + 1,
        netns: lab::crowd(n),
        ifname: format!("eth{}", site.peer.number()),
        result: None,
    }
}
