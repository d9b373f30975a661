//! The CNI plugin `tuning`: sysctls of the container's namespace, and settings of an interface that a plugin
//! before it made.
//!
//! One verb, one file; `config.rs` decides, the verbs act. What was there before is kept in a file
//! (`place.rs`) from before the first change until DEL has put it back.

mod add;
mod allowlist;
mod check;
mod config;
mod del;
mod gc;
mod link;
mod place;
mod refused;
mod saved;
mod status;
mod sysctl;
mod target;

use spec::error::Result;
use spec::plugin::{self, Plugin};
use spec::request::{Add, Check, Del, Gc, Status};
use spec::result::Success;
use std::process::ExitCode;

struct Tuning;

impl Plugin for Tuning {
    const NAME: &'static str = "tuning";
    const ABOUT: &'static str = "CNI tuning plugin of Tidewater";

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
    plugin::main::<Tuning>()
}
