//! A request as bytes, for the log: one tag byte, then each field as a little-endian u32 length and its bytes.
//! Decoding bounds every length by what is there and refuses trailing bytes.

use super::Request;

const PUT: u8 = 1;
const GET: u8 = 2;
const DELETE: u8 = 3;

/// Bytes that are not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end within a field.
    #[error("request is cut short")]
    CutShort,
    /// The first byte names no request.
    #[error("unknown request tag {0}")]
    UnknownTag(u8),
    /// Bytes follow the request.
    #[error("{0} bytes follow the request")]
    TrailingBytes(usize),
}

/// The bytes of `request`.
pub fn encode(request: &Request) -> Vec<u8> {
    match request {
        Request::Put { key, value } => fields(PUT, &[key, value]),
        Request::Get { key } => fields(GET, &[key]),
        Request::Delete { key } => fields(DELETE, &[key]),
    }
}

/// The request in `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Request, CodecError> {
    let (&tag, mut rest) = bytes.split_first().ok_or(CodecError::CutShort)?;
    let request = match tag {
        PUT => Request::Put { key: field(&mut rest)?, value: field(&mut rest)? },
        GET => Request::Get { key: field(&mut rest)? },
        DELETE => Request::Delete { key: field(&mut rest)? },
        unknown => return Err(CodecError::UnknownTag(unknown)),
    };
    if rest.is_empty() { Ok(request) } else { Err(CodecError::TrailingBytes(rest.len())) }
}

fn fields(tag: u8, fields: &[&Vec<u8>]) -> Vec<u8> {
    let size = 1 + fields.iter().map(|field| 4 + field.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(size);
    bytes.push(tag);
    for field in fields {
        let length = u32::try_from(field.len()).expect("keys and values are far below 4 GiB");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(field);
    }
    bytes
}

fn field(rest: &mut &[u8]) -> Result<Vec<u8>, CodecError> {
    let (length, after) = rest.split_first_chunk::<4>().ok_or(CodecError::CutShort)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (field, after) = after.split_at_checked(length).ok_or(CodecError::CutShort)?;
    *rest = after;
    Ok(field.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_decodes(key in any::<Vec<u8>>(), value in any::<Vec<u8>>(), kind in 0..3) {
            let request = match kind {
                0 => Request::Put { key, value },
                1 => Request::Get { key },
                _ => Request::Delete { key },
            };
            prop_assert_eq!(decode(&encode(&request)), Ok(request));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in any::<Vec<u8>>()) {
            if let Ok(request) = decode(&bytes) {
                prop_assert_eq!(encode(&request), bytes);
            }
        }
    }
}
