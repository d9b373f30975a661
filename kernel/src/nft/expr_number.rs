//! The kernel's numbers of what expressions are made of.

use super::expr::{Compare, Ct, Header, Meta, NatKind, Per, Reject};

impl Meta {
    pub(super) fn number(self) -> u32 {
        match self {
            Meta::Protocol => 1,
            Meta::Mark => 3,
            Meta::Iif => 4,
            Meta::Oif => 5,
            Meta::Iifname => 6,
            Meta::Oifname => 7,
            Meta::Iiftype => 8,
            Meta::Nfproto => 15,
            Meta::L4proto => 16,
        }
    }
}

impl Header {
    pub(super) fn number(self) -> u32 {
        match self {
            Header::Link => 0,
            Header::Network => 1,
            Header::Transport => 2,
        }
    }
}

impl Ct {
    pub(super) fn number(self) -> u32 {
        match self {
            Ct::State => 0,
            Ct::Status => 2,
            Ct::Mark => 3,
        }
    }
}

impl Compare {
    pub(super) fn number(self) -> u32 {
        match self {
            Compare::Equal => 0,
            Compare::NotEqual => 1,
            Compare::AtMost => 3,
            Compare::AtLeast => 5,
        }
    }
}

impl NatKind {
    pub(super) fn number(self) -> u32 {
        match self {
            NatKind::Source => 0,
            NatKind::Destination => 1,
        }
    }
}

impl Reject {
    /// Type and code (`NFT_REJECT_*`, `NFT_REJECT_ICMPX_*`).
    pub(super) fn numbers(self) -> (u32, u8) {
        match self {
            Reject::TcpReset => (1, 0),
            Reject::PortUnreachable => (2, 1),
            Reject::AdminProhibited => (2, 3),
        }
    }
}

impl Per {
    pub(super) fn seconds(self) -> u64 {
        match self {
            Per::Second => 1,
            Per::Minute => 60,
            Per::Hour => 3600,
        }
    }
}

/// The bits of `ct state`.
pub mod ct_state {
    /// `invalid`.
    pub const INVALID: u32 = 1;
    /// `established`.
    pub const ESTABLISHED: u32 = 2;
    /// `related`.
    pub const RELATED: u32 = 4;
    /// `new`.
    pub const NEW: u32 = 8;
    /// `untracked`.
    pub const UNTRACKED: u32 = 64;
}

/// The bits of `ct status`.
pub mod ct_status {
    /// `snat`: the source is rewritten.
    pub const SNAT: u32 = 1 << 4;
    /// `dnat`: the destination is rewritten.
    pub const DNAT: u32 = 1 << 5;
}

/// What [`Expr::Fib`](super::Expr::Fib) is asked (`NFTA_FIB_F_*`) and answers (`NFT_FIB_RESULT_*`).
pub mod fib {
    /// Look up the source.
    pub const SADDR: u32 = 1;
    /// Look up the destination.
    pub const DADDR: u32 = 2;
    /// Only by routes of the link that the packet came in by.
    pub const IIF: u32 = 8;
    /// Answer: the type of the address (`RTN_*`).
    pub const TYPE: u32 = 3;
    /// The type of an address of this host (`RTN_LOCAL`).
    pub const LOCAL: u32 = 2;
}

/// Flags of snat, dnat, masquerade and redirect (`NF_NAT_RANGE_*`).
pub mod nat_flags {
    /// `random`: the port is chosen at random.
    pub const RANDOM: u32 = 1 << 2;
    /// `persistent`: one client keeps one address.
    pub const PERSISTENT: u32 = 1 << 3;
    /// `fully-random`.
    pub const FULLY_RANDOM: u32 = 1 << 4;
    /// A port is given. The kernel sees that for itself; `nft` says it for constants.
    pub(in crate::nft) const PORT: u32 = 1 << 1;
}
