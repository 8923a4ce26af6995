//! A guest's connection: the session and its settings, and how both come back to what they were: `ROLLBACK`, `RESET`,
//! `DISCARD ALL`. A pool gives a connection to the next user as the first one found it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::common::config::{ConfigField, ConfigOptions};

use super::actions::is_of_engine;
use super::cursors::Cursors;
use super::settings::{REPORTED_CHANGES, Settings, SharedSettings, setting_of_engine};
use crate::engine::Statement;
use crate::sealed::Sealed;
use crate::serve::failure::{Failure, Reason};
use crate::serve::session::Session;

/// Savepoints of a transaction after which settings were changed.
const MOST_KEPT: usize = 64;

/// A connection whose guest has come in.
pub struct ClientState {
    /// The guest's session.
    pub session: Arc<Session>,
    settings: SharedSettings,
    /// The engine's settings as the connection began.
    first: Sealed<ConfigOptions>,
    transaction: Mutex<Option<Transaction>>,
    /// What the connection has named.
    pub cursors: Arc<Cursors>,
    /// The settings that were last reported to the client.
    told: Mutex<BTreeMap<&'static str, String>>,
}

/// All that can be set.
#[derive(Clone)]
struct AllSettings {
    settings: Settings,
    engine: Sealed<ConfigOptions>,
}

/// A transaction that is open.
struct Transaction {
    /// What it began with.
    before: AllSettings,
    /// What holds when it is committed: all but what was set LOCAL.
    after: AllSettings,
    /// What its savepoints go back to, in their order.
    kept: Vec<Kept>,
}

/// Settings before the first change after a savepoint.
struct Kept {
    /// Savepoints that were set then.
    points: usize,
    now: AllSettings,
    after: AllSettings,
}

impl ClientState {
    /// A connection that begins with these settings.
    pub fn new(session: Arc<Session>, settings: SharedSettings, cursors: Arc<Cursors>) -> Result<Self, Failure> {
        let first = Sealed::new(session.engine.settings());
        let (transaction, told) = (Mutex::default(), Mutex::default());
        let mut client_state = Self { session, settings, first, transaction, cursors, told };
        client_state.hold()?;
        client_state.first = Sealed::new(client_state.session.engine.settings());
        // all of it is reported at the start
        client_state.unreported_settings();
        Ok(client_state)
    }

    /// The settings that have changed since they were last reported to the client.
    pub fn unreported_settings(&self) -> Vec<(&'static str, String)> {
        let settings = self.settings();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = vec![];
        for name in REPORTED_CHANGES {
            let value = settings.get(name).unwrap_or_default();
            if told.get(name).map(String::as_str) != Some(value) {
                told.insert(*name, value.to_string());
                news.push((*name, value.to_string()));
            }
        }
        news
    }

    /// The settings.
    pub fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transaction(&self) -> MutexGuard<'_, Option<Transaction>> {
        self.transaction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn whole(&self) -> AllSettings {
        AllSettings { settings: self.settings().clone(), engine: Sealed::new(self.session.engine.settings()) }
    }

    fn restore_settings(&self, whole: AllSettings) -> Result<(), Failure> {
        *self.settings() = whole.settings;
        self.session.engine.restore(ConfigOptions::clone(&whole.engine))?;
        self.hold()
    }

    /// Lets the session do as the settings say.
    pub fn hold(&self) -> Result<(), Failure> {
        let (time, zone) = {
            let settings = self.settings();
            (settings.statement_timeout(), settings.zone().type_name())
        };
        self.session.set_time(time);
        Ok(self.session.engine.set_zone(&zone)?)
    }

    /// Begins a transaction, if none is open.
    pub fn begin(&self) {
        let before = self.whole();
        self.transaction().get_or_insert_with(|| Transaction { after: before.clone(), before, kept: vec![] });
    }

    /// True while a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.transaction().is_some()
    }

    /// Keeps the settings for the savepoints that are set, so many, before one is changed.
    pub fn keep_before_change(&self, points: usize) -> Result<(), Failure> {
        if points == 0 {
            return Ok(());
        }
        let now = self.whole();
        let mut transaction = self.transaction();
        let Some(transaction) = transaction.as_mut() else { return Ok(()) };
        if transaction.kept.last().is_some_and(|kept| kept.points >= points) {
            return Ok(());
        }
        if transaction.kept.len() >= MOST_KEPT {
            let message = format!("settings were changed after each of {MOST_KEPT} savepoints; release some");
            return Err(Failure::new(Reason::TooLarge, message));
        }
        let after = transaction.after.clone();
        transaction.kept.push(Kept { points, now, after });
        Ok(())
    }

    /// Goes back to the settings of the last of the savepoints that are left, so many.
    pub fn go_back_to(&self, points: usize) -> Result<(), Failure> {
        let now = self.transaction().as_mut().and_then(|transaction| {
            let first = transaction.kept.partition_point(|kept| kept.points < points);
            let kept = transaction.kept.drain(first..).next()?;
            transaction.after = kept.after;
            Some(kept.now)
        });
        now.map_or(Ok(()), |now| self.restore_settings(now))
    }

    /// Lets what was kept for savepoints that are released be that of those which are left, so many.
    pub fn released(&self, points: usize) {
        let mut transaction = self.transaction();
        let Some(transaction) = transaction.as_mut() else { return };
        let first = transaction.kept.partition_point(|kept| kept.points <= points);
        let kept = transaction.kept.drain(first..).next();
        let is_known = transaction.kept.last().is_some_and(|kept| kept.points == points);
        transaction.kept.extend(kept.filter(|_| points > 0 && !is_known).map(|kept| Kept { points, ..kept }));
    }

    /// Ends a transaction; what was set in it holds, or does not.
    pub async fn end(&self, keep: bool) -> Result<(), Failure> {
        self.cursors.end_transaction(keep).await;
        let Some(transaction) = self.transaction().take() else { return Ok(()) };
        self.restore_settings(if keep { transaction.after } else { transaction.before })
    }

    /// Sets a setting, or sets it back to what it was at the start.
    pub fn set(&self, name: &str, value: Option<&str>, local: bool) -> Result<(), Failure> {
        let change = |settings: &mut Settings| match value {
            Some(value) => settings.set(name, value),
            None => settings.reset(name),
        };
        change(&mut self.settings())?;
        self.hold()?;
        match self.transaction().as_mut().filter(|_| !local) {
            Some(transaction) => change(&mut transaction.after.settings),
            None => Ok(()),
        }
    }

    /// Notes that a statement has changed a setting of the engine, which holds beyond the transaction.
    pub fn changed(&self, name: &str) -> Result<(), Failure> {
        if let Some(transaction) = self.transaction().as_mut() {
            let mut engine = ConfigOptions::clone(&transaction.after.engine);
            assign(&mut engine, name, self.of_engine(name))?;
            transaction.after.engine = Sealed::new(engine);
        }
        Ok(())
    }

    /// A setting of the engine.
    pub fn of_engine(&self, name: &str) -> Option<String> {
        setting_of_engine(&self.session.engine.settings(), name)
    }

    /// Sets one setting back, or all.
    pub fn reset(&self, name: Option<&str>) -> Result<(), Failure> {
        match name {
            Some(name) if is_of_engine(name) => {
                let mut engine = self.session.engine.settings();
                assign(&mut engine, name, setting_of_engine(&self.first, name))?;
                self.session.engine.restore(engine)?;
                self.changed(name)
            }
            Some(name) => self.set(name, None, false),
            None => {
                self.settings().reset_all();
                self.session.engine.restore(ConfigOptions::clone(&self.first))?;
                self.hold()?;
                let whole = self.whole();
                if let Some(transaction) = self.transaction().as_mut() {
                    transaction.after = whole;
                }
                Ok(())
            }
        }
    }

    /// What a name is set to, Postgres' or the engine's, as it is shown.
    pub fn shown(&self, name: &str) -> Result<(String, String), Failure> {
        match is_of_engine(name) {
            true => Ok((name.to_lowercase(), self.of_engine(name).unwrap_or_default())),
            false => self.settings().shown(name),
        }
    }

    /// Sets settings of the engine that the client named at the start of its connection.
    pub async fn begin_with(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let statement = Statement::one(&format!("SET {name} = '{}'", value.replace('\'', "''")))?;
        self.session.run(&statement, vec![]).await?;
        self.first = Sealed::new(self.session.engine.settings());
        Ok(())
    }
}

fn assign(settings: &mut ConfigOptions, name: &str, value: Option<String>) -> Result<(), Failure> {
    let name = name.to_lowercase();
    Ok(match value {
        Some(value) => settings.set(&name, &value),
        None => settings.reset(&name),
    }?)
}

impl std::fmt::Debug for ClientState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientState")
    }
}
