//! `rejoin serve`: opens the doors that were asked for, until a signal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::output::note;
use super::settings::{Settings, bytes, size};
use super::signals::Signals;
use crate::address::bind;
use crate::serve::{Limits, Server, Tls, Users, flight, postgres, web};
use crate::{Error, Result};

/// What runs may end within this time, once the process is asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// As shells have it for a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Let BI tools and browsers in: Postgres wire, Flight SQL, web pages
#[derive(Debug, Args)]
#[command(after_help = "\
At least one of --postgres, --flight and --http is needed. ADDR is HOST:PORT, or a port that only this machine \
reaches; an address that others can reach needs TLS. Nobody enters without a password or a token of `rejoin user`.

Examples:
  rejoin user add ann
  rejoin serve --postgres 5433
  psql -h 127.0.0.1 -p 5433 -U ann rejoin
  rejoin serve --http 8080 --max-upload 200MB
  rejoin serve --postgres 0.0.0.0:5432 --flight 0.0.0.0:32010 --tls-cert cert.pem --tls-key key.pem")]
pub struct ServeArguments {
    /// Speak Postgres wire here: psql, DBeaver, Metabase, Grafana
    #[arg(long, value_name = "ADDR")]
    pub postgres: Option<String>,
    /// Speak Arrow Flight SQL here: ADBC, JDBC
    #[arg(long, value_name = "ADDR")]
    pub flight: Option<String>,
    /// Serve web pages here: sources and uploads, reports, SQL
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Largest file that can be uploaded on the web page
    #[arg(long, value_name = "SIZE", default_value = "50MB", value_parser = |text: &str| size(text).map_err(|e| e.to_string()))]
    pub max_upload: usize,
    /// File with users, hashed passwords and tokens [env: REJOIN_USERS] [default: ~/.config/rejoin/users.json]
    #[arg(long, value_name = "FILE", env = "REJOIN_USERS", hide_env = true)]
    pub users: Option<PathBuf>,
    /// Certificate and its chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Let others reach it without TLS, e.g. behind a proxy that has it
    #[arg(long, conflicts_with = "tls_cert")]
    pub without_tls: bool,
    /// Longest time until a statement's last row, e.g. 30s
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub statement_timeout: Duration,
    /// Largest number of rows of an answer
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    pub max_rows: u64,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub connections: usize,
    /// Connections of one user at once
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub connections_per_user: usize,
    /// Memory of one user's statements [default: half of --memory]
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| bytes(text).map_err(|e| e.to_string()))]
    pub memory_per_user: Option<usize>,
    /// Longest text of a statement
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub max_statement: usize,
}

/// Serves until a signal. What runs then may end within seconds; a second signal ends at once.
pub async fn run(settings: &Settings, arguments: &ServeArguments) -> Result<u8> {
    if arguments.postgres.is_none() && arguments.flight.is_none() && arguments.http.is_none() {
        return Err(Error::usage(
            "which door? give --postgres, --flight or --http, e.g.\n  rejoin serve --postgres 5433\n  rejoin serve --flight 32010\n  rejoin serve --http 8080",
        ));
    }
    let mut signals = Signals::new()?;
    let users = users(arguments.users.as_ref())?;
    if users.list()?.is_empty() {
        return Err(Error::configuration(format!(
            "there are no users in {}; add one: rejoin user add NAME",
            users.path().display()
        )));
    }
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificates), Some(key)) => Some(Tls::read(certificates, key)?),
        _ => None,
    };
    let limits = Limits {
        connections: arguments.connections,
        connections_per_user: arguments.connections_per_user,
        memory_per_user: arguments.memory_per_user.unwrap_or(settings.memory_bytes / 2),
        rows: arguments.max_rows,
        time: arguments.statement_timeout,
        statement_bytes: arguments.max_statement,
    };
    let server = Server::open(settings.lake.clone(), users, limits, settings.engine(None)?)?;
    let (stopper, stop) = watch::channel(false);
    let mut doors = JoinSet::new();
    let secure = tls.is_some() || arguments.without_tls;
    if let Some(typed) = &arguments.postgres {
        let (listener, address) = listen("--postgres", typed, secure).await?;
        let mode = if tls.is_some() { "?sslmode=require" } else { "" };
        note(format!("rejoin: Postgres at postgres://USER@{address}/rejoin{mode}"));
        doors.spawn(postgres::serve(server.clone(), tls.clone(), listener, stop.clone()));
    }
    if let Some(typed) = &arguments.flight {
        let (listener, address) = listen("--flight", typed, secure).await?;
        let scheme = if tls.is_some() { "grpc+tls" } else { "grpc" };
        note(format!("rejoin: Flight SQL at {scheme}://{address}"));
        doors.spawn(flight::serve(server.clone(), tls.clone(), listener, stop.clone()));
    }
    if let Some(typed) = &arguments.http {
        let (listener, address) = listen("--http", typed, secure).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        note(format!("rejoin: web page at {scheme}://{address}/"));
        let options = web::WebOptions { upload_bytes: arguments.max_upload as u64 };
        doors.spawn(web::serve(server.clone(), tls.clone(), listener, stop.clone(), options));
    }
    tokio::select! {
        ended = doors.join_next() => {
            if let Some(Ok(result)) = ended {
                result?;
            }
            return Err(Error::unavailable("a door closed by itself"));
        }
        () = signals.next() => {}
    }
    note("rejoin: stopping; a second signal ends at once");
    // what listened has ended by itself
    let _ = stopper.send(true);
    let ended = async { while doors.join_next().await.is_some() {} };
    let code = tokio::select! {
        () = ended => 0,
        () = tokio::time::sleep(GRACE) => 0,
        () = signals.next() => INTERRUPTED,
    };
    server.close().await;
    Ok(code)
}

/// The file of users.
pub fn users(typed: Option<&PathBuf>) -> Result<Users> {
    Ok(Users::at(match typed {
        Some(path) => path.clone(),
        None => Users::default_path()?,
    }))
}

/// Listens. Passwords and rows do not go through a network in the clear unless that is asked for.
async fn listen(option: &str, typed: &str, secure: bool) -> Result<(TcpListener, SocketAddr)> {
    let (listener, address) = bind(option, typed).await?;
    if !address.ip().is_loopback() && !secure {
        return Err(Error::usage(format!(
            "{option} {address}: others can reach this address, so it needs --tls-cert and --tls-key; or --without-tls, where something else protects it"
        )));
    }
    Ok((listener, address))
}

/// `30s`, `5m`, `1h`.
pub fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text}: expected a number of seconds, minutes or hours: 30s, 5m, 1h");
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match text[end..].trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let seconds =
        text[..end].parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|n| (1..=86_400 * 7).contains(n));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(time("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(time("1 h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "5", "0s", "s", "1y", "99999999999999999999h", "200h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
