//! How the parts of a cluster reach each other: plainly, or by TLS in which both sides show a certificate of one authority.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::extension::EndpointOverrideFn;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::{Error, Result};

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
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10)))
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
