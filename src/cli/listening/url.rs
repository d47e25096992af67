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

const FORM: &str = "it should look like http://127.0.0.1:2379";

/// Whether `text` could be where another server is. Its name need not be known yet: it may start later.
pub(in crate::cli) fn check_form(text: &str) -> Result<(), String> {
    let (_, place) = parts(text)?;
    let (host, port) = place.rsplit_once(':').ok_or(FORM)?;
    let is_host = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    match port.parse::<u16>() {
        Ok(1..) if is_host => Ok(()),
        _ => Err(FORM.to_owned()),
    }
}

/// Whether it is TLS, and `host:port`.
fn parts(text: &str) -> Result<(bool, &str), String> {
    let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
    let is_https = match scheme {
        "http" => false,
        "https" => true,
        _ => return Err(format!("{scheme} is not served, only http and https")),
    };
    Ok((is_https, rest.strip_suffix('/').unwrap_or(rest)))
}

impl FromStr for ListenUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<ListenUrl, String> {
        let (is_https, place) = parts(text)?;
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
    fn another_server_need_not_be_known_yet() {
        for right in ["http://b.cluster.invalid:2380", "https://[::1]:1", "http://127.0.0.1:2380/"]
        {
            assert_eq!(check_form(right), Ok(()), "{right}");
        }
        for wrong in ["b:2380", "http://b", "http://:1", "http://b:0", "http://b:x", "http://b/c:1"]
        {
            assert!(check_form(wrong).is_err(), "{wrong}");
        }
    }

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
