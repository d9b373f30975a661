//! The CNI plugin `static`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: kernel::Arena = kernel::Arena::new();

fn main() -> ExitCode {
    spec::plugin::main::<ipam::static_addresses::Static>()
}
