//! [`Sealed`]: a shared value whose parts the compiler does not look through.
//!
//! The compiler proves for each future that may move between threads that all of its parts may, down to the last field. A plan
//! of DataFusion has hundreds of parts, and inside a trait's method such a proof is made anew for each method: it was half of
//! the time that our crate takes to build. Behind `Held` the proof ends. It costs one call through a table.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// What holds a value that threads may share.
trait Held<T: ?Sized>: Send + Sync {
    fn held(&self) -> &T;
}

impl<T: Send + Sync> Held<T> for T {
    fn held(&self) -> &T {
        self
    }
}

/// A value that threads share; a clone is the same value.
pub struct Sealed<T: ?Sized>(Arc<dyn Held<T>>);

impl<T: Send + Sync + 'static> Sealed<T> {
    /// Seals a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: ?Sized> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Sealed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        Held::<T>::held(&*self.0)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
