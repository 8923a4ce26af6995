//! How the parts of a cluster reach each other: plainly, or by TLS in which both sides show a certificate of one authority.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::extension::EndpointOverrideFn;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::{Error, Result};

/// A handshake takes no longer.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often a connection shows that it lives, and how long the other side may take to answer that.
const ALIVE: Duration = Duration::from_secs(10);

/// How the parts of a cluster reach each other.
#[derive(Clone, Default)]
pub struct Wire {
    certificates: Option<Arc<Certificates>>,
}

/// In PEM.
struct Certificates {
    authority: Vec<u8>,
    own: Vec<u8>,
    key: Vec<u8>,
}

impl Certificates {
    fn server(&self) -> Result<Arc<ServerConfig>> {
        let wrong = |e: &dyn fmt::Display| Error::configuration(format!("certificates of the cluster: {e}"));
        let read =
            |pem: &[u8]| CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|e| wrong(&e));
        let mut authority = RootCertStore::empty();
        for certificate in read(&self.authority)? {
            authority.add(certificate).map_err(|e| wrong(&e))?;
        }
        let clients = WebPkiClientVerifier::builder(Arc::new(authority)).build().map_err(|e| wrong(&e))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|e| wrong(&e))?;
        let config = ServerConfig::builder().with_client_cert_verifier(clients).with_single_cert(read(&self.own)?, key);
        let mut config = config.map_err(|e| wrong(&e))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Wire {
    // one of them is secret
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secure() { "Wire(TLS)" } else { "Wire" })
    }
}

impl Wire {
    /// TLS with `ca.pem`, `cert.pem` and `key.pem` of a folder.
    pub fn secure(folder: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|e| Error::configuration(format!("{}: {e}", path.display())))
        };
        let certificates = Certificates { authority: read("ca.pem")?, own: read("cert.pem")?, key: read("key.pem")? };
        // what is wrong with them shows now
        certificates.server()?;
        Ok(Self { certificates: Some(Arc::new(certificates)) })
    }

    /// True for TLS.
    pub fn is_secure(&self) -> bool {
        self.certificates.is_some()
    }

    /// The endpoint at `host:port`.
    pub(super) fn endpoint(&self, address: &str) -> Result<Endpoint> {
        let wrong = |e: tonic::transport::Error| Error::usage(format!("{address}: {e}"));
        let scheme = if self.is_secure() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).map_err(wrong)?;
        if let Some(own) = &self.certificates {
            let tls = ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(&own.authority))
                .identity(Identity::from_pem(&own.own, &own.key));
            endpoint = endpoint.tls_config(tls).map_err(wrong)?;
        }
        Ok(endpoint
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
            .tcp_keepalive(Some(ALIVE))
            // words of a task's end go a way that is silent for as long as the task takes
            .keep_alive_while_idle(true)
            .http2_keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE))
    }

    /// What a server listens on that should be reached at `outside`: the same, or with TLS an inner address of this machine to
    /// which only clients that have shown a certificate are let through.
    ///
    /// Ballista's servers speak no TLS of their own, so a process of the same machine can still reach the inner address.
    pub(super) async fn behind(&self, outside: TcpListener) -> Result<TcpListener> {
        if !self.is_secure() {
            return Ok(outside);
        }
        let inner = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        self.let_through(outside, inner.local_addr()?)?;
        Ok(inner)
    }

    /// Lets clients that show a certificate through to `inner`, as long as the process lives.
    pub(super) fn let_through(&self, outside: TcpListener, inner: SocketAddr) -> Result<()> {
        let Some(own) = &self.certificates else { return Err(Error::bug("no certificates")) };
        let acceptor = TlsAcceptor::from(own.server()?);
        tokio::spawn(async move {
            loop {
                let Ok((socket, from)) = outside.accept().await else {
                    // too many open files, most likely: others may leave soon
                    sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let through = async {
                        socket.set_nodelay(true)?;
                        let mut stream = timeout(HANDSHAKE, acceptor.accept(socket)).await??;
                        let mut inner = TcpStream::connect(inner).await?;
                        inner.set_nodelay(true)?;
                        copy_bidirectional(&mut stream, &mut inner).await
                    };
                    if let Err(error) = through.await {
                        tracing::debug!(%error, %from, "a connection between parts of the cluster ended");
                    }
                });
            }
        });
        Ok(())
    }

    /// Makes of an endpoint that Ballista made one that speaks as we do.
    pub(super) fn endpoint_override(&self) -> EndpointOverrideFn {
        let wire = self.clone();
        Arc::new(move |endpoint| {
            let authority = endpoint.uri().authority().map(ToString::to_string).unwrap_or_default();
            Ok(wire.endpoint(&authority)?)
        })
    }
}
