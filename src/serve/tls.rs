//! Certificates of the doors.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, Result};

/// A certificate with its chain and key, in PEM.
#[derive(Clone)]
pub struct Tls {
    /// The certificate and its chain.
    pub certificates: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

impl Tls {
    /// Reads both files and checks that they fit each other.
    pub fn read(certificates: &Path, key: &Path) -> Result<Self> {
        let read =
            |path: &Path| std::fs::read(path).map_err(|e| Error::configuration(format!("{}: {e}", path.display())));
        let tls = Self { certificates: read(certificates)?, key: read(key)? };
        tls.config(&[]).map_err(|e| e.at(format!("{} with {}", certificates.display(), key.display())))?;
        Ok(tls)
    }

    /// What a server says with this certificate, for protocols by their ALPN names.
    pub fn config(&self, protocols: &[&[u8]]) -> Result<Arc<ServerConfig>> {
        let wrong = |e: &dyn std::fmt::Display| Error::configuration(e.to_string());
        let chain = CertificateDer::pem_slice_iter(&self.certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|e| wrong(&e))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|e| wrong(&e))?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        let mut config = config.map_err(|e| wrong(&e))?;
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        Ok(Arc::new(config))
    }
}
