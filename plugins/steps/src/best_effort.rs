//! Removal goes on after a failure: what can be removed is removed, and the failures are told together.

use serde::de::DeserializeOwned;
use spec::config::Config;
use spec::error::{Error, Result};

/// The failures of a removal so far.
#[derive(Debug, Default)]
pub struct BestEffort {
    failures: Vec<Error>,
}

impl BestEffort {
    /// Nothing failed yet.
    pub fn new() -> BestEffort {
        BestEffort::default()
    }

    /// Keeps the failure of a step, and hands on what a step that worked returned.
    pub fn note<T>(&mut self, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.failures.push(error);
                None
            }
        }
    }

    /// The first failure, with the others in its details.
    ///
    /// # Errors
    /// When any step failed.
    pub fn finish(self) -> Result<()> {
        let mut failures = self.failures.into_iter();
        let Some(first) = failures.next() else {
            return Ok(());
        };
        let others: Vec<String> = failures.map(|error| error.to_string()).collect();
        if others.is_empty() {
            return Err(first);
        }
        Err(first.with_details(format!("also: {}", others.join("; "))))
    }
}

/// The keys that a DEL needs; `otherwise` where they cannot be read any more: a configuration that was made worse
/// after the ADD must not keep a container from being deleted.
pub fn keys<T: DeserializeOwned>(config: &Config, otherwise: T) -> T {
    config.own().unwrap_or_else(|error| {
        eprintln!("delete without the keys of the configuration: {error}");
        otherwise
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_first_failure_is_the_error_and_names_the_others() {
        let mut effort = BestEffort::new();
        assert_eq!(effort.note(Ok(1)), Some(1));
        effort.note::<()>(Err(Error::try_again("link busy")));
        effort.note::<()>(Err(Error::internal("lease lost")));
        let error = effort.finish().unwrap_err();
        assert_eq!(error.msg, "link busy");
        assert!(error.details.contains("lease lost"));
    }

    #[test]
    fn without_failures_all_is_well() {
        assert!(BestEffort::new().finish().is_ok());
    }
}
