//! The first minute of a connection: TLS where it is wanted, SCRAM-SHA-256, and the limits.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::{Sink, SinkExt};
use pgwire::api::auth::sasl::SASLState;
use pgwire::api::auth::sasl::scram::ScramAuth;
use pgwire::api::auth::{
    AuthSource, LoginInfo, Password, ServerParameterProvider, StartupHandler, finish_authentication,
    protocol_negotiation, save_startup_parameters_to_metadata,
};
use pgwire::api::{
    ClientInfo, METADATA_DATABASE, METADATA_USER, PgWireConnectionState, PidSecretKeyGenerator,
    RandomPidSecretKeyGenerator,
};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::Mutex;

use super::{Visitors, catalog, wire_error, words};
use crate::engine::session::CATALOG;
use crate::serve::failure::{Failure, Reason};
use crate::serve::passes::guessed;
use crate::serve::session::Session;
use crate::serve::users::{ITERATIONS, Users};

const MECHANISM: &str = "SCRAM-SHA-256";

/// Process ids that cancel requests name; unique in this process.
static PROCESS_IDS: OnceLock<RandomPidSecretKeyGenerator> = OnceLock::new();

/// Lets one connection in.
pub struct Startup {
    visitors: Arc<Visitors>,
    session: Arc<OnceLock<Arc<Session>>>,
    scram: ScramAuth,
    state: Mutex<SASLState>,
}

impl Startup {
    /// A connection of which nothing is known.
    pub fn new(visitors: Arc<Visitors>, session: Arc<OnceLock<Arc<Session>>>) -> Self {
        let mut scram = ScramAuth::new(Arc::new(Secrets(visitors.server.users.clone())));
        scram.set_iterations(ITERATIONS);
        Self { visitors, session, scram, state: Mutex::new(SASLState::Initial) }
    }

    async fn scram<C>(&self, client: &mut C, message: PasswordMessageFamily) -> PgWireResult<bool>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut state = self.state.lock().await;
        let message = if matches!(*state, SASLState::Initial) {
            let first = message.into_sasl_initial_response()?;
            if first.auth_method != MECHANISM {
                return Err(PgWireError::UnsupportedSASLAuthMethod(first.auth_method));
            }
            *state = SASLState::ScramClientFirstReceived;
            PasswordMessageFamily::SASLInitialResponse(first)
        } else {
            PasswordMessageFamily::SASLResponse(message.into_sasl_response()?)
        };
        let (answer, next) = self.scram.process_scram_message(client, message, &state).await?;
        client.send(PgWireBackendMessage::Authentication(answer)).await?;
        *state = next;
        Ok(matches!(*state, SASLState::Finished))
    }

    /// The guest's session, now that the password was right.
    fn enter<C: ClientInfo>(&self, client: &mut C) -> Result<Arc<Session>, Failure> {
        let name = client.metadata().get(METADATA_USER).cloned().unwrap_or_default();
        let server = &self.visitors.server;
        let guest = server.users.guest(&name)?.ok_or_else(|| wrong_password(&name))?;
        let database = client.metadata().get(METADATA_DATABASE).filter(|d| !d.is_empty());
        // psql asks for the user's name where none is given
        if database.is_some_and(|d| *d != CATALOG && *d != name && d != "postgres") {
            let message = format!("database {:?} does not exist; the lake is {CATALOG}", database.map_or("", |d| d));
            return Err(Failure::new(Reason::Engine(crate::ErrorKind::Configuration), message));
        }
        let session = Session::new(server.enter(guest)?)?;
        catalog::add(&session)?;
        Ok(Arc::new(session))
    }
}

#[async_trait]
impl StartupHandler for Startup {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(startup) => {
                if self.visitors.secure && !client.is_secure() {
                    return Err(wire_error(
                        "FATAL",
                        Failure::new(Reason::Forbidden, "this server wants TLS: sslmode=require"),
                    ));
                }
                protocol_negotiation(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                let offer = Authentication::SASL(vec![MECHANISM.to_string()]);
                client.send(PgWireBackendMessage::Authentication(offer)).await?;
            }
            PgWireFrontendMessage::PasswordMessageFamily(message) => {
                let name = client.metadata().get(METADATA_USER).cloned().unwrap_or_default();
                // whatever was wrong about the exchange, there is one answer
                match self.scram(client, message).await {
                    Ok(true) => {}
                    Ok(false) => return Ok(()),
                    Err(error @ (PgWireError::IoError(_) | PgWireError::UserError(_))) => return Err(error),
                    Err(_) => {
                        guessed().await;
                        return Err(wire_error("FATAL", wrong_password(&name)));
                    }
                }
                let session = self.enter(client).map_err(|failure| wire_error("FATAL", failure))?;
                let (process, secret) = PROCESS_IDS.get_or_init(Default::default).generate(client);
                client.set_pid_and_secret_key(process, secret.clone());
                self.visitors.remember((process, secret.to_bytes().to_vec()), &session);
                // a second login on one connection changes nothing
                let _ = self.session.set(session);
                finish_authentication(client, &Parameters).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn wrong_password(name: &str) -> Failure {
    Failure::new(Reason::Unknown, format!("password authentication failed for user \"{name}\""))
}

/// What the file of users knows, as SCRAM asks for it.
#[derive(Debug)]
struct Secrets(Users);

#[async_trait]
impl AuthSource for Secrets {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        let secret = self.0.secret(login.user().unwrap_or_default());
        let (salt, salted) = secret.map_err(|error| wire_error("FATAL", error.into()))?;
        Ok(Password::new(Some(salt), salted))
    }
}

/// What the server tells of itself.
struct Parameters;

impl ServerParameterProvider for Parameters {
    fn server_parameters<C: ClientInfo>(&self, client: &C) -> Option<HashMap<String, String>> {
        let mut all: HashMap<String, String> =
            words::REPORTED.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        for (name, from) in [("session_authorization", METADATA_USER), ("application_name", "application_name")] {
            if let Some(value) = client.metadata().get(from) {
                all.insert(name.to_string(), value.clone());
            }
        }
        Some(all)
    }
}
