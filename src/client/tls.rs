//! Whom a client trusts, and who it proves to be.

use super::ClientError;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Certificates, each as PEM.
#[derive(Clone)]
pub struct Tls {
    /// Who signed the server's certificate.
    pub ca: String,
    /// The client's own chain and its key, where the server asks for one.
    pub own: Option<(String, String)>,
}

impl std::fmt::Debug for Tls {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("ca", &self.ca).finish_non_exhaustive()
    }
}

/// What makes a TLS connection of a plain one.
pub(super) fn connector(tls: &Tls) -> Result<TlsConnector, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(&tls.ca)? {
        roots.add(certificate).map_err(wrong)?;
    }
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_root_certificates(roots);
    let mut config = match &tls.own {
        Some((own, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(wrong)?;
            config.with_client_auth_cert(chain(own)?, key).map_err(wrong)?
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn chain(text: &str) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(wrong)
}

fn wrong(error: impl std::fmt::Display) -> ClientError {
    ClientError::Tls(error.to_string())
}
