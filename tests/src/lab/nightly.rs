//! How much to try: a sample in every `make test`, everything when TIDEWATER_NIGHTLY is 1.

/// Whether everything is to be tried.
pub fn is_on() -> bool {
    std::env::var_os("TIDEWATER_NIGHTLY").is_some_and(|value| value == "1")
}

/// One of two amounts.
pub fn amount(sample: usize, all: usize) -> usize {
    if is_on() { all } else { sample }
}

/// Numbers that are the same for the same seed. TIDEWATER_SEED repeats a run; otherwise the clock chooses, and the seed
/// is printed with the failing test's output.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice for one test.
    pub fn new() -> Dice {
        let clock = || std::time::UNIX_EPOCH.elapsed().map_or(1, |time| u64::from(time.subsec_nanos()));
        let seed =
            std::env::var("TIDEWATER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(clock);
        eprintln!("TIDEWATER_SEED={seed} repeats this choice");
        Dice(seed)
    }

    /// A number from `1` to `most`.
    pub fn roll(&mut self, most: usize) -> usize {
        // The constants of Knuth's MMIX; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % most.max(1) + 1
    }
}

impl Default for Dice {
    fn default() -> Self {
        Dice::new()
    }
}
