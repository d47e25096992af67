//! The generated types, a module for each package as they name each other. What they mean is said in `proto/`.

use prost::Message;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{BufferSettings, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

/// Bytes that are laid out for each message before its length is known. gRPC's library takes 8 KiB for each request and as much for each
/// answer, which the allocator has no short way for; most messages are small, and for a larger one there will be more. For one that comes
/// in, it wants room for as much again as there is, and 1 032 bytes are the most that the C library keeps at hand.
const MESSAGE_ROOM: usize = 1024;

/// Bytes of a stream's messages that are sent together at most; the library's own default.
const SENT_TOGETHER: usize = 32 << 10;

/// The codec that generated services name.
#[derive(Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Codec<T, U> {
        Codec(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Exact<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Exact<T> {
        Exact(PhantomData)
    }

    fn decoder(&mut self) -> ProstDecoder<U> {
        ProstDecoder::new(room())
    }
}

/// Writes messages into as much room as they need, so that none is copied while it grows.
#[derive(Debug)]
pub struct Exact<T>(PhantomData<T>);

impl<T: Message> Encoder for Exact<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.reserve(message.encoded_len());
        message.encode(to).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        room()
    }
}

fn room() -> BufferSettings {
    BufferSettings::new(MESSAGE_ROOM, SENT_TOGETHER)
}

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
