//! The floor of VERSION: a process of our build that does nothing.

fn main() {}
