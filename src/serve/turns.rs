//! Whose statement begins to compute next, where more come than there are cores.
//!
//! Statements that read much begin in turn: one of each user who waits, then the next of each. Journeys stand in a line of their
//! own, so that a look at rows never waits for them. A turn ends with its statement, or after a while: then the statement goes on
//! beside those that begin, so that short ones wait for long ones only so long, and nothing waits for a client that does not
//! read on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::physical_plan::ExecutionPlan;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::engine::journey::{JourneyExec, PathExec, WindowExec};
use crate::lake::scan::bytes_of_files;

/// Statements that read at most so many bytes of files wait for nobody.
const SMALL_BYTES: u64 = 1 << 20;

/// The longest turn.
const LONGEST: Duration = Duration::from_secs(2);

/// Where statements of a kind wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Whoever walks over the rows of visitors.
    Journeys,
    /// All others.
    Rows,
}

impl Line {
    /// Where a plan waits; None for what is so small that it waits for nobody.
    pub fn of(plan: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        if bytes_of_files(plan) <= SMALL_BYTES {
            return None;
        }
        Some(if has_journeys(plan) { Self::Journeys } else { Self::Rows })
    }
}

fn has_journeys(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<JourneyExec>()
        || plan.is::<PathExec>()
        || plan.is::<WindowExec>()
        || plan.children().into_iter().any(has_journeys)
}

/// The turns of all statements of a server.
pub struct Turns {
    journeys: Mutex<Queue>,
    rows: Mutex<Queue>,
}

struct Queue {
    free: usize,
    /// Users who wait, each with statements; the first one is next.
    users: VecDeque<(String, VecDeque<oneshot::Sender<Turn>>)>,
}

impl Queue {
    /// The statement that is next.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let (user, mut waiting) = self.users.pop_front()?;
        let next = waiting.pop_front();
        if !waiting.is_empty() {
            self.users.push_back((user, waiting));
        }
        next
    }
}

/// A statement's turn, until it is dropped.
pub struct Turn(Option<(Arc<Turns>, Line)>);

/// A turn that ends by itself after a while, or when the value is dropped.
pub struct Begun {
    turn: Arc<Mutex<Option<Turn>>>,
    _clock: JoinSet<()>,
}

impl Turns {
    /// So many statements of a line begin at once.
    pub fn new(at_once: usize) -> Self {
        let queue = || Mutex::new(Queue { free: at_once.max(1), users: VecDeque::new() });
        Self { journeys: queue(), rows: queue() }
    }

    /// The turn of a statement of `user`. Whoever stops waiting is passed over.
    pub async fn wait(self: &Arc<Self>, user: &str, line: Line) -> Turn {
        let waiting = {
            let mut queue = self.queue(line);
            if queue.free > 0 {
                queue.free -= 1;
                return Turn(Some((self.clone(), line)));
            }
            let (sender, receiver) = oneshot::channel();
            match queue.users.iter_mut().find(|(known, _)| known == user) {
                Some((_, statements)) => statements.push_back(sender),
                None => queue.users.push_back((user.to_string(), VecDeque::from([sender]))),
            }
            receiver
        };
        // the queue keeps who waits until it is passed a turn
        waiting.await.unwrap_or(Turn(None))
    }

    fn queue(&self, line: Line) -> MutexGuard<'_, Queue> {
        let queue = match line {
            Line::Journeys => &self.journeys,
            Line::Rows => &self.rows,
        };
        queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Statements that wait.
    pub fn waiting(&self) -> usize {
        let alive = |statements: &VecDeque<oneshot::Sender<Turn>>| statements.iter().filter(|s| !s.is_closed()).count();
        let of_line = |line| self.queue(line).users.iter().map(|(_, statements)| alive(statements)).sum::<usize>();
        of_line(Line::Journeys) + of_line(Line::Rows)
    }
}

impl Turn {
    /// Lets the turn end after a while; a task of `runtime` looks at the clock.
    pub fn begin(self, runtime: &Handle) -> Begun {
        let turn = Arc::new(Mutex::new(Some(self)));
        let ending = turn.clone();
        let mut clock = JoinSet::new();
        let until = async move {
            sleep(LONGEST).await;
            end(&ending);
        };
        clock.spawn_on(until, runtime);
        Begun { turn, _clock: clock }
    }
}

fn end(turn: &Mutex<Option<Turn>>) {
    drop(turn.lock().unwrap_or_else(PoisonError::into_inner).take());
}

impl Drop for Begun {
    fn drop(&mut self) {
        end(&self.turn);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some((turns, line)) = self.0.take() else { return };
        loop {
            let next = {
                let mut queue = turns.queue(line);
                match queue.next() {
                    Some(next) => next,
                    None => {
                        queue.free += 1;
                        return;
                    }
                }
            };
            match next.send(Turn(Some((turns.clone(), line)))) {
                Ok(()) => return,
                // it waits no longer, and the turn is not to be passed on twice
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_of_each_user_in_turn() {
        let turns = Arc::new(Turns::new(1));
        let first = turns.wait("ann", Line::Journeys).await;
        let order = Arc::new(Mutex::new(vec![]));
        let mut tasks = JoinSet::new();
        for (user, number) in [("ann", 1), ("ann", 2), ("ann", 3), ("ben", 4), ("mia", 5), ("ben", 6)] {
            let (turns, order) = (turns.clone(), order.clone());
            let mut wait = Box::pin(async move {
                let _turn = turns.wait(user, Line::Journeys).await;
                order.lock().unwrap().push(number);
            });
            // it is in the queue before the next one
            assert!(wait.as_mut().now_or_never().is_none());
            tasks.spawn(wait);
        }
        assert_eq!(turns.waiting(), 6);
        drop(first);
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 4, 5, 2, 6, 3]);
        assert_eq!((turns.waiting(), turns.queue(Line::Journeys).free), (0, 1));
    }

    #[tokio::test]
    async fn who_stops_waiting_is_passed_over() {
        let turns = Arc::new(Turns::new(1));
        let first = turns.wait("ann", Line::Journeys).await;
        let mut gone = Box::pin(turns.wait("ben", Line::Journeys));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut late = Box::pin(turns.wait("mia", Line::Journeys));
        assert!(late.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        let passed = late.await;
        // one that comes too late to be taken is passed on as well
        let mut untaken = Box::pin(turns.wait("ben", Line::Journeys));
        assert!(untaken.as_mut().now_or_never().is_none());
        drop(passed);
        drop(untaken);
        assert_eq!((turns.waiting(), turns.queue(Line::Journeys).free), (0, 1));
    }

    #[tokio::test]
    async fn who_looks_at_rows_waits_for_no_journey() {
        let turns = Arc::new(Turns::new(1));
        let journey = turns.wait("ann", Line::Journeys).await;
        let mut second = Box::pin(turns.wait("ben", Line::Journeys));
        assert!(second.as_mut().now_or_never().is_none());
        let rows = turns.wait("mia", Line::Rows).now_or_never().unwrap();
        // but for others who do
        let mut more = Box::pin(turns.wait("ann", Line::Rows));
        assert!(more.as_mut().now_or_never().is_none());
        assert_eq!(turns.waiting(), 2);
        drop(rows);
        assert!(more.now_or_never().is_some() && second.as_mut().now_or_never().is_none());
        drop(journey);
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_long_statement_lets_others_begin() {
        let turns = Arc::new(Turns::new(1));
        let long = turns.wait("ann", Line::Journeys).await.begin(&Handle::current());
        let short = tokio::time::timeout(60 * LONGEST, turns.wait("ben", Line::Journeys)).await.unwrap();
        drop((long, short));
        let next = turns.wait("ann", Line::Journeys).await.begin(&Handle::current());
        assert_eq!(turns.queue(Line::Journeys).free, 0);
        drop(next);
        assert_eq!(turns.queue(Line::Journeys).free, 1);
    }
}
