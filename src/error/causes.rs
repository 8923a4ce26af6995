//! An error and what led to it.

use std::error::Error;
use std::io;

/// An error and what led to it, the first cause last. What an I/O error wraps is its cause, of which the standard library tells only
/// the next one.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e| cause(*e))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped as _),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_io_error_wraps_is_its_cause() {
        let inner = crate::Error::refused("cut short");
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner));
        assert!(causes(&error).any(|e| e.is::<crate::Error>()));
        assert_eq!(causes(&error).count(), 3);
    }
}
