//! The CNI plugin `firewall`: what the host forwards from and to a container, and what the container may claim to
//! be. It is chained behind the plugin that makes the interface, and passes its result on.
//!
//! One verb, one file; `config.rs` decides, `wanted.rs` says what the attachment is to have, the verbs act.

mod add;
mod check;
mod config;
mod del;
mod gc;
mod status;
mod wanted;

use spec::error::Result;
use spec::plugin::{self, Plugin};
use spec::request::{Add, Check, Del, Gc, Status};
use spec::result::Success;
use spec::version::Version;
use std::process::ExitCode;

struct Firewall;

impl Plugin for Firewall {
    const NAME: &'static str = "firewall";
    const VERSIONS: &'static [Version] = &[Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];
    const ABOUT: &'static str = "CNI firewall plugin of Tidewater";

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
    plugin::main::<Firewall>()
}
