//! The numbers of `linux/netfilter/nf_tables.h` and `nfnetlink.h`, by the names they have there.

/// `NFNL_MSG_BATCH_BEGIN`: what follows, up to the end, is one transaction.
pub(super) const BATCH_BEGIN: u16 = 0x10;
/// `NFNL_MSG_BATCH_END`.
pub(super) const BATCH_END: u16 = 0x11;
/// `NFNL_SUBSYS_NFTABLES`, the high byte of each message type below.
pub(super) const SUBSYSTEM: u8 = 10;

pub(super) const NLM_F_REQUEST: u16 = 0x1;
pub(super) const NLM_F_ACK: u16 = 0x4;
pub(super) const NLM_F_DUMP_INTR: u16 = 0x10;
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_EXCL: u16 = 0x200;
pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLM_F_APPEND: u16 = 0x800;
/// On a reply: attributes follow the errno (`NLM_F_ACK_TLVS`).
pub(super) const NLM_F_ACK_TLVS: u16 = 0x200;

/// `NLMSG_ERROR`, also the acknowledgement (errno 0).
pub(super) const NLMSG_ERROR: u16 = 2;
/// `NLMSG_DONE`, the end of a dump.
pub(super) const NLMSG_DONE: u16 = 3;
/// `NLMSGERR_ATTR_MSG`.
pub(super) const ERROR_TEXT: u16 = 1;

/// `NFT_MSG_*`.
pub(super) mod msg {
    pub(in crate::nft) const NEWTABLE: u8 = 0;
    pub(in crate::nft) const GETTABLE: u8 = 1;
    pub(in crate::nft) const DELTABLE: u8 = 2;
    pub(in crate::nft) const NEWCHAIN: u8 = 3;
    pub(in crate::nft) const GETCHAIN: u8 = 4;
    pub(in crate::nft) const DELCHAIN: u8 = 5;
    pub(in crate::nft) const NEWRULE: u8 = 6;
    pub(in crate::nft) const GETRULE: u8 = 7;
    pub(in crate::nft) const DELRULE: u8 = 8;
    pub(in crate::nft) const NEWSET: u8 = 9;
    pub(in crate::nft) const GETSET: u8 = 10;
    pub(in crate::nft) const DELSET: u8 = 11;
    pub(in crate::nft) const NEWSETELEM: u8 = 12;
    pub(in crate::nft) const GETSETELEM: u8 = 13;
    pub(in crate::nft) const DELSETELEM: u8 = 14;
}

/// `NFTA_LIST_ELEM`.
pub(super) const LIST_ELEM: u16 = 1;
/// `NFTA_DATA_VALUE`.
pub(super) const DATA_VALUE: u16 = 1;
/// `NFTA_DATA_VERDICT`.
pub(super) const DATA_VERDICT: u16 = 2;
/// `NFTA_VERDICT_CODE`.
pub(super) const VERDICT_CODE: u16 = 1;
/// `NFTA_VERDICT_CHAIN`.
pub(super) const VERDICT_CHAIN: u16 = 2;

/// `NFTA_TABLE_*`.
pub(super) mod table {
    pub(in crate::nft) const NAME: u16 = 1;
    pub(in crate::nft) const FLAGS: u16 = 2;
    pub(in crate::nft) const USERDATA: u16 = 6;
}

/// `NFTA_CHAIN_*` and `NFTA_HOOK_*`.
pub(super) mod chain {
    pub(in crate::nft) const TABLE: u16 = 1;
    pub(in crate::nft) const NAME: u16 = 3;
    pub(in crate::nft) const HOOK: u16 = 4;
    pub(in crate::nft) const POLICY: u16 = 5;
    pub(in crate::nft) const TYPE: u16 = 7;
    pub(in crate::nft) const USERDATA: u16 = 12;
    pub(in crate::nft) const HOOK_NUMBER: u16 = 1;
    pub(in crate::nft) const HOOK_PRIORITY: u16 = 2;
}

/// `NFTA_RULE_*` and `NFTA_EXPR_*`.
pub(super) mod rule {
    pub(in crate::nft) const TABLE: u16 = 1;
    pub(in crate::nft) const CHAIN: u16 = 2;
    pub(in crate::nft) const HANDLE: u16 = 3;
    pub(in crate::nft) const EXPRESSIONS: u16 = 4;
    pub(in crate::nft) const POSITION: u16 = 6;
    pub(in crate::nft) const USERDATA: u16 = 7;
    pub(in crate::nft) const EXPR_NAME: u16 = 1;
    pub(in crate::nft) const EXPR_DATA: u16 = 2;
    /// `NFTA_IMMEDIATE_DATA`.
    pub(in crate::nft) const IMMEDIATE_DATA: u16 = 2;
    /// `NFTA_LOOKUP_SET`.
    pub(in crate::nft) const LOOKUP_SET: u16 = 1;
    /// `NFTA_CMP_DATA`.
    pub(in crate::nft) const CMP_DATA: u16 = 3;
    /// `NFTA_MATCH_NAME`: name of an iptables extension.
    pub(in crate::nft) const MATCH_NAME: u16 = 1;
    /// `NFTA_MATCH_INFO` and `NFTA_TARGET_INFO`: its data.
    pub(in crate::nft) const MATCH_INFO: u16 = 3;
}

/// `NFTA_SET_*`, `NFTA_SET_DESC_*` and `NFT_SET_*` (flags).
pub(super) mod set {
    pub(in crate::nft) const TABLE: u16 = 1;
    pub(in crate::nft) const NAME: u16 = 2;
    pub(in crate::nft) const FLAGS: u16 = 3;
    pub(in crate::nft) const KEY_TYPE: u16 = 4;
    pub(in crate::nft) const KEY_LEN: u16 = 5;
    pub(in crate::nft) const DATA_TYPE: u16 = 6;
    pub(in crate::nft) const DATA_LEN: u16 = 7;
    pub(in crate::nft) const DESC: u16 = 9;
    pub(in crate::nft) const ID: u16 = 10;
    pub(in crate::nft) const TIMEOUT: u16 = 11;
    pub(in crate::nft) const USERDATA: u16 = 13;
    pub(in crate::nft) const DESC_SIZE: u16 = 1;
    pub(in crate::nft) const DESC_CONCAT: u16 = 2;
    pub(in crate::nft) const FIELD_LEN: u16 = 1;
    pub(in crate::nft) const F_CONSTANT: u32 = 0x2;
    pub(in crate::nft) const F_INTERVAL: u32 = 0x4;
    pub(in crate::nft) const F_MAP: u32 = 0x8;
    pub(in crate::nft) const F_TIMEOUT: u32 = 0x10;
    pub(in crate::nft) const F_CONCAT: u32 = 0x80;
}

/// `NFTA_SET_ELEM_*`, `NFTA_SET_ELEM_LIST_*` and `NFT_SET_ELEM_*` (flags).
pub(super) mod elem {
    pub(in crate::nft) const LIST_TABLE: u16 = 1;
    pub(in crate::nft) const LIST_SET: u16 = 2;
    pub(in crate::nft) const LIST_ELEMENTS: u16 = 3;
    pub(in crate::nft) const KEY: u16 = 1;
    pub(in crate::nft) const DATA: u16 = 2;
    pub(in crate::nft) const FLAGS: u16 = 3;
    pub(in crate::nft) const TIMEOUT: u16 = 4;
    pub(in crate::nft) const USERDATA: u16 = 6;
    pub(in crate::nft) const KEY_END: u16 = 10;
    pub(in crate::nft) const F_INTERVAL_END: u32 = 0x1;
}
