//! The runtime side of CNI; to come.
