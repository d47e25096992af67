//! How clients get in to servers behind gRPC, from this process or another.

use super::{Answer, CallError, Client, Connect};
use crate::client::{ClientError, Connection, Endpoint};
use crate::measure::handles::handles_max;
use crate::measure::stage::Timeline;
use crate::model::{Request, Response};
use crate::raft::Delivered;
use crate::scenario::spec::{Connections, Consistency};

/// Which server clients call, over how many connections.
#[derive(Clone)]
pub struct Dial {
    /// The server.
    pub endpoint: Endpoint,
    /// How many connections the clients of one load thread share.
    pub connections: Connections,
    /// What clients ask of reads.
    pub consistency: Consistency,
}

/// A client's connection, shared or of its own.
#[derive(Clone)]
pub struct RemoteClient {
    connection: Connection,
    consistency: Consistency,
}

impl Client for RemoteClient {
    async fn call(&self, request: Request) -> Answer {
        answer(self.connection.call(asked(request, self.consistency)).await)
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
        check_handles(connections.into(), handles_max())?;
        let consistency = self.consistency;
        let mut open = Vec::new();
        for _ in 0..connections {
            let connection = Connection::open(&self.endpoint).await?;
            open.push(RemoteClient { connection, consistency });
        }
        Ok(open.iter().cycle().take(clients as usize).cloned().collect())
    }
}

/// Files that a load has open beside its connections.
const HANDLES_KEPT: u64 = 128;

/// Whether so many connections can be open: better said before the first one than at the thousandth.
fn check_handles(connections: u64, handles_max: Option<u64>) -> Result<(), ClientError> {
    match handles_max {
        Some(handles) if connections + HANDLES_KEPT > handles => {
            Err(ClientError::Handles { connections, handles })
        }
        _ => Ok(()),
    }
}

/// The request as a client sends it that is content with `consistency`. Transactions stay as they are: what they read decides what
/// they write.
pub(super) fn asked(mut request: Request, consistency: Consistency) -> Request {
    if let (Request::Range(range), Consistency::Serializable) = (&mut request, consistency) {
        range.serializable = true;
    }
    request
}

/// Without a stage clock: what happens behind the connection is not seen from here.
pub(super) fn answer(response: Result<Response, ClientError>) -> Answer {
    let reply = response?;
    Ok(Delivered { reply, timeline: Timeline::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_open_files_are_refused_before_the_first() {
        assert!(check_handles(10_000, Some(20_000)).is_ok());
        assert!(check_handles(10_000, None).is_ok());
        let refused = check_handles(10_000, Some(1_024)).unwrap_err().to_string();
        assert!(refused.contains("may have (1024)\n  hint: ulimit -n 10256"), "{refused}");
    }
}
