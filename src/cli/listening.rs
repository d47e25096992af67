//! What commands share that listen for others: addresses, certificates, and who may come.

use crate::files;
use crate::report::words::plain;
use crate::server::Tls;
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

mod url;

pub(super) use url::{ListenUrl, check_form};

/// Largest file with certificates that is read, bytes: a bundle of all public CAs has a quarter of that.
const PEM_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// The server's certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub(super) cert_file: Option<PathBuf>,
    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub(super) key_file: Option<PathBuf>,
    /// Who signs clients' certificates, PEM; clients without one are turned away
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub(super) trusted_ca_file: Option<PathBuf>,
    /// Turn away clients without a certificate that --trusted-ca-file signed
    #[arg(long, requires = "trusted_ca_file")]
    pub(super) client_cert_auth: bool,
}

impl TlsArgs {
    /// The files that are named; none without a certificate.
    pub(super) fn read(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(certificate), Some(key)) = (&self.cert_file, &self.key_file) else {
            return Ok(None);
        };
        Ok(Some(Tls {
            certificate: text(certificate)?,
            key: text(key)?,
            client_ca: self.trusted_ca_file.as_deref().map(text).transpose()?,
        }))
    }
}

/// What stands in a file with a certificate or a key.
pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    files::read_text(path, PEM_BYTES_MAX).map_err(|error| {
        let path = plain(&path.display().to_string());
        anyhow::anyhow!("cannot read {path}: {error}\n  hint: name a PEM file")
    })
}

/// Whether an address and the certificates belong together, and strangers are kept out.
pub(super) fn check_secured(
    url: &ListenUrl,
    has_tls: bool,
    allows_remote: bool,
) -> Result<(), String> {
    match (url.is_https, has_tls) {
        (true, true) => Ok(()),
        (false, true) => Err(format!(
            "{url} is not https, but there is a certificate\n  hint: write https://{}",
            url.address
        )),
        (true, false) => {
            Err(format!("{url} needs a certificate\n  hint: --cert-file and --key-file"))
        }
        (false, false) => check_local(url, allows_remote),
    }
}

pub(super) fn check_local(url: &ListenUrl, allows_remote: bool) -> Result<(), String> {
    match url.address.ip().is_loopback() || allows_remote {
        true => Ok(()),
        false => Err(format!(
            "{url} can be reached from other machines, without TLS\n  hint: listen on 127.0.0.1, or give --cert-file and --key-file, or --insecure-allow-remote if the network is yours"
        )),
    }
}

/// Asks for the end when standard input ends.
pub(super) fn stop_with_stdin(interrupted: Arc<AtomicBool>) -> io::Result<()> {
    let wait = move || {
        // However it ends: nobody is there any more.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        interrupted.store(true, Ordering::Relaxed);
    };
    std::thread::Builder::new().name("stdin".into()).spawn(wait).map(drop)
}
