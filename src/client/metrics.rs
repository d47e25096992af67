//! The page of numbers that a server serves for Prometheus, over plain HTTP.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long the page may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// More is no page of numbers.
const PAGE_BYTES_MAX: u64 = 16 << 20;

/// Numbers by name, without those that carry labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// The number called `name`; 0 if there is none.
    pub fn count(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |value| *value as u64)
    }

    /// The number called `name`, seconds, as ns; 0 if there is none.
    pub fn nanoseconds(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |value| (*value * 1e9) as u64)
    }

    fn parse(page: &str) -> Metrics {
        let numbers = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (name, value) = line.trim().split_once(' ')?;
            Some((
                name.to_owned(),
                value.trim().parse().ok().filter(|value: &f64| value.is_finite())?,
            ))
        });
        Metrics(numbers.filter(|(name, _)| !name.contains('{')).collect())
    }
}

/// Asks the server at `address` (`host:port`) for `/metrics`.
pub fn scrape(address: &str) -> io::Result<Metrics> {
    let (_, page) = get(address)?;
    Ok(Metrics::parse(&page))
}

/// What the server at `address` (`host:port`) takes for the time, as in the `Date` of its answers (RFC 9110, section 6.6.1).
pub fn date(address: &str) -> io::Result<String> {
    let (head, _) = get(address)?;
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut dates = fields.filter(|(name, _)| name.eq_ignore_ascii_case("date"));
    let date = dates.next().map(|(_, date)| date.trim().to_owned());
    date.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Head and body of the page.
fn get(address: &str) -> io::Result<(String, String)> {
    let found = address.to_socket_addrs()?.next();
    let mut stream = TcpStream::connect_timeout(&found.ok_or(io::ErrorKind::NotFound)?, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(PAGE_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, page) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let is_ok = head.split_whitespace().nth(1) == Some("200");
    match is_ok {
        true => Ok((head.to_owned(), page.to_owned())),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_labels_are_left_out() {
        let page = "# HELP a b\n# TYPE a counter\na 12\nb{c=\"d\"} 3\ne_sum 1.5e-3\nf NaN\n\ng";
        let metrics = Metrics::parse(page);
        assert_eq!((metrics.count("a"), metrics.count("b"), metrics.count("f")), (12, 0, 0));
        assert_eq!(metrics.nanoseconds("e_sum"), 1_500_000);
    }
}
