//! `make bench`: the plugins against the reference plugins and against the floor, in one interleaved run.
//!
//! One program in four parts: the command that people call, one process for each case (in a mount namespace of its
//! own), one worker for each peer and verb (in the peer's host namespace), and a janitor that outlives them all.

use std::process::ExitCode;

#[path = "bench/mod.rs"]
mod bench;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match bench::run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
