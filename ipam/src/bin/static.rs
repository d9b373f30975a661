//! The CNI plugin `static`.

use std::process::ExitCode;

fn main() -> ExitCode {
    spec::plugin::main::<ipam::static_addresses::Static>()
}
