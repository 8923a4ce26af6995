//! Errors of the Delta library become ours.

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::TransactionError;

use crate::Error;

/// A conflict stays a conflict; everything else of the log is a matter of the store.
pub(super) fn delta_error(error: DeltaTableError) -> Error {
    let is_lost = matches!(
        &error,
        DeltaTableError::Transaction {
            source: TransactionError::MaxCommitAttempts(_)
                | TransactionError::CommitConflict(_)
                | TransactionError::VersionAlreadyExists(_)
        } | DeltaTableError::VersionAlreadyExists(_)
    );
    if is_lost {
        return lost_race().caused_by(error);
    }
    match Error::of_store(&error) {
        Some(known) => known.caused_by(error),
        None => Error::unavailable(error.to_string()).caused_by(error),
    }
}

/// Another writer was faster.
pub(super) fn lost_race() -> Error {
    Error::conflict("another writer committed first; run the command again")
}
