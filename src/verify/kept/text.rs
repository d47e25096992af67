//! Bytes as text that nothing can be smuggled through.

/// Letters of a folder's name, at most.
const NAME_MAX: usize = 100;

/// Bytes as a string of EDN: printable ASCII as it is, other bytes as `\x00`, `\n` and so on, which no reader of EDN takes for an
/// escape of its own.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let shown = bytes.escape_ascii().to_string();
    format!("\"{}\"", shown.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A name for the folder of a key: the key if it is made of letters, digits, `-` and `_` and is short, else its number.
pub(super) fn folder_name(key: &[u8], number: usize) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || [b'-', b'_'].contains(byte);
    let is_name = key.first().is_some_and(u8::is_ascii_alphabetic)
        && key.len() <= NAME_MAX
        && key.iter().all(is_plain);
    match is_name {
        true => String::from_utf8_lossy(key).into_owned(),
        false => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_stay_within_their_quotes_and_folders() {
        assert_eq!(quoted(b"1.7"), r#""1.7""#);
        assert_eq!(quoted(b"a\"b\\\n\0"), r#""a\\\"b\\\\\\n\\x00""#);
        assert_eq!(folder_name(b"register-0-1", 4), "register-0-1");
        for key in [&b"../x"[..], b"", b"-rf", b"a/b", b"a\0", b"7", &[b'k'; 101]] {
            assert_eq!(folder_name(key, 4), "4");
        }
    }
}
