//! Who waits for the cores of a journey hears when one of them has nothing left to walk over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::execution::TaskContext;

/// Hears of each share of a journey that was walked over.
pub struct SharesEnd {
    /// Shares that are still to end.
    rest: AtomicUsize,
    then: Box<dyn Fn() + Send + Sync>,
}

impl SharesEnd {
    /// Of so many shares; `then` is called once, when fewer of them are left than there are cores for them.
    pub fn new(shares: usize, cores: usize, then: impl Fn() + Send + Sync + 'static) -> Self {
        Self { rest: AtomicUsize::new((shares + 1).saturating_sub(cores).max(1)), then: Box::new(then) }
    }

    /// The context for a plan whose journeys tell this; one that others have as well stays as it is, and nothing is told.
    pub fn heard_in(self, context: Arc<TaskContext>) -> Arc<TaskContext> {
        match Arc::try_unwrap(context) {
            Ok(context) => {
                let config = context.session_config().clone().with_extension(Arc::new(self));
                Arc::new(context.with_session_config(config))
            }
            Err(shared) => shared,
        }
    }

    /// What hears of journeys in a context, if anything does.
    pub(super) fn of(context: &TaskContext) -> Option<Arc<Self>> {
        context.session_config().get_extension::<Self>()
    }

    /// A share was walked over.
    pub fn one_ended(&self) {
        let left = |rest: usize| rest.checked_sub(1);
        if self.rest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left) == Ok(1) {
            (self.then)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many shares somebody is told, and how often.
    fn told(shares: usize, cores: usize) -> Vec<usize> {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let end = SharesEnd::new(shares, cores, move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let context = end.heard_in(Arc::new(TaskContext::default()));
        let tell = |_| {
            SharesEnd::of(&context).iter().for_each(|end| end.one_ended());
            count.load(Ordering::Relaxed)
        };
        (0..shares).map(tell).collect()
    }

    #[test]
    fn a_core_without_work_is_told_once() {
        assert_eq!(told(2, 2), [1, 1]);
        assert_eq!(told(4, 2), [0, 0, 1, 1]);
        assert_eq!(told(3, 1), [0, 0, 1]);
        assert_eq!(told(1, 4), [1]);
    }

    #[test]
    fn a_context_of_others_stays_as_it_is() {
        let context = Arc::new(TaskContext::default());
        let same = SharesEnd::new(1, 1, || {}).heard_in(context.clone());
        assert!(Arc::ptr_eq(&same, &context) && SharesEnd::of(&same).is_none());
    }
}
