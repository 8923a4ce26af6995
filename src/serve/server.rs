//! The lake and what all guests share, and a guest who was let in.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use tokio::runtime::{Handle, Runtime};

use super::failure::{Failure, Reason};
use super::share::Share;
use super::turns::Turns;
use super::users::{Guest, Users};
use crate::engine::session::{STACK_BYTES, runtime};
use crate::engine::{Engine, EngineSettings};
use crate::lake::Lake;
use crate::{Error, Result};

/// How long the end of the server waits for a statement that does not hear that it is stopped.
const PATIENCE: Duration = Duration::from_secs(1);

/// What guests may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once, through all doors.
    pub connections: usize,
    /// Connections of one user at once.
    pub connections_per_user: usize,
    /// Memory of one user's statements, bytes.
    pub memory_per_user: usize,
    /// Rows of an answer.
    pub rows: u64,
    /// How long a statement may take, from its arrival to its last row.
    pub time: Duration,
    /// Longest statement, bytes.
    pub statement_bytes: usize,
}

/// What is served.
pub struct Server {
    /// The lake.
    pub lake: Lake,
    /// Who may enter.
    pub users: Users,
    /// What each may take.
    pub limits: Limits,
    settings: EngineSettings,
    whole: Arc<RuntimeEnv>,
    /// Statements compute on threads of their own, so that doors can always answer.
    threads: Handle,
    /// Those threads; None once it is closed.
    open: Mutex<Option<Runtime>>,
    inside: Mutex<Inside>,
    /// Which statement begins to compute next.
    turns: Arc<Turns>,
    /// Statements that run.
    running: AtomicUsize,
    /// Statements that have ended.
    done: AtomicU64,
    /// Statements that doors keep prepared, of all connections.
    prepared: AtomicUsize,
}

/// What a server has to do.
#[derive(Debug, Default)]
pub struct Load {
    /// Sessions that are open, and how many can be.
    pub sessions: usize,
    pub sessions_limit: usize,
    /// Users with a session.
    pub users: usize,
    /// Statements that run, of these those that wait for their turn, and statements that have ended.
    pub running: usize,
    pub waiting: usize,
    pub done: u64,
    /// Statements that are kept prepared beyond connections.
    pub prepared: usize,
    /// Memory that statements have reserved, and can reserve, bytes.
    pub reserved: usize,
    pub memory: usize,
    /// Files whose footers are kept, their memory, and how much it can be, bytes.
    pub footers: usize,
    pub footer_bytes: usize,
    pub footer_limit: usize,
}

#[derive(Default)]
struct Inside {
    connections: usize,
    users: HashMap<String, UserState>,
}

/// What a user has inside. It is kept when the user leaves: there are few users.
struct UserState {
    connections: usize,
    share: Arc<Share>,
}

impl Server {
    /// Opens it; nobody is connected.
    pub fn open(lake: Lake, users: Users, limits: Limits, settings: EngineSettings) -> Result<Arc<Self>> {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        if let Some(count) = settings.threads {
            threads.worker_threads(count);
        }
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let turns = Turns::new(settings.threads.unwrap_or_else(cores));
        let threads = threads.thread_name("statements").thread_stack_size(STACK_BYTES).enable_all().build();
        let threads = threads.map_err(|e| Error::unavailable(format!("cannot start threads: {e}")))?;
        Ok(Arc::new(Self {
            lake,
            users,
            limits,
            whole: runtime(settings.memory_bytes)?,
            settings,
            threads: threads.handle().clone(),
            open: Mutex::new(Some(threads)),
            inside: Mutex::default(),
            turns: Arc::new(turns),
            running: AtomicUsize::new(0),
            done: AtomicU64::new(0),
            prepared: AtomicUsize::new(0),
        }))
    }

    /// Lets a guest in, until the value is dropped.
    pub fn enter(self: &Arc<Self>, guest: Guest) -> Result<Admission, Failure> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.connections >= self.limits.connections {
            return Err(Failure::new(
                Reason::Full,
                format!("too many connections: all {} places are taken (--connections)", self.limits.connections),
            ));
        }
        let user = inside.users.entry(guest.name.clone()).or_insert_with(|| UserState {
            connections: 0,
            share: Arc::new(Share::new(self.whole.memory_pool.clone(), self.limits.memory_per_user)),
        });
        if user.connections >= self.limits.connections_per_user {
            return Err(Failure::new(
                Reason::Full,
                format!(
                    "too many connections: {} has {} already (--connections-per-user)",
                    guest.name, user.connections
                ),
            ));
        }
        user.connections += 1;
        let share = user.share.clone();
        inside.connections += 1;
        Ok(Admission { server: self.clone(), guest, share })
    }

    /// How engines run here.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Where statements compute.
    pub fn threads(&self) -> Handle {
        self.threads.clone()
    }

    /// The turns of its statements.
    pub fn turns(&self) -> Arc<Turns> {
        self.turns.clone()
    }

    /// Statements that run now.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Tells how many statements a door keeps prepared.
    pub fn set_prepared(&self, count: usize) {
        self.prepared.store(count, Ordering::Relaxed);
    }

    /// What it has to do at the moment.
    pub fn load(&self) -> Load {
        let (sessions, users) = {
            let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
            (inside.connections, inside.users.values().filter(|user| user.connections > 0).count())
        };
        let footers = self.whole.cache_manager.get_file_metadata_cache();
        let kept = footers.list_entries();
        Load {
            sessions,
            sessions_limit: self.limits.connections,
            users,
            running: self.running(),
            waiting: self.turns.waiting(),
            done: self.done.load(Ordering::Relaxed),
            prepared: self.prepared.load(Ordering::Relaxed),
            reserved: self.whole.memory_pool.reserved(),
            memory: self.settings.memory_bytes,
            footers: kept.len(),
            footer_bytes: kept.values().map(|entry| entry.size_bytes).sum(),
            footer_limit: footers.cache_limit(),
        }
    }

    /// Ends the threads on which statements compute, and waits for them, as far as they can be stopped.
    pub async fn close(&self) {
        if let Some(threads) = self.leave() {
            // a runtime must not wait where tasks run; who waits here learns nothing from an error
            let _ = tokio::task::spawn_blocking(move || threads.shutdown_timeout(PATIENCE)).await;
        }
    }

    fn leave(&self) -> Option<Runtime> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(threads) = self.leave() {
            threads.shutdown_background();
        }
    }
}

/// A guest who is inside.
pub struct Admission {
    /// What is served.
    pub server: Arc<Server>,
    /// Who it is.
    pub guest: Guest,
    share: Arc<Share>,
}

impl Admission {
    /// A session of the engine that takes the guest's memory.
    pub fn engine(&self) -> Result<Engine> {
        let builder = RuntimeEnvBuilder::from_runtime_env(&self.server.whole);
        let runtime = builder.with_memory_pool(self.share.clone()).build_arc()?;
        let settings = EngineSettings { runtime: Some(runtime), ..self.server.settings.clone() };
        Engine::open_at(self.server.lake.clone(), settings, None)
    }

    /// Counts a statement as running, until it is dropped.
    pub fn begin(&self) -> RunningStatement {
        self.server.running.fetch_add(1, Ordering::Relaxed);
        RunningStatement(self.server.clone())
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut inside = self.server.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.connections -= 1;
        if let Some(user) = inside.users.get_mut(&self.guest.name) {
            user.connections -= 1;
        }
    }
}

/// A statement that runs.
pub struct RunningStatement(Arc<Server>);

impl Drop for RunningStatement {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.done.fetch_add(1, Ordering::Relaxed);
    }
}
