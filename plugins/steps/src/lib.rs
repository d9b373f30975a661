//! What several plugins do, written once: undo, sockets, lease, veth pair, interface, and what is in the packet
//! filter: masquerade, port mappings, forwarding, spoof checks, and the records of these.
//!
//! A step takes what the step before returned and hands on what the next one needs; nothing is looked up
//! twice. This is the floor where CNI words and kernel words meet: `spec` and `kernel` do not know each
//! other.

pub mod anti_spoof;
pub mod apply;
pub mod best_effort;
pub mod chained;
mod execute;
pub mod forward;
pub mod forwarding;
pub mod gateway;
pub mod host_end;
pub mod iptables;
pub mod label;
pub mod lease;
pub mod mac;
pub mod masquerade;
pub mod pair;
pub mod ports;
mod record;
pub mod reload;
pub mod ruleset;
pub mod sockets;
pub mod spoof;
pub mod stale;
mod subnet_set;
mod table;
pub mod undo;
pub mod verify;
