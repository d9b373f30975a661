//! The CNI plugin `ptp`: a container and the host, point to point; the host routes.
//!
//! One verb, one file; `config.rs` decides, the verbs act. `routes.rs` knows what leads where on both sides.

mod add;
mod check;
mod config;
mod del;
mod gc;
mod routes;
mod status;

use spec::error::Result;
use spec::plugin::{self, Plugin};
use spec::request::{Add, Check, Del, Gc, Status};
use spec::result::Success;
use std::process::ExitCode;

struct PointToPoint;

impl Plugin for PointToPoint {
    const NAME: &'static str = "ptp";
    const ABOUT: &'static str = "CNI ptp plugin of Tidewater";

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
    plugin::main::<PointToPoint>()
}
