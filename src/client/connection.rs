//! A connection to one server, shared by any number of clients of one thread.

use super::ClientError;
use super::grpc::{frame, only};
use super::tls::{Tls, connector};
use crate::gather::Gathered;
use crate::rpc::etcdserverpb::{AuthenticateRequest, AuthenticateResponse};
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use prost::Message;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::{Code, Status};

/// Bytes that a server may send ahead on one stream and on all of them: answers never wait for a window.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Where a server is, and how it is spoken to.
#[derive(Clone)]
pub struct Endpoint {
    authority: Authority,
    /// Certificates, and what was made of them.
    tls: Option<(Arc<Tls>, TlsConnector)>,
    /// Name and password.
    user: Option<(String, String)>,
}

impl Endpoint {
    /// Reads `http://host:port` or `https://host:port`, the latter with certificates.
    pub fn parse(url: &str, tls: Option<&Tls>) -> Result<Endpoint, ClientError> {
        let wrong = || ClientError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().cloned().ok_or_else(wrong)?;
        let is_bare = uri.path() == "/" && uri.query().is_none() && authority.port().is_some();
        let tls = match (uri.scheme_str(), tls) {
            (Some("http"), _) => None,
            (Some("https"), Some(tls)) => Some((Arc::new(tls.clone()), connector(tls)?)),
            _ => return Err(wrong()),
        };
        if is_bare { Ok(Endpoint { authority, tls, user: None }) } else { Err(wrong()) }
    }

    /// The same, as this user.
    pub fn with_user(self, name: String, password: String) -> Endpoint {
        Endpoint { user: Some((name, password)), ..self }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        self.authority.as_str()
    }

    /// As [`Endpoint::parse`] reads it.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        format!("{scheme}://{}", self.authority)
    }

    /// The certificates, if it is spoken to through TLS.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref().map(|(tls, _)| &**tls)
    }

    /// Name and password, if it is asked as somebody.
    pub fn user(&self) -> Option<(&str, &str)> {
        self.user.as_ref().map(|(name, password)| (name.as_str(), password.as_str()))
    }

    fn failed(&self, source: io::Error) -> ClientError {
        ClientError::Connect { endpoint: self.address().to_owned(), source }
    }
}

/// A connection. Clones share it.
#[derive(Clone)]
pub struct Connection {
    streams: SendRequest<Bytes>,
    scheme: Scheme,
    authority: Authority,
    headers: HeaderMap,
}

impl Connection {
    /// Connects, and with a user asks for the token that goes with every call.
    pub async fn open(endpoint: &Endpoint) -> Result<Connection, ClientError> {
        let plain = TcpStream::connect(endpoint.address()).await;
        let plain = plain.map_err(|source| endpoint.failed(source))?;
        plain.set_nodelay(true).map_err(|source| endpoint.failed(source))?;
        let (streams, scheme) = match &endpoint.tls {
            None => (handshake(plain).await?, Scheme::HTTP),
            Some((_, tls)) => {
                let name = ServerName::try_from(endpoint.authority.host().to_owned());
                let name = name.map_err(|error| ClientError::Tls(error.to_string()))?;
                let secured = tls.connect(name, plain).await;
                let secured = secured.map_err(|source| endpoint.failed(source))?;
                (handshake(secured).await?, Scheme::HTTPS)
            }
        };
        let authority = endpoint.authority.clone();
        let mut connection = Connection { streams, scheme, authority, headers: headers() };
        if let Some((name, password)) = &endpoint.user {
            connection.log_in(name, password).await?;
        }
        Ok(connection)
    }

    async fn log_in(&mut self, name: &str, password: &str) -> Result<(), ClientError> {
        let asked = AuthenticateRequest { name: name.to_owned(), password: password.to_owned() };
        let answer: AuthenticateResponse =
            self.unary("/etcdserverpb.Auth/Authenticate", &asked).await?;
        let mut token = HeaderValue::from_str(&answer.token)
            .map_err(|_| Status::unauthenticated("the token is not text"))?;
        token.set_sensitive(true);
        self.headers.insert("token", token);
        Ok(())
    }

    /// One request, one answer.
    pub async fn unary<Q: Message, A: Message + Default>(
        &self,
        path: &'static str,
        request: &Q,
    ) -> Result<A, ClientError> {
        let answer = timeout(ANSWER_MAX, self.exchange(path, frame(request)));
        only(answer.await.map_err(|_| ClientError::Late)??)
    }

    /// Sends the one frame of a request; gives the body of its answer.
    async fn exchange(&self, path: &'static str, frame: Bytes) -> Result<Bytes, ClientError> {
        let mut streams = self.streams.clone().ready().await?;
        let (answer, mut body) = streams.send_request(self.request(path), false)?;
        body.send_data(frame, true)?;
        let (head, mut body) = answer.await?.into_parts();
        check(&head.headers)?;
        let whole = read(&mut body).await?;
        let trailers = body.trailers().await?.unwrap_or_default();
        check(&trailers)?;
        Ok(whole)
    }

    /// Opens a stream both ways; gives its request side and its answer.
    pub(super) async fn open_stream(
        &self,
        path: &'static str,
    ) -> Result<(h2::SendStream<Bytes>, h2::client::ResponseFuture), ClientError> {
        let mut streams = self.streams.clone().ready().await?;
        let (answer, requests) = streams.send_request(self.request(path), false)?;
        Ok((requests, answer))
    }

    fn request(&self, path: &'static str) -> Request<()> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path are a URI");
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// Headers of every call.
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("kvbench/", env!("CARGO_PKG_VERSION"))),
    );
    headers
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Bytes>, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .enable_push(false);
    let (streams, connection) = builder.handshake(Gathered::new(stream)).await?;
    // It ends when the last user of the connection has gone; why it broke, each call is told.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(streams)
}

/// A body to its end. Most are one chunk, which is not copied.
async fn read(body: &mut RecvStream) -> Result<Bytes, ClientError> {
    let Some(first) = next_chunk(body).await? else { return Ok(Bytes::new()) };
    let Some(second) = next_chunk(body).await? else { return Ok(first) };
    let mut whole = BytesMut::from(&first[..]);
    whole.extend_from_slice(&second);
    while let Some(chunk) = next_chunk(body).await? {
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// What comes next, its place in the window given back.
pub(super) async fn next_chunk(body: &mut RecvStream) -> Result<Option<Bytes>, ClientError> {
    let Some(chunk) = body.data().await.transpose()? else { return Ok(None) };
    body.flow_control().release_capacity(chunk.len())?;
    Ok(Some(chunk))
}

/// What the server says of the call, in headers or trailers.
pub(super) fn check(headers: &HeaderMap) -> Result<(), ClientError> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(status.into()),
        _ => Ok(()),
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> ClientError {
        ClientError::Status(Box::new(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        for right in ["http://127.0.0.1:2379", "http://[::1]:2379", "http://host:1"] {
            let endpoint =
                Endpoint::parse(right, None).map(|endpoint| endpoint.address().to_owned());
            assert_eq!(endpoint.unwrap(), right.trim_start_matches("http://"));
            assert_eq!(Endpoint::parse(right, None).unwrap().url(), right);
        }
        for wrong in
            ["", "127.0.0.1:2379", "http://host", "https://host:1", "http://host:1/x", "ftp://h:1"]
        {
            let refused = Endpoint::parse(wrong, None).err().map(|error| error.to_string());
            assert!(refused.is_some_and(|text| text.contains("is not an endpoint")), "{wrong}");
        }
    }
}
