//! A change that another writer came before: decided again on what is there now, after a short wait, and not for ever.

use std::time::Duration;

use crate::{Error, ErrorKind, Result};

/// How often a change is tried again after another writer was faster.
const ATTEMPTS: u32 = 20;

/// The conflicts that a change has met.
#[derive(Debug, Default)]
pub struct Retry {
    conflicts: u32,
}

impl Retry {
    /// Waits where the change can be tried again on what is there now; every other failure is given back.
    pub async fn after(&mut self, error: Error) -> Result<()> {
        tokio::time::sleep(self.pause(error)?).await;
        Ok(())
    }

    fn pause(&mut self, error: Error) -> Result<Duration> {
        if error.kind() != ErrorKind::Conflict || self.conflicts == ATTEMPTS {
            return Err(error);
        }
        let pause = Duration::from_millis(10 << self.conflicts.min(6));
        self.conflicts += 1;
        Ok(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_conflicts_are_tried_again_and_not_for_ever() {
        let mut retry = Retry::default();
        assert!(retry.pause(Error::unavailable("the store is away")).is_err());
        let pauses: Vec<u128> =
            (0..ATTEMPTS).filter_map(|_| retry.pause(Error::conflict("")).ok()).map(|p| p.as_millis()).collect();
        assert_eq!((pauses.len(), &pauses[..3], pauses[19]), (20, &[10, 20, 40][..], 640));
        assert!(retry.pause(Error::conflict("")).is_err());
    }
}
