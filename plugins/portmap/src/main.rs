//! The CNI plugin `portmap`: ports of the host lead to a container.
//!
//! One verb, one file; `config.rs` decides, the verbs act.

mod add;
mod check;
mod config;
mod del;
mod gc;
mod mappings;
mod status;

use spec::error::Result;
use spec::plugin::{self, Plugin};
use spec::request::{Add, Check, Del, Gc, Status};
use spec::result::Success;
use std::process::ExitCode;

struct Portmap;

impl Plugin for Portmap {
    const NAME: &'static str = "portmap";
    const ABOUT: &'static str = "CNI portmap plugin of Tidewater";

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
    plugin::main::<Portmap>()
}
