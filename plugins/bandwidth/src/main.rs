//! The CNI plugin `bandwidth`: what a container sends and receives is limited to a rate.
//!
//! It is chained after a plugin that made a veth pair. What the container receives is queued at the host's end of
//! the pair; what it sends arrives there and cannot be queued, so it is sent through an IFB of its own.
//!
//! One verb, one file; `config.rs` decides, the verbs act.

mod add;
mod check;
mod config;
mod del;
mod gc;
mod ifb;
mod limit;
mod shape;
mod status;

use spec::error::Result;
use spec::plugin::{self, Plugin};
use spec::request::{Add, Check, Del, Gc, Status};
use spec::result::Success;
use spec::version::Version;
use std::process::ExitCode;

struct Bandwidth;

impl Plugin for Bandwidth {
    const NAME: &'static str = "bandwidth";
    const ABOUT: &'static str = "CNI bandwidth plugin of Tidewater";
    /// Older results have no interfaces, and without those there is nothing to find the host's end by.
    const VERSIONS: &'static [Version] =
        &[Version::V0_3_0, Version::V0_3_1, Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];

    fn add(call: &Add) -> Result<Success> {
        add::add(call)
    }

    fn del(call: &Del) -> Result<()> {
        del::del(call)
    }

    fn check(call: &Check) -> Result<()> {
        check::check(call)
    }

    fn gc(call: &Gc) -> Result<()> {
        gc::gc(call)
    }

    fn status(call: &Status) -> Result<()> {
        status::status(call)
    }
}

#[global_allocator]
static ALLOCATOR: kernel::Arena = kernel::Arena::new();

fn main() -> ExitCode {
    plugin::main::<Bandwidth>()
}
