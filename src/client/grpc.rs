//! gRPC's frames: one byte that says whether the message is compressed, four of its length, the message.

use super::ClientError;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

/// Bytes before each message.
const PREFIX: usize = 5;

/// A message as it goes out.
pub(super) fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    // Longer ones are refused by the server long before 4 GiB.
    frame.put_u32(length as u32);
    message.encode_raw(&mut frame);
    frame.freeze()
}

/// What came in, cut into messages.
#[derive(Default)]
pub(super) struct Frames {
    /// Begins with a frame.
    waiting: BytesMut,
}

impl Frames {
    /// Adds what came.
    pub(super) fn add(&mut self, chunk: &[u8]) {
        self.waiting.extend_from_slice(chunk);
    }

    /// The next message, if all of it is there.
    pub(super) fn next<M: Message + Default>(&mut self) -> Result<Option<M>, ClientError> {
        let Some((is_compressed, length)) = head(&self.waiting) else { return Ok(None) };
        if is_compressed {
            return Err(ClientError::Compressed);
        }
        if self.waiting.len() < PREFIX + length {
            return Ok(None);
        }
        self.waiting.advance(PREFIX);
        Ok(Some(M::decode(self.waiting.split_to(length))?))
    }
}

/// The one message of a whole body.
pub(super) fn only<M: Message + Default>(mut body: Bytes) -> Result<M, ClientError> {
    let (is_compressed, length) = head(&body).ok_or(ClientError::Cut)?;
    if is_compressed {
        return Err(ClientError::Compressed);
    }
    body.advance(PREFIX);
    if body.len() != length {
        return Err(ClientError::Cut);
    }
    Ok(M::decode(body)?)
}

fn head(mut bytes: &[u8]) -> Option<(bool, usize)> {
    (bytes.len() >= PREFIX).then(|| (bytes.get_u8() != 0, bytes.get_u32() as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::etcdserverpb::PutRequest;

    fn put(key: &str) -> PutRequest {
        PutRequest { key: key.into(), value: b"v".repeat(300), ..PutRequest::default() }
    }

    #[test]
    fn a_message_survives_its_frame_however_it_is_cut() {
        let both = [frame(&put("a")), frame(&put("b"))].concat();
        for size in [1, 2, 5, 6, 100, 400, 1000] {
            let mut frames = Frames::default();
            let mut found: Vec<PutRequest> = Vec::new();
            for chunk in both.chunks(size) {
                frames.add(chunk);
                while let Some(message) = frames.next().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, [put("a"), put("b")]);
        }
        assert_eq!(only::<PutRequest>(frame(&put("a"))).unwrap(), put("a"));
    }

    #[test]
    fn what_is_cut_or_compressed_is_refused() {
        let whole = frame(&put("a"));
        for length in [0, 4, 5, whole.len() - 1] {
            let cut = only::<PutRequest>(whole.slice(..length));
            assert!(matches!(cut, Err(ClientError::Cut)), "{length}: {cut:?}");
        }
        let mut compressed = BytesMut::from(&whole[..]);
        compressed[0] = 1;
        let refused = only::<PutRequest>(compressed.freeze());
        assert!(matches!(refused, Err(ClientError::Compressed)));
    }
}
