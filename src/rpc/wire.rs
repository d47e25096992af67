//! The generated types, a module for each package as they name each other. What they mean is said in `proto/`.

/// The codec that generated services name.
pub type Codec<T, U> = tonic_prost::ProstCodec<T, U>;

/// Every service and type above, described, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Keys and events.
#[expect(missing_docs, reason = "generated")]
pub mod mvccpb {
    tonic::include_proto!("mvccpb");
}

/// Users and roles.
#[expect(missing_docs, reason = "generated")]
pub mod authpb {
    tonic::include_proto!("authpb");
}

/// The services of a server.
#[expect(missing_docs, clippy::allow_attributes, reason = "generated")]
pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

/// Locks kept by the server.
#[expect(missing_docs, clippy::allow_attributes, reason = "generated")]
pub mod v3lockpb {
    tonic::include_proto!("v3lockpb");
}

/// Elections kept by the server.
#[expect(missing_docs, clippy::allow_attributes, reason = "generated")]
pub mod v3electionpb {
    tonic::include_proto!("v3electionpb");
}

/// Between members of a group, and between a run and its agents.
#[expect(missing_docs, clippy::allow_attributes, clippy::large_enum_variant, reason = "generated")]
pub mod kvbenchpb {
    tonic::include_proto!("kvbenchpb");
}
