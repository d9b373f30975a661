//! The CNI plugin `host-local`.

use std::process::ExitCode;

fn main() -> ExitCode {
    spec::plugin::main::<ipam::host_local::HostLocal>()
}
