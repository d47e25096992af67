//! Where to listen, as etcd's flags say it: `http://127.0.0.1:2379`.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// An address with what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ListenUrl {
    /// Whether it is TLS.
    pub(in crate::cli) is_https: bool,
    /// Where.
    pub(in crate::cli) address: SocketAddr,
}

impl FromStr for ListenUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<ListenUrl, String> {
        const FORM: &str = "it should look like http://127.0.0.1:2379";
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        let is_https = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(format!("{scheme} is not served, only http and https")),
        };
        let place = rest.strip_suffix('/').unwrap_or(rest);
        let mut found = place.to_socket_addrs().map_err(|error| format!("{error}; {FORM}"))?;
        let address = found.next().ok_or_else(|| format!("{place} has no address"))?;
        Ok(ListenUrl { is_https, address })
    }
}

impl fmt::Display for ListenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_https { "https" } else { "http" }, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_as_etcd_does() {
        for text in ["http://127.0.0.1:2379", "https://[::1]:0"] {
            assert_eq!(text.parse::<ListenUrl>().unwrap().to_string(), text);
        }
        for wrong in ["127.0.0.1:2379", "unix://x:1", "http://127.0.0.1", "http://127.0.0.1:2379/x"]
        {
            assert!(wrong.parse::<ListenUrl>().is_err(), "{wrong}");
        }
    }
}
