//! How clients get in to servers behind gRPC, from this process or another.

use super::{Answer, CallError, Client, Connect};
use crate::client::{ClientError, Connection, Endpoint};
use crate::measure::stage::Timeline;
use crate::model::{Request, Response};
use crate::raft::Delivered;
use crate::scenario::spec::Connections;

/// Which server clients call, over how many connections.
#[derive(Clone)]
pub struct Dial {
    /// The server.
    pub endpoint: Endpoint,
    /// How many connections the clients of one load thread share.
    pub connections: Connections,
}

/// A client's connection, shared or of its own.
pub struct RemoteClient(Connection);

impl Client for RemoteClient {
    async fn call(&self, request: Request) -> Answer {
        answer(self.0.call(request).await)
    }
}

impl Connect for Dial {
    type Client = RemoteClient;

    /// Clients share connections in turn.
    async fn connect(&self, clients: u32) -> Result<Vec<RemoteClient>, CallError> {
        let connections = match self.connections {
            Connections::PerClient => clients,
            Connections::Count(count) => count.min(clients),
        };
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(&self.endpoint).await?);
        }
        Ok(open.iter().cycle().take(clients as usize).cloned().map(RemoteClient).collect())
    }
}

/// Without a stage clock: what happens behind the connection is not seen from here.
pub(super) fn answer(response: Result<Response, ClientError>) -> Answer {
    let reply = response?;
    Ok(Delivered { reply, timeline: Timeline::default() })
}
