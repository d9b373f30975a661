//! What this room tells the kernel, told to a real one. Each test has network namespaces of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod real {
    pub(crate) mod lab;

    mod address;
    mod bridge;
    mod conntrack;
    mod detach;
    mod namespace;
    mod pinned;
    mod refusal;
    mod removal;
    mod route;
    mod tc;
    mod up;
    mod veth;
}
