//! Whose statement begins to compute next, where more come than there are cores.
//!
//! Statements that read much begin in turn: one of each user who waits, then the next of each. Journeys stand in a line of their
//! own, so that a look at rows never waits for them. Who came first is first, however long the planning of a statement took beside
//! those that compute. A journey works on all ranges of keys at once, so its turn takes as many cores as there are ranges: two of them
//! side by side would make none faster, and which one gets more of the cores would be chance. A turn ends when one of its cores has
//! nothing left to walk over, so that none waits while the last rows are walked over, added up and sent; with its statement; or after a
//! while, the sooner the more cores it takes. Then the statement goes on beside those that begin, so that short ones wait for long
//! ones only so long, and nothing waits for a client that does not read on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::engine::journey::{JourneyExec, PathExec, SharesEnd, WindowExec};
use crate::engine::session::Planned;
use crate::lake::scan::bytes_of_files;

/// Statements that read at most so many bytes of files wait for nobody.
const SMALL_BYTES: u64 = 1 << 20;

/// The longest turn of a statement that takes one core.
const LONGEST: Duration = Duration::from_secs(2);

/// Where statements of a kind wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Whoever walks over the rows of visitors.
    Journeys,
    /// All others.
    Rows,
}

/// What a statement waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    line: Line,
    /// Cores that its turn takes, at most all there are.
    cores: usize,
}

impl Need {
    /// What a plan waits for; None for what is so small that it waits for nobody. Who reads a distant store waits for the store
    /// more than for cores.
    pub fn of(plan: &Arc<dyn ExecutionPlan>, is_distant: bool) -> Option<Self> {
        if bytes_of_files(plan) <= SMALL_BYTES {
            return None;
        }
        let line = if has_journeys(plan) { Line::Journeys } else { Line::Rows };
        let cores = if line == Line::Journeys && !is_distant { ranges(plan) } else { 1 };
        Some(Self { line, cores })
    }

    /// The longest turn: the same time of all cores together.
    fn longest(self) -> Duration {
        LONGEST.div_f64(self.cores.max(1) as f64)
    }
}

/// Ranges of keys that are read.
fn ranges(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let below = plan.children().into_iter().map(ranges).max();
    below.unwrap_or_else(|| plan.output_partitioning().partition_count())
}

fn has_journeys(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<JourneyExec>()
        || plan.is::<PathExec>()
        || plan.is::<WindowExec>()
        || plan.children().into_iter().any(has_journeys)
}

/// Walks of all journeys of a plan; None where some of them, or much that is done with what they find, cannot be told.
fn shares(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let own = match plan.downcast_ref::<JourneyExec>() {
        Some(journey) => journey.shares()?,
        None if plan.is::<PathExec>() || plan.is::<WindowExec>() => return None,
        None => 0,
    };
    plan.children().into_iter().try_fold(own, |sum, input| Some(sum + shares(input)?))
}

/// The turns of all statements of a server.
pub struct Turns {
    cores: usize,
    journeys: Mutex<Queue>,
    rows: Mutex<Queue>,
    /// Statements that have come.
    come: AtomicU64,
}

struct Queue {
    /// Cores that no turn takes.
    free: usize,
    /// Users who wait, by place; the first one is next.
    users: VecDeque<Waiting>,
}

/// A user who waits with some statements.
struct Waiting {
    user: String,
    /// How many statements had come before the first of these, or before the user's last turn.
    place: u64,
    statements: VecDeque<Statement>,
}

/// A statement that waits.
struct Statement {
    cores: usize,
    turn: oneshot::Sender<Turn>,
}

impl Queue {
    /// Puts a statement that came at `place` behind those of its user, or a new user behind those who came before.
    fn push(&mut self, user: String, place: u64, statement: Statement) {
        if let Some(waiting) = self.users.iter_mut().find(|waiting| waiting.user == user) {
            waiting.statements.push_back(statement);
            return;
        }
        let behind = self.users.partition_point(|waiting| waiting.place <= place);
        self.users.insert(behind, Waiting { user, place, statements: VecDeque::from([statement]) });
    }

    /// The statement that is next, if its cores are free, which it takes. Its user is behind all who have `come`, then; who waits no
    /// longer takes none, and leaves its place to the user's next statement.
    fn next(&mut self, come: u64) -> Option<Statement> {
        let first = self.users.front()?.statements.front()?;
        let is_gone = first.turn.is_closed();
        let cores = if is_gone { 0 } else { first.cores };
        self.free = self.free.checked_sub(cores)?;
        let mut waiting = self.users.pop_front()?;
        let next = waiting.statements.pop_front().map(|next| Statement { cores, ..next });
        match (waiting.statements.is_empty(), is_gone) {
            (true, _) => {}
            (false, true) => self.users.push_front(waiting),
            (false, false) => self.users.push_back(Waiting { place: come, ..waiting }),
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
pub struct Turn(Option<(Arc<Turns>, Need)>);

/// A turn that ends by itself after a while, or when the value is dropped.
pub struct Begun {
    turn: Arc<Mutex<Option<Turn>>>,
    cores: usize,
    _clock: JoinSet<()>,
}

impl Turns {
    /// The statements of a line begin on so many cores.
    pub fn new(cores: usize) -> Self {
        let cores = cores.max(1);
        let queue = || Mutex::new(Queue { free: cores, users: VecDeque::new() });
        Self { cores, journeys: queue(), rows: queue(), come: AtomicU64::new(0) }
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

    /// Lets those begin who are next, as far as there are cores for them.
    fn pass_on(self: &Arc<Self>, line: Line) {
        loop {
            let come = self.come.load(Ordering::Relaxed);
            let Some(Statement { cores, turn }) = self.queue(line).next(come) else { return };
            if let Err(mut untaken) = turn.send(Turn(Some((self.clone(), Need { line, cores })))) {
                // it waits no longer, and what its turn takes is not to be given back twice
                untaken.0 = None;
                self.queue(line).free += cores;
            }
        }
    }

    /// Statements that wait.
    pub fn waiting(&self) -> usize {
        let alive = |waiting: &Waiting| waiting.statements.iter().filter(|s| !s.turn.is_closed()).count();
        let of_line = |line| self.queue(line).users.iter().map(alive).sum::<usize>();
        of_line(Line::Journeys) + of_line(Line::Rows)
    }
}

impl Arrival {
    /// The statement's turn. Whoever stops waiting is passed over.
    pub async fn turn(self, need: Need) -> Turn {
        let Self { turns, user, place } = self;
        let (turn, waiting) = oneshot::channel();
        let cores = need.cores.clamp(1, turns.cores);
        turns.queue(need.line).push(user, place, Statement { cores, turn });
        turns.pass_on(need.line);
        // the queue keeps who waits until it is passed a turn
        waiting.await.unwrap_or(Turn(None))
    }
}

impl Turn {
    /// Lets the turn end after a while; a task of `runtime` looks at the clock.
    pub fn begin(self, runtime: &Handle) -> Begun {
        let (longest, cores) = self.0.as_ref().map_or((LONGEST, 1), |(_, need)| (need.longest(), need.cores));
        let turn = Arc::new(Mutex::new(Some(self)));
        let ending = turn.clone();
        let mut clock = JoinSet::new();
        let until = async move {
            sleep(longest).await;
            end(&ending);
        };
        clock.spawn_on(until, runtime);
        Begun { turn, cores, _clock: clock }
    }
}

impl Begun {
    /// What was planned; the turn ends when its journeys leave one of the cores without work.
    pub fn heeding(&self, (plan, context): Planned) -> Planned {
        match shares(&plan).filter(|&shares| shares > 0) {
            Some(shares) => (plan, self.until_idle(shares).heard_in(context)),
            None => (plan, context),
        }
    }

    fn until_idle(&self, shares: usize) -> SharesEnd {
        let turn = self.turn.clone();
        SharesEnd::new(shares, self.cores, move || end(&turn))
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
        let Some((turns, Need { line, cores })) = self.0.take() else { return };
        turns.queue(line).free += cores;
        turns.pass_on(line);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;

    use super::*;

    const JOURNEY: Need = Need { line: Line::Journeys, cores: 1 };
    const ROWS: Need = Need { line: Line::Rows, cores: 1 };

    #[tokio::test]
    async fn one_of_each_user_in_turn() {
        let turns = Arc::new(Turns::new(1));
        let first = turns.arrive("ann").turn(JOURNEY).await;
        let order = Arc::new(Mutex::new(vec![]));
        let mut tasks = JoinSet::new();
        for (user, number) in [("ann", 1), ("ann", 2), ("ann", 3), ("ben", 4), ("mia", 5), ("ben", 6)] {
            let (turns, order) = (turns.clone(), order.clone());
            let mut wait = Box::pin(async move {
                let _turn = turns.arrive(user).turn(JOURNEY).await;
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
        let first = turns.arrive("ann").turn(JOURNEY).await;
        let [early, late, last] = ["ben", "mia", "ann"].map(|user| turns.arrive(user));
        let order = Arc::new(Mutex::new(vec![]));
        let mut tasks = JoinSet::new();
        for (arrival, number) in [(late, 2), (last, 3), (early, 1)] {
            let order = order.clone();
            let mut wait = Box::pin(async move {
                let _turn = arrival.turn(JOURNEY).await;
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
        fn push(turns: &Arc<Turns>, user: &str) -> oneshot::Receiver<Turn> {
            let Arrival { user, place, .. } = turns.arrive(user);
            let (turn, waiting) = oneshot::channel();
            turns.queue(Line::Rows).push(user, place, Statement { cores: 1, turn });
            waiting
        }
        let turns = Arc::new(Turns::new(1));
        let _waiting = ["ann", "ann", "ben"].map(|user| push(&turns, user));
        let come = turns.come.load(Ordering::Relaxed);
        assert!(turns.queue(Line::Rows).next(come).is_some());
        let _late = push(&turns, "mia");
        let queue = turns.queue(Line::Rows);
        let users: Vec<&str> = queue.users.iter().map(|waiting| waiting.user.as_str()).collect();
        assert_eq!(users, ["ben", "ann", "mia"]);
    }

    #[tokio::test]
    async fn who_stops_waiting_is_passed_over() {
        let turns = Arc::new(Turns::new(1));
        let first = turns.arrive("ann").turn(JOURNEY).await;
        let mut gone = Box::pin(turns.arrive("ben").turn(JOURNEY));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut late = Box::pin(turns.arrive("mia").turn(JOURNEY));
        assert!(late.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        let passed = late.await;
        // one that comes too late to be taken is passed on as well
        let mut untaken = Box::pin(turns.arrive("ben").turn(JOURNEY));
        assert!(untaken.as_mut().now_or_never().is_none());
        drop(passed);
        drop(untaken);
        assert_eq!((turns.waiting(), turns.queue(Line::Journeys).free), (0, 1));
    }

    #[test]
    fn who_stops_waiting_leaves_its_place_to_the_users_next() {
        let turns = Arc::new(Turns::new(1));
        let first = turns.arrive("ann").turn(JOURNEY).now_or_never().unwrap();
        let mut waiting = ["ben", "ben", "mia"].map(|user| Box::pin(turns.arrive(user).turn(JOURNEY)));
        assert!(waiting.iter_mut().all(|ask| ask.as_mut().now_or_never().is_none()));
        let [gone, mut next, mut late] = waiting;
        drop(gone);
        drop(first);
        assert!(late.as_mut().now_or_never().is_none() && next.as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_looks_at_rows_waits_for_no_journey() {
        let turns = Arc::new(Turns::new(1));
        let journey = turns.arrive("ann").turn(JOURNEY).await;
        let mut second = Box::pin(turns.arrive("ben").turn(JOURNEY));
        assert!(second.as_mut().now_or_never().is_none());
        let rows = turns.arrive("mia").turn(ROWS).now_or_never().unwrap();
        // but for others who do
        let mut more = Box::pin(turns.arrive("ann").turn(ROWS));
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
        let long = turns.arrive("ann").turn(JOURNEY).await.begin(&Handle::current());
        let short = tokio::time::timeout(60 * LONGEST, turns.arrive("ben").turn(JOURNEY)).await.unwrap();
        drop((long, short));
        let next = turns.arrive("ann").turn(JOURNEY).await.begin(&Handle::current());
        assert_eq!(turns.queue(Line::Journeys).free, 0);
        drop(next);
        assert_eq!(turns.queue(Line::Journeys).free, 1);
    }

    #[tokio::test]
    async fn a_journey_that_leaves_a_core_idle_lets_others_begin() {
        let turns = Arc::new(Turns::new(2));
        let wide = Need { cores: 2, ..JOURNEY };
        let begun = turns.arrive("ann").turn(wide).await.begin(&Handle::current());
        let mut next = Box::pin(turns.arrive("ben").turn(wide));
        let walks = begun.until_idle(4);
        for waits in [true, true, true, false] {
            assert_eq!(next.as_mut().now_or_never().is_none(), waits);
            walks.one_ended();
        }
        drop(begun);
        assert_eq!((turns.waiting(), turns.queue(Line::Journeys).free), (0, 2));
    }

    #[tokio::test]
    async fn a_journey_on_all_cores_waits_until_they_are_free() {
        let turns = Arc::new(Turns::new(2));
        let wide = Need { cores: 8, ..JOURNEY };
        let mut order = ["ann", "ben", "mia"].map(|user| Box::pin(turns.arrive(user).turn(wide)));
        let first = order[0].as_mut().now_or_never().unwrap();
        assert!(order[1].as_mut().now_or_never().is_none() && order[2].as_mut().now_or_never().is_none());
        drop(first);
        let second = order[1].as_mut().now_or_never().unwrap();
        assert!(order[2].as_mut().now_or_never().is_none());
        drop(second);
        drop(order[2].as_mut().now_or_never().unwrap());
        // two that take one each are at work together, and nobody overtakes who waits for both
        let [one, other] = ["ann", "ben"].map(|user| turns.arrive(user).turn(JOURNEY).now_or_never().unwrap());
        let mut all = Box::pin(turns.arrive("mia").turn(wide));
        assert!(all.as_mut().now_or_never().is_none());
        drop(one);
        let mut late = Box::pin(turns.arrive("ann").turn(JOURNEY));
        assert!(all.as_mut().now_or_never().is_none() && late.as_mut().now_or_never().is_none());
        drop(other);
        let taken = all.as_mut().now_or_never().unwrap();
        assert!(late.as_mut().now_or_never().is_none());
        drop(taken);
        drop(late.as_mut().now_or_never().unwrap());
        assert_eq!((turns.waiting(), turns.queue(Line::Journeys).free), (0, 2));
    }

    #[test]
    fn who_asks_again_and_again_waits_for_each_other_user_once() {
        let users = ["ann", "ben", "eva", "ida", "jon", "kai", "mia", "tom"];
        let turns = Arc::new(Turns::new(2));
        let all = Need { cores: 2, ..JOURNEY };
        let mut asked: Vec<_> = users.iter().map(|user| Box::pin(turns.arrive(user).turn(all))).collect();
        for asks in 0..3 * users.len() {
            let turn = asked.iter_mut().enumerate().fold(None, |found, (user, asked)| {
                let turn = asked.as_mut().now_or_never().map(|turn| (user, turn));
                assert!(found.is_none() || turn.is_none(), "one of them has a turn");
                found.or(turn)
            });
            let (user, turn) = turn.unwrap();
            assert_eq!(user, asks % users.len());
            asked[user] = Box::pin(turns.arrive(users[user]).turn(all));
            drop(turn);
        }
    }

    #[test]
    fn a_turn_on_more_cores_is_over_sooner() {
        assert_eq!((JOURNEY.longest(), Need { cores: 4, ..JOURNEY }.longest()), (LONGEST, LONGEST / 4));
    }
}
