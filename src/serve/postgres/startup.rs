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
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::Mutex;

use super::actions::is_of_engine;
use super::client_state::ClientState;
use super::cursors::Cursors;
use super::settings::{Settings, SharedSettings, TIME_ZONE, options};
use super::text_casts::TextCasts;
use super::{SharedState, catalog, wire_error};
use crate::engine::checked_doubles::CheckDoubles;
use crate::engine::session::CATALOG;
use crate::serve::failure::{Failure, Reason};
use crate::serve::login_keys::guessed;
use crate::serve::session::Session;
use crate::serve::users::{ITERATIONS, Users};

const MECHANISM: &str = "SCRAM-SHA-256";

/// Process ids that cancel requests name; unique in this process.
static PROCESS_IDS: OnceLock<RandomPidSecretKeyGenerator> = OnceLock::new();

/// Lets one connection in.
pub struct Startup {
    shared_state: Arc<SharedState>,
    client_state: Arc<OnceLock<Arc<ClientState>>>,
    scram: ScramAuth,
    state: Mutex<SASLState>,
}

impl Startup {
    /// A connection of which nothing is known.
    pub fn new(shared_state: Arc<SharedState>, client_state: Arc<OnceLock<Arc<ClientState>>>) -> Self {
        let mut scram = ScramAuth::new(Arc::new(Secrets(shared_state.server.users.clone())));
        scram.set_iterations(ITERATIONS);
        Self { shared_state, client_state, scram, state: Mutex::new(SASLState::Initial) }
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

    /// The state of the guest's connection, now that the password was right, and what there is to tell him.
    async fn enter<C: ClientInfo + Sync>(
        &self,
        client: &C,
        process: i32,
    ) -> Result<(ClientState, Option<String>), Failure> {
        let said = client.metadata().clone();
        let name = said.get(METADATA_USER).cloned().unwrap_or_default();
        let server = &self.shared_state.server;
        let guest = server.users.guest(&name)?.ok_or_else(|| wrong_password(&name))?;
        let database = said.get(METADATA_DATABASE).filter(|d| !d.is_empty());
        // psql asks for the user's name where none is given
        if database.is_some_and(|d| *d != CATALOG && *d != name && d != "postgres") {
            let message = format!("database {:?} does not exist; the lake is {CATALOG}", database.map_or("", |d| d));
            let failure = Failure::new(Reason::Engine(crate::ErrorKind::Configuration), message);
            return Err(failure.with_sqlstate("3D000"));
        }
        let mut settings = Settings::default();
        settings.of_server("session_authorization", &name);
        settings.of_server("ssl", if client.is_secure() { "on" } else { "off" });
        let (mut of_engine, mut notice) = (vec![], None);
        let named = said.iter().filter(|(name, _)| !NO_SETTINGS.contains(&name.as_str()) && !name.starts_with("_pq_."));
        for (name, value) in named {
            match settings.begin_with(name, value) {
                // a driver names its machine's zone without being asked, in words of its own
                Err(failure) if name.eq_ignore_ascii_case(TIME_ZONE) => notice = Some(failure.message),
                done => done?,
            }
        }
        for (name, value) in options(said.get(OPTIONS).map_or("", |options| options))? {
            match is_of_engine(&name) {
                true => of_engine.push((name, value)),
                false => settings.begin_with(&name, &value)?,
            }
        }
        let session = Arc::new(Session::new(server.enter(guest)?)?);
        let settings = SharedSettings::new(settings.into());
        let cursors = Arc::new(Cursors::default());
        catalog::add(&session, &settings, &cursors, process)?;
        let state = session.engine.context().state_ref();
        state.write().add_analyzer_rule(Arc::new(CheckDoubles));
        if session.engine.remote().is_none() {
            state.write().add_analyzer_rule(Arc::new(TextCasts));
        }
        let mut client_state = ClientState::new(session, settings, cursors)?;
        for (name, value) in of_engine {
            client_state.begin_with(&name, &value).await?;
        }
        Ok((client_state, notice))
    }
}

/// What a client says at the start beside settings.
const NO_SETTINGS: &[&str] = &[METADATA_USER, METADATA_DATABASE, OPTIONS, "replication"];
const OPTIONS: &str = "options";

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
                if self.shared_state.secure && !client.is_secure() {
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
                let (process, secret) = PROCESS_IDS.get_or_init(Default::default).generate(client);
                let entered = self.enter(client, process).await;
                let (client_state, notice) = entered.map_err(|failure| wire_error("FATAL", failure))?;
                client.set_pid_and_secret_key(process, secret.clone());
                self.shared_state.remember((process, secret.to_bytes().to_vec()), &client_state.session);
                let parameters = Parameters::of(&client_state);
                // a second login on one connection changes nothing
                let _ = self.client_state.set(Arc::new(client_state));
                finish_authentication(client, &parameters).await?;
                if let Some(text) = notice {
                    let notice = ErrorInfo::new("WARNING".into(), "01000".into(), text);
                    client.send(PgWireBackendMessage::NoticeResponse(notice.into())).await?;
                }
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
struct Parameters(HashMap<String, String>);

impl Parameters {
    fn of(client_state: &ClientState) -> Self {
        let settings = client_state.settings();
        Self(settings.reported().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }
}

impl ServerParameterProvider for Parameters {
    fn server_parameters<C: ClientInfo>(&self, _: &C) -> Option<HashMap<String, String>> {
        Some(self.0.clone())
    }
}
