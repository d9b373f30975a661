//! The CNI plugin `host-local`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: kernel::Arena = kernel::Arena::new();

fn main() -> ExitCode {
    spec::plugin::main::<ipam::host_local::HostLocal>()
}
