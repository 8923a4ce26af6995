//! Whose statement begins to compute next, where more come than there are cores.
//!
//! Statements that read much begin in turn: one of each user who waits, then the next of each. Journeys stand in a line of their
//! own, so that a look at rows never waits for them. Who came first is first, however long the planning of a statement took beside
//! those that compute. A turn ends with its statement, or after a while: then the statement goes on beside those that begin, so
//! that short ones wait for long ones only so long, and nothing waits for a client that does not read on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Statements that have come.
    come: AtomicU64,
}

struct Queue {
    free: usize,
    /// Users who wait, by place; the first one is next.
    users: VecDeque<Waiting>,
}

/// A user who waits with some statements.
struct Waiting {
    user: String,
    /// How many statements had come before the first of these, or before the user's last turn.
    place: u64,
    statements: VecDeque<oneshot::Sender<Turn>>,
}

impl Queue {
    /// Puts a statement that came at `place` behind those of its user, or a new user behind those who came before.
    fn push(&mut self, user: String, place: u64, statement: oneshot::Sender<Turn>) {
        if let Some(waiting) = self.users.iter_mut().find(|waiting| waiting.user == user) {
            waiting.statements.push_back(statement);
            return;
        }
        let behind = self.users.partition_point(|waiting| waiting.place <= place);
        self.users.insert(behind, Waiting { user, place, statements: VecDeque::from([statement]) });
    }

    /// The statement that is next. Its user is behind all who have `come`, then.
    fn next(&mut self, come: u64) -> Option<oneshot::Sender<Turn>> {
        let mut waiting = self.users.pop_front()?;
        let next = waiting.statements.pop_front();
        if !waiting.statements.is_empty() {
            self.users.push_back(Waiting { place: come, ..waiting });
        }
        next
    }
}

/// A statement that has come.
pub struct Arrival {
    turns: Arc<Turns>,
    user: String,
    place: u64,
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
        Self { journeys: queue(), rows: queue(), come: AtomicU64::new(0) }
    }

    /// A statement of `user` comes, before it is planned.
    pub fn arrive(self: &Arc<Self>, user: &str) -> Arrival {
        let place = self.come.fetch_add(1, Ordering::Relaxed);
        Arrival { turns: self.clone(), user: user.to_string(), place }
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
        let alive = |waiting: &Waiting| waiting.statements.iter().filter(|s| !s.is_closed()).count();
        let of_line = |line| self.queue(line).users.iter().map(alive).sum::<usize>();
        of_line(Line::Journeys) + of_line(Line::Rows)
    }
}

impl Arrival {
    /// The statement's turn. Whoever stops waiting is passed over.
    pub async fn turn(self, line: Line) -> Turn {
        let Self { turns, user, place } = self;
        let waiting = {
            let mut queue = turns.queue(line);
            if queue.free > 0 {
                queue.free -= 1;
                return Turn(Some((turns.clone(), line)));
            }
            let (sender, receiver) = oneshot::channel();
            queue.push(user, place, sender);
            receiver
        };
        // the queue keeps who waits until it is passed a turn
        waiting.await.unwrap_or(Turn(None))
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
                let come = turns.come.load(Ordering::Relaxed);
                let mut queue = turns.queue(line);
                match queue.next(come) {
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
        let first = turns.arrive("ann").turn(Line::Journeys).await;
        let order = Arc::new(Mutex::new(vec![]));
        let mut tasks = JoinSet::new();
        for (user, number) in [("ann", 1), ("ann", 2), ("ann", 3), ("ben", 4), ("mia", 5), ("ben", 6)] {
            let (turns, order) = (turns.clone(), order.clone());
            let mut wait = Box::pin(async move {
                let _turn = turns.arrive(user).turn(Line::Journeys).await;
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
    async fn who_comes_first_is_first_however_long_it_is_planned() {
        let turns = Arc::new(Turns::new(1));
        let first = turns.arrive("ann").turn(Line::Journeys).await;
        let [early, late, last] = ["ben", "mia", "ann"].map(|user| turns.arrive(user));
        let order = Arc::new(Mutex::new(vec![]));
        let mut tasks = JoinSet::new();
        for (arrival, number) in [(late, 2), (last, 3), (early, 1)] {
            let order = order.clone();
            let mut wait = Box::pin(async move {
                let _turn = arrival.turn(Line::Journeys).await;
                order.lock().unwrap().push(number);
            });
            assert!(wait.as_mut().now_or_never().is_none());
            tasks.spawn(wait);
        }
        drop(first);
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn who_had_a_turn_is_behind_those_who_wait_and_before_those_who_come() {
        fn push(turns: &Arc<Turns>, user: &str) {
            let Arrival { user, place, .. } = turns.arrive(user);
            turns.queue(Line::Rows).push(user, place, oneshot::channel().0);
        }
        let turns = Arc::new(Turns::new(1));
        for user in ["ann", "ann", "ben"] {
            push(&turns, user);
        }
        let come = turns.come.load(Ordering::Relaxed);
        assert!(turns.queue(Line::Rows).next(come).is_some());
        push(&turns, "mia");
        let queue = turns.queue(Line::Rows);
        let users: Vec<&str> = queue.users.iter().map(|waiting| waiting.user.as_str()).collect();
        assert_eq!(users, ["ben", "ann", "mia"]);
    }

    #[tokio::test]
    async fn who_stops_waiting_is_passed_over() {
        let turns = Arc::new(Turns::new(1));
        let first = turns.arrive("ann").turn(Line::Journeys).await;
        let mut gone = Box::pin(turns.arrive("ben").turn(Line::Journeys));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut late = Box::pin(turns.arrive("mia").turn(Line::Journeys));
        assert!(late.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        let passed = late.await;
        // one that comes too late to be taken is passed on as well
        let mut untaken = Box::pin(turns.arrive("ben").turn(Line::Journeys));
        assert!(untaken.as_mut().now_or_never().is_none());
        drop(passed);
        drop(untaken);
        assert_eq!((turns.waiting(), turns.queue(Line::Journeys).free), (0, 1));
    }

    #[tokio::test]
    async fn who_looks_at_rows_waits_for_no_journey() {
        let turns = Arc::new(Turns::new(1));
        let journey = turns.arrive("ann").turn(Line::Journeys).await;
        let mut second = Box::pin(turns.arrive("ben").turn(Line::Journeys));
        assert!(second.as_mut().now_or_never().is_none());
        let rows = turns.arrive("mia").turn(Line::Rows).now_or_never().unwrap();
        // but for others who do
        let mut more = Box::pin(turns.arrive("ann").turn(Line::Rows));
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
        let long = turns.arrive("ann").turn(Line::Journeys).await.begin(&Handle::current());
        let short = tokio::time::timeout(60 * LONGEST, turns.arrive("ben").turn(Line::Journeys)).await.unwrap();
        drop((long, short));
        let next = turns.arrive("ann").turn(Line::Journeys).await.begin(&Handle::current());
        assert_eq!(turns.queue(Line::Journeys).free, 0);
        drop(next);
        assert_eq!(turns.queue(Line::Journeys).free, 1);
    }
}
