//! Who a server proves to be, and whom it lets in. TLS ends here and not in the gRPC library, since requests are read
//! along before that (see `authority`).

use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

/// Certificates, each as PEM.
#[derive(Clone)]
pub struct Tls {
    /// The server's chain.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// Who signs clients' certificates; with it a client without one is turned away.
    pub client_ca: Option<String>,
}

impl std::fmt::Debug for Tls {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Why certificates are not usable.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or without what is looked for.
    #[error("{what} cannot be read: {source}\n  hint: it has to be a PEM file")]
    Pem {
        /// The certificate, the key, the clients' CA.
        what: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// The certificate and the key cannot be used together.
    #[error("the certificate is not usable: {0}\n  hint: do certificate and key belong together?")]
    Certificate(#[from] rustls::Error),
    /// Clients cannot be told by this CA.
    #[error("the clients' CA is not usable: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// What makes TLS connections of plain ones.
pub(super) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let config = match &tls.client_ca {
        Some(ca) => {
            let roots = Arc::new(roots(ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build()?;
            config.with_client_cert_verifier(verifier)
        }
        None => config.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes())
        .map_err(|source| TlsError::Pem { what: "the key", source })?;
    let mut config = config.with_single_cert(chain("the certificate", &tls.certificate)?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn roots(ca: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain("the clients' CA", ca)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn chain(what: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<_, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    certificates.map_err(|source| TlsError::Pem { what, source })
}
