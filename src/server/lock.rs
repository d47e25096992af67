//! Locks for clients that cannot watch: the server waits for them.

use super::context::Context;
use super::queue::Place;
use crate::model;
use crate::rpc::v3lockpb::lock_server::Lock;
use crate::rpc::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service.
pub(super) struct LockService(pub(super) Arc<Context>);

impl LockService {
    async fn acquire(&self, request: LockRequest) -> Result<LockResponse, Status> {
        let lease = self.0.session(request.lease).await?;
        let (_, place) = Place::take(&self.0, &request.name, lease, Vec::new()).await?;
        let (header, place) = place.wait_turn().await?;
        Ok(LockResponse { header: Some(header), key: place.key.clone() })
    }
}

#[tonic::async_trait]
impl Lock for LockService {
    /// A client that goes away before its turn loses its place.
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        self.0.unless_stopped(self.acquire(request.into_inner())).await.map(Response::new)
    }

    async fn unlock(
        &self,
        request: Request<UnlockRequest>,
    ) -> Result<Response<UnlockResponse>, Status> {
        let delete = model::Request::delete(request.into_inner().key);
        let (header, _) = self.0.call(delete).await?;
        Ok(Response::new(UnlockResponse { header: Some(header) }))
    }
}
