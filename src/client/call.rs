//! Requests of the model as calls, and their answers.

use super::{ClientError, Connection};
use crate::model::{Body, LeaseStatus, Request, Response};
use crate::rpc::etcdserverpb::{
    AlarmResponse, CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
    LeaseGrantRequest, LeaseGrantResponse, LeaseLeasesRequest, LeaseLeasesResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
    PutRequest, PutResponse, RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};
use crate::rpc::{alarm_request, refusal};
use prost::Message;

impl Connection {
    /// Executes one request. What the state machine refuses is an answer; its revision is then not told, and 0.
    pub async fn call(&self, request: Request) -> Result<Response, ClientError> {
        match request {
            Request::Put(put) => {
                self.ask::<_, PutResponse>("/etcdserverpb.KV/Put", PutRequest::from(put)).await
            }
            Request::Range(range) => {
                let asked = RangeRequest::from(range);
                self.ask::<_, RangeResponse>("/etcdserverpb.KV/Range", asked).await
            }
            Request::DeleteRange(delete) => {
                let asked = DeleteRangeRequest::from(delete);
                self.ask::<_, DeleteRangeResponse>("/etcdserverpb.KV/DeleteRange", asked).await
            }
            Request::Txn(txn) => {
                self.ask::<_, TxnResponse>("/etcdserverpb.KV/Txn", TxnRequest::from(txn)).await
            }
            Request::Compact { revision } => {
                let asked = CompactionRequest { revision, physical: false };
                self.ask::<_, CompactionResponse>("/etcdserverpb.KV/Compact", asked).await
            }
            Request::LeaseGrant { id, ttl_s } => {
                let asked = LeaseGrantRequest { id, ttl: ttl_s };
                self.ask::<_, LeaseGrantResponse>("/etcdserverpb.Lease/LeaseGrant", asked).await
            }
            Request::LeaseRevoke { id } => {
                let asked = LeaseRevokeRequest { id };
                self.ask::<_, LeaseRevokeResponse>("/etcdserverpb.Lease/LeaseRevoke", asked).await
            }
            Request::LeaseTimeToLive { id, keys } => {
                let asked = LeaseTimeToLiveRequest { id, keys };
                let path = "/etcdserverpb.Lease/LeaseTimeToLive";
                self.ask::<_, LeaseTimeToLiveResponse>(path, asked).await
            }
            Request::Leases => {
                let path = "/etcdserverpb.Lease/LeaseLeases";
                self.ask::<_, LeaseLeasesResponse>(path, LeaseLeasesRequest {}).await
            }
            Request::AlarmActivate(_) | Request::AlarmDeactivate(_) | Request::Alarms => {
                let asked = alarm_request(&request).unwrap_or_default();
                self.ask::<_, AlarmResponse>("/etcdserverpb.Maintenance/Alarm", asked).await
            }
        }
    }

    async fn ask<Q: Message, A: Answer>(
        &self,
        path: &'static str,
        request: Q,
    ) -> Result<Response, ClientError> {
        match self.unary::<Q, A>(path, &request).await {
            Ok(answer) => {
                let (header, body) = answer.split();
                Ok(Response { revision: header.unwrap_or_default().revision, result: Ok(body) })
            }
            Err(ClientError::Status(status)) => match refusal(&status) {
                Some(refusal) => Ok(Response { revision: 0, result: Err(refusal) }),
                None => Err(ClientError::Status(status)),
            },
            Err(error) => Err(error),
        }
    }
}

/// An answer on the wire.
trait Answer: Message + Default {
    /// What every answer begins with, and what it brought.
    fn split(self) -> (Option<ResponseHeader>, Body);
}

impl Answer for PutResponse {
    fn split(mut self) -> (Option<ResponseHeader>, Body) {
        (self.header.take(), self.into())
    }
}

impl Answer for RangeResponse {
    fn split(mut self) -> (Option<ResponseHeader>, Body) {
        (self.header.take(), Body::Range(self.into()))
    }
}

impl Answer for DeleteRangeResponse {
    fn split(mut self) -> (Option<ResponseHeader>, Body) {
        (self.header.take(), self.into())
    }
}

impl Answer for TxnResponse {
    fn split(mut self) -> (Option<ResponseHeader>, Body) {
        (self.header.take(), self.into())
    }
}

impl Answer for CompactionResponse {
    fn split(self) -> (Option<ResponseHeader>, Body) {
        (self.header, Body::Compact)
    }
}

impl Answer for LeaseGrantResponse {
    fn split(mut self) -> (Option<ResponseHeader>, Body) {
        (self.header.take(), self.into())
    }
}

impl Answer for LeaseRevokeResponse {
    fn split(self) -> (Option<ResponseHeader>, Body) {
        (self.header, Body::LeaseRevoke)
    }
}

impl Answer for LeaseTimeToLiveResponse {
    fn split(self) -> (Option<ResponseHeader>, Body) {
        // A lease that is not there has a time to live of -1 on the wire, and no granted one.
        let granted_ttl_s = if self.ttl < 0 { -1 } else { self.granted_ttl };
        let status = LeaseStatus { id: self.id, granted_ttl_s, keys: self.keys };
        (self.header, Body::LeaseTimeToLive(status))
    }
}

impl Answer for AlarmResponse {
    fn split(mut self) -> (Option<ResponseHeader>, Body) {
        (self.header.take(), self.into())
    }
}

impl Answer for LeaseLeasesResponse {
    fn split(self) -> (Option<ResponseHeader>, Body) {
        let mut ids: Vec<_> = self.leases.into_iter().map(|lease| lease.id).collect();
        ids.sort_unstable();
        (self.header, Body::Leases(ids))
    }
}
