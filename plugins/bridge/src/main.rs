//! The CNI plugin `bridge`: a container becomes a port of a Linux bridge.
//!
//! One verb, one file; `config.rs` decides, the verbs act.

mod add;
mod bridge;
mod check;
mod config;
mod del;
mod gateway;
mod gc;
mod port;
mod status;
mod vlan;

use spec::error::Result;
use spec::plugin::{self, Plugin};
use spec::request::{Add, Check, Del, Gc, Status};
use spec::result::Success;
use std::process::ExitCode;

struct Bridge;

impl Plugin for Bridge {
    const NAME: &'static str = "bridge";
    const ABOUT: &'static str = "CNI bridge plugin of Tidewater";

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
    plugin::main::<Bridge>()
}
