//! The lab: fresh hosts made of namespaces, in which plugins and real runtimes are tried, and text to compare them by.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this library is the inside of tests, and a test fails by panicking"
)]

pub mod lab;

/// Makes tests of cases `fn name(lab: &Lab)`: those under `both` are tried on our plugins and on the reference's, those
/// under `ours` only where the reference does not have the behaviour.
#[macro_export]
macro_rules! conformance {
    (both: [$($both:ident),* $(,)?] ours: [$($ours:ident),* $(,)?]) => {
        mod ours {
            $($crate::conformance!(@case $both, $crate::lab::Plugins::ours());)*
            $($crate::conformance!(@case $ours, $crate::lab::Plugins::ours());)*
        }
        mod reference {
            $($crate::conformance!(@case $both, $crate::lab::Plugins::reference());)*
        }
    };
    (@case $name:ident, $plugins:expr) => {
        #[test]
        #[ignore = "needs root"]
        fn $name() {
            super::$name(&$crate::lab::Lab::new($plugins));
        }
    };
}
