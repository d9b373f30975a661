//! Linux, synchronous, without a word of CNI: namespaces, netlink, nf_tables, sysctls, locks, files.

pub mod addr;
pub mod boot;
pub mod conntrack;
pub mod detach;
pub mod elf;
pub mod error;
pub mod file;
pub mod link;
pub mod lock;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod route;
pub mod rtnl;
pub mod socket;
pub mod spare;
mod sys;
pub mod sysctl;
pub mod tc;
pub mod watch;

pub use error::{Error, Result};
pub use sys::arena::Arena;
