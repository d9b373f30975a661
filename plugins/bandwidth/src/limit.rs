//! A rate and a burst become the numbers of a token bucket filter.

use kernel::tc::tbf::{Tbf, ticks};
use spec::error::{Error, Result};

/// The burst that runtimes send when nobody gave one (in bits: the most that 32 bits hold).
const NOT_GIVEN: u64 = u32::MAX as u64;
/// An automatic burst is what the rate yields in this time: 5 % of the first second. A
/// shorter one cannot take what TCP sends at once, and low rates are not reached.
const AUTOMATIC_MS: u64 = 50;
/// … and at least so many of the largest packets, without which a low rate could not be reached.
const PACKETS_MIN: u64 = 3;
/// Bytes of a packet before its payload: Ethernet, with a VLAN tag.
const PACKET_HEADER: u64 = 18;
/// How long a packet may wait, as the reference plugin has it: it limits the queue.
const LATENCY_MS: u64 = 25;
/// The same where the burst is automatic. In a queue of 25 ms, what TCP sends as it starts often loses its last packet,
/// and with it a fifth of the first second.
const AUTOMATIC_LATENCY_MS: u64 = 50;

/// The limit of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Bytes a second.
    rate: u64,
    /// Bytes at full speed; `None` when it was left to us.
    burst: Option<u32>,
}

impl Limit {
    /// From bits a second and bits, `direction` being what the keys begin with. No rate and no burst is no limit.
    ///
    /// A burst of 4294967295 bits is the runtimes' word for "not given", and one that takes the rate more than 274
    /// seconds cannot be told to the kernel: both are automatic.
    ///
    /// # Errors
    /// Code 7 for one without the other, and for what is too large or too small to be.
    pub(crate) fn new(direction: &str, rate: Option<u64>, burst: Option<u64>) -> Result<Option<Limit>> {
        let (rate, burst) = (rate.unwrap_or(0), burst.unwrap_or(0));
        let refused = |why: String| {
            Err(Error::invalid_config(format!(
                "{why} ({direction}Rate is {rate} bits/s, {direction}Burst {burst} bits)"
            )))
        };
        match (rate, burst) {
            (0, 0) => return Ok(None),
            (0, _) => return refused("if burst is set, rate must also be set".to_owned()),
            (_, 0) => return refused("if rate is set, burst must also be set".to_owned()),
            _ => {}
        }
        let (bytes_per_second, bytes) = (rate / 8, burst / 8);
        let Some(small) = u32::try_from(bytes).ok().filter(|bytes| *bytes < u32::MAX) else {
            return refused("burst cannot be more than 4GB".to_owned());
        };
        if bytes_per_second == 0 {
            return refused("rate must be at least 8 bits/s, one byte".to_owned());
        }
        let lasts = microseconds(bytes, bytes_per_second);
        let automatic = burst == NOT_GIVEN || ticks(lasts).is_none();
        if lasts == 0 && !automatic {
            return refused("burst must be at least what the rate yields in a microsecond".to_owned());
        }
        Ok(Some(Limit { rate: bytes_per_second, burst: (!automatic).then_some(small) }))
    }

    /// Whether the burst was left to us.
    pub(crate) fn is_automatic(self) -> bool {
        self.burst.is_none()
    }

    /// The filter for a link of this MTU. Its buffer is counted in whole microseconds, and the limit of a
    /// given burst made of the same latency, as the reference plugin does and its CHECK wants.
    pub(crate) fn tbf(self, mtu: u32) -> Tbf {
        let (burst, latency) = match self.burst {
            // A packet larger than the bucket would never pass.
            Some(burst) => (u64::from(burst).max(packet(mtu)), LATENCY_MS),
            None => (self.automatic(mtu), AUTOMATIC_LATENCY_MS),
        };
        let waiting = u128::from(self.rate) * u128::from(latency) / 1000 + u128::from(burst);
        Tbf {
            rate: self.rate,
            buffer: ticks(microseconds(burst, self.rate)).unwrap_or(u32::MAX),
            limit: u32::try_from(waiting).unwrap_or(u32::MAX),
        }
    }

    fn automatic(self, mtu: u32) -> u64 {
        let least = PACKETS_MIN * packet(mtu);
        (self.rate / (1000 / AUTOMATIC_MS)).max(least)
    }
}

/// The largest packet of a link, with its header.
fn packet(mtu: u32) -> u64 {
    u64::from(mtu) + PACKET_HEADER
}

/// How long the rate takes for so many bytes.
fn microseconds(bytes: u64, rate: u64) -> u64 {
    u64::try_from(u128::from(bytes) * 1_000_000 / u128::from(rate)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn limit(rate: u64, burst: u64) -> Limit {
        Limit::new("ingress", Some(rate), Some(burst)).unwrap().unwrap()
    }

    fn refusal(rate: u64, burst: u64) -> String {
        Limit::new("ingress", Some(rate), Some(burst)).unwrap_err().msg
    }

    #[test]
    fn an_explicit_burst_gives_the_reference_plugin_s_numbers() {
        let expected = Tbf { rate: 1_000_000, buffer: 1_562_500, limit: 125_000 };
        assert_eq!(limit(8_000_000, 800_000).tbf(1500), expected);
    }

    #[test]
    fn a_burst_holds_one_packet_at_least() {
        let one = limit(8_000_000, 8 * 1518).tbf(1500);
        assert_eq!(limit(8_000_000, 8).tbf(1500), one);
        assert_eq!((one.limit, one.buffer), (25_000 + 1518, 1518 * 1000 / 64));
        assert_eq!(limit(8_000_000, 800_000).tbf(9000).limit, 125_000);
    }

    #[test]
    fn a_burst_that_was_not_given_is_fifty_milliseconds_of_the_rate_and_three_packets_at_least() {
        for (rate, mtu, burst) in [
            (500_000, 1500, 4554),
            (10_000_000, 1500, 62_500),
            (4_000_000, 9000, 27_054),
            (1_000_000_000, 1500, 6_250_000),
            (200_000_000_000, 1500, 1_250_000_000),
        ] {
            let tbf = limit(rate, NOT_GIVEN).tbf(mtu);
            assert_eq!(u64::from(tbf.limit), rate / 8 * 50 / 1000 + burst, "{rate}");
            assert_eq!(u64::from(tbf.buffer), burst * 1_000_000 / (rate / 8) * 1000 / 64, "{rate}");
        }
    }

    #[test]
    fn a_burst_longer_than_the_kernel_can_be_told_is_automatic() {
        // 512 MiB at 10 Mbit/s are 429 s.
        assert!(limit(10_000_000, NOT_GIVEN - 7).is_automatic());
        assert!(!limit(100_000_000, NOT_GIVEN - 7).is_automatic());
        assert!(limit(8, 8 * 275).is_automatic());
        assert!(!limit(8, 8 * 274).is_automatic());
    }

    #[test]
    fn large_numbers_do_not_wrap() {
        let huge = limit(u64::MAX, NOT_GIVEN).tbf(65_535);
        assert_eq!((huge.rate, huge.buffer, huge.limit), (u64::MAX / 8, 781_234, u32::MAX));
    }

    #[test]
    fn one_without_the_other_and_what_cannot_be_is_refused() {
        assert_eq!(Limit::new("egress", None, Some(0)).unwrap(), None);
        assert_eq!(
            refusal(800, 0),
            "if rate is set, burst must also be set (ingressRate is 800 bits/s, ingressBurst 0 bits)"
        );
        assert!(refusal(0, 800).starts_with("if burst is set, rate must also be set"));
        assert!(refusal(800, u64::from(u32::MAX) * 8).starts_with("burst cannot be more than 4GB"));
        assert!(refusal(800, u64::MAX).starts_with("burst cannot be more than 4GB"));
        assert!(refusal(7, 800).starts_with("rate must be at least 8 bits/s"));
        assert!(refusal(800, 7).starts_with("burst must be at least"));
        assert!(refusal(80_000_000_000, 80).starts_with("burst must be at least"));
    }
}
