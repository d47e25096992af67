//! The content security policy of the page, as narrow as its flame graphs allow.
//!
//! Everything is refused but inline styles. Frames made by `srcdoc` inherit the policy of the page, so the scripts of
//! the flame graphs have to be allowed here: each by the hash of its text, which lets those run and no other, wherever
//! it may have come from. `form-action` and `base-uri` have no fallback and are closed by name.

use super::flames::Frame;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The `<meta>` element.
pub(super) fn meta(frames: &[Option<Frame>]) -> String {
    let hashes: BTreeSet<String> = frames
        .iter()
        .flatten()
        .flat_map(|frame| &frame.scripts)
        .map(|script| format!("'sha256-{}'", script_hash(script)))
        .collect();
    let scripts = match hashes.is_empty() {
        true => String::new(),
        false => format!("; script-src {}", Vec::from_iter(hashes).join(" ")),
    };
    format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'{scripts}; \
         base-uri 'none'; form-action 'none'\">\n"
    )
}

/// Standard base64 of the SHA-256 of a script's text, as a policy names it.
fn script_hash(script: &str) -> String {
    STANDARD.encode(Sha256::digest(script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_example() {
        // The example in the Content Security Policy specification.
        let hash = script_hash("doSomething();");
        assert_eq!(hash, "RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc=");
    }
}
