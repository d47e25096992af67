//! Users and roles: there are none, and whoever asks is told so. Clients are told apart by certificates alone.

use crate::rpc::etcdserverpb as wire;
use tonic::{Request, Response, Status};
use wire::auth_server::Auth;

/// The service.
pub(super) struct AuthService;

type Answer<T> = Result<Response<T>, Status>;

fn none<T>() -> Answer<T> {
    Err(Status::unimplemented(
        "kvbench: there are no users and roles; start the server with --client-cert-auth to let in only clients with a certificate",
    ))
}

#[tonic::async_trait]
impl Auth for AuthService {
    async fn auth_enable(
        &self,
        _: Request<wire::AuthEnableRequest>,
    ) -> Answer<wire::AuthEnableResponse> {
        none()
    }

    async fn auth_disable(
        &self,
        _: Request<wire::AuthDisableRequest>,
    ) -> Answer<wire::AuthDisableResponse> {
        none()
    }

    async fn auth_status(
        &self,
        _: Request<wire::AuthStatusRequest>,
    ) -> Answer<wire::AuthStatusResponse> {
        none()
    }

    async fn authenticate(
        &self,
        _: Request<wire::AuthenticateRequest>,
    ) -> Answer<wire::AuthenticateResponse> {
        none()
    }

    async fn user_add(
        &self,
        _: Request<wire::AuthUserAddRequest>,
    ) -> Answer<wire::AuthUserAddResponse> {
        none()
    }

    async fn user_get(
        &self,
        _: Request<wire::AuthUserGetRequest>,
    ) -> Answer<wire::AuthUserGetResponse> {
        none()
    }

    async fn user_list(
        &self,
        _: Request<wire::AuthUserListRequest>,
    ) -> Answer<wire::AuthUserListResponse> {
        none()
    }

    async fn user_delete(
        &self,
        _: Request<wire::AuthUserDeleteRequest>,
    ) -> Answer<wire::AuthUserDeleteResponse> {
        none()
    }

    async fn user_change_password(
        &self,
        _: Request<wire::AuthUserChangePasswordRequest>,
    ) -> Answer<wire::AuthUserChangePasswordResponse> {
        none()
    }

    async fn user_grant_role(
        &self,
        _: Request<wire::AuthUserGrantRoleRequest>,
    ) -> Answer<wire::AuthUserGrantRoleResponse> {
        none()
    }

    async fn user_revoke_role(
        &self,
        _: Request<wire::AuthUserRevokeRoleRequest>,
    ) -> Answer<wire::AuthUserRevokeRoleResponse> {
        none()
    }

    async fn role_add(
        &self,
        _: Request<wire::AuthRoleAddRequest>,
    ) -> Answer<wire::AuthRoleAddResponse> {
        none()
    }

    async fn role_get(
        &self,
        _: Request<wire::AuthRoleGetRequest>,
    ) -> Answer<wire::AuthRoleGetResponse> {
        none()
    }

    async fn role_list(
        &self,
        _: Request<wire::AuthRoleListRequest>,
    ) -> Answer<wire::AuthRoleListResponse> {
        none()
    }

    async fn role_delete(
        &self,
        _: Request<wire::AuthRoleDeleteRequest>,
    ) -> Answer<wire::AuthRoleDeleteResponse> {
        none()
    }

    async fn role_grant_permission(
        &self,
        _: Request<wire::AuthRoleGrantPermissionRequest>,
    ) -> Answer<wire::AuthRoleGrantPermissionResponse> {
        none()
    }

    async fn role_revoke_permission(
        &self,
        _: Request<wire::AuthRoleRevokePermissionRequest>,
    ) -> Answer<wire::AuthRoleRevokePermissionResponse> {
        none()
    }
}
