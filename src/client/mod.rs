//! A client of etcd's API v3 for offering load: gRPC on HTTP/2 with as little work per call as it takes, so that what is
//! measured is the server. A request goes out once: what got no answer has an unknown outcome and is an error, never tried
//! again. Calls run on the runtime that opened their connection.

mod call;
mod connection;
mod grpc;
mod metrics;
mod tls;
mod watching;

pub use connection::{Connection, Endpoint};
pub use metrics::{Metrics, date, scrape};
pub use tls::Tls;
pub use watching::{WatchNews, Watching};

use std::io;
use tonic::{Code, Status};

/// Why there is no answer. Whether a write was done is then unknown.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one.
    #[error(
        "{0} is not an endpoint\n  hint: write http://127.0.0.1:2379, or https:// with certificates"
    )]
    Url(String),
    /// No connection.
    #[error("cannot connect to {endpoint}: {source}")]
    Connect {
        /// Where.
        endpoint: String,
        /// Why.
        source: io::Error,
    },
    /// More connections than this process may have files open.
    #[error(
        "{connections} connections take more open files than this process may have ({handles})\n  hint: ulimit -n {}, or fewer connections", .connections + 256
    )]
    Handles {
        /// How many were wanted.
        connections: u64,
        /// How many files it may have open.
        handles: u64,
    },
    /// Certificates are not usable.
    #[error("TLS: {0}")]
    Tls(String),
    /// The connection broke or spoke something else.
    #[error("the connection failed: {0}")]
    Http2(#[from] h2::Error),
    /// The server said no, in a way that is no answer of the state machine.
    #[error("{} ({:?})", .0.message(), .0.code())]
    Status(Box<Status>),
    /// The answer cannot be read.
    #[error("the answer is not one: {0}")]
    Answer(#[from] prost::DecodeError),
    /// The answer has another length than it says.
    #[error("the answer is cut off")]
    Cut,
    /// The answer is compressed, though nobody asked for that.
    #[error("the answer is compressed")]
    Compressed,
    /// No answer in time.
    #[error("no answer within 30 s")]
    Late,
}

impl ClientError {
    /// Whether waiting is of no use: a server is there and does not let this client in, or this client does not trust it.
    pub fn is_refusal(&self) -> bool {
        // What rustls has against a certificate is data to its callers.
        let is_about_tls = |source: &io::Error| source.kind() == io::ErrorKind::InvalidData;
        match self {
            ClientError::Tls(_) | ClientError::Url(_) => true,
            ClientError::Connect { source, .. } => is_about_tls(source),
            ClientError::Http2(error) => error.get_io().is_some_and(is_about_tls),
            ClientError::Status(status) => matches!(
                status.code(),
                Code::InvalidArgument
                    | Code::Unauthenticated
                    | Code::PermissionDenied
                    | Code::FailedPrecondition
            ),
            _ => false,
        }
    }
}
