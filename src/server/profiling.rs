//! Where this server's CPU time goes while it serves: a sampling profile on demand, for whoever asks on this machine. Off unless asked
//! for; a profile costs a few percent of the CPU while it is taken, and tells what runs here.

use crate::measure::cpu::CpuSample;
use crate::profile::{self, Doing, FREQUENCY_HZ, Folded, ProfileError, Session};
use crate::units::Nanos;
use hyper::StatusCode;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Where profiles are asked for, as Go's programs have it.
pub(super) const FOLDER: &str = "/debug/pprof/";

const SECONDS: std::ops::RangeInclusive<u64> = 1..=300;
const SECONDS_DEFAULT: u64 = 10;
const HZ: std::ops::RangeInclusive<u64> = 1..=1000;

/// What is answered.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) body: Vec<u8>,
}

/// Takes profiles, one at a time: there is one sampler in a process.
pub(super) struct Profiler {
    turn: Arc<Semaphore>,
    name: String,
}

/// In which form a profile is given.
#[derive(Clone, Copy)]
enum Form {
    Proto,
    Flame,
    Folded,
}

impl Profiler {
    /// For a server of this name.
    pub(super) fn new(name: &str) -> Profiler {
        Profiler { turn: Arc::new(Semaphore::new(1)), name: name.to_owned() }
    }

    /// Answers one request for what stands under [`FOLDER`], after as many seconds as it asks for. Only from this machine.
    pub(super) async fn answer(&self, from: IpAddr, path: &str, query: Option<&str>) -> Page {
        if !from.to_canonical().is_loopback() {
            return said(StatusCode::FORBIDDEN, "profiles are for this machine alone");
        }
        let form = match path {
            "profile" => Form::Proto,
            "flame" => Form::Flame,
            "folded" => Form::Folded,
            _ => return said(StatusCode::NOT_FOUND, USAGE),
        };
        let (seconds, hz) = match asked(query) {
            Ok(asked) => asked,
            Err(wrong) => return said(StatusCode::BAD_REQUEST, &wrong),
        };
        let Ok(_turn) = self.turn.try_acquire() else {
            return said(
                StatusCode::TOO_MANY_REQUESTS,
                "somebody takes a profile; try again later",
            );
        };
        self.profile(form, seconds, hz).await.unwrap_or_else(|error| {
            let status = match error {
                // Who asks an idle server is told so, and may ask again.
                ProfileError::Idle => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            said(status, &error.to_string())
        })
    }

    async fn profile(&self, form: Form, seconds: u64, hz: u16) -> Result<Page, ProfileError> {
        let before = CpuSample::now();
        let session = Session::start(hz)?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let used = CpuSample::now().since(&before);
        let cpu = Nanos(used.values().map(|role| role.cpu_ns).sum());
        // Names are looked up in files and tables: not on a thread that serves others.
        let name = self.name.clone();
        let drawn = tokio::task::spawn_blocking(move || {
            let folded = session.finish()?;
            draw(&folded, form, &name, cpu, seconds)
        });
        drawn.await.unwrap_or(Err(ProfileError::Idle))
    }
}

const USAGE: &str = "try /debug/pprof/profile?seconds=10&hz=99 (for `go tool pprof`), /debug/pprof/flame (SVG) or /debug/pprof/folded";

fn draw(
    folded: &Folded,
    form: Form,
    name: &str,
    cpu: Nanos,
    seconds: u64,
) -> Result<Page, ProfileError> {
    if folded.samples() == 0 {
        return Err(ProfileError::Idle);
    }
    let (kind, body) = match form {
        Form::Proto => ("application/octet-stream", folded.pprof(cpu, seconds as f64)?),
        Form::Folded => ("text/plain; charset=utf-8", folded.to_text().into_bytes()),
        Form::Flame => {
            let busy = cpu.as_secs_f64() / seconds as f64;
            let samples = folded.samples();
            let subtitle = format!(
                "{samples} samples in {seconds} s, {busy:.2} cores busy; waiting threads are not sampled"
            );
            let title = format!("kvbench serve {name} on CPU");
            ("image/svg+xml", profile::flame(&title, &subtitle, Doing::OnCpu, folded)?)
        }
    };
    Ok(Page { status: StatusCode::OK, kind, body })
}

/// `seconds` and `hz` of a query.
fn asked(query: Option<&str>) -> Result<(u64, u16), String> {
    let (mut seconds, mut hz) = (SECONDS_DEFAULT, u64::from(FREQUENCY_HZ));
    for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let (place, allowed) = match key {
            "seconds" => (&mut seconds, SECONDS),
            "hz" => (&mut hz, HZ),
            _ => return Err(USAGE.to_owned()),
        };
        let number = value.parse().ok().filter(|number| allowed.contains(number));
        *place = number
            .ok_or_else(|| format!("{key}: allowed: {} to {}", allowed.start(), allowed.end()))?;
    }
    let hz = u16::try_from(hz).map_err(|_| USAGE.to_owned())?;
    Ok((seconds, hz))
}

fn said(status: StatusCode, text: &str) -> Page {
    Page { status, kind: "text/plain; charset=utf-8", body: format!("{text}\n").into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_seconds_and_rate() {
        assert_eq!(asked(None), Ok((10, FREQUENCY_HZ)));
        assert_eq!(asked(Some("seconds=2&hz=99")), Ok((2, 99)));
        for (wrong, why) in [
            ("seconds=0", "1 to 300"),
            ("seconds=x", "1 to 300"),
            ("hz=9999", "1 to 1000"),
            ("x=1", "try"),
        ] {
            assert!(asked(Some(wrong)).unwrap_err().contains(why), "{wrong}");
        }
    }

    #[tokio::test]
    async fn others_are_refused_and_only_one_profile_is_taken_at_a_time() {
        let profiler = Profiler::new("default");
        let there = "192.0.2.7".parse().unwrap();
        assert_eq!(profiler.answer(there, "profile", None).await.status, StatusCode::FORBIDDEN);
        let here: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        assert_eq!(profiler.answer(here, "heap", None).await.status, StatusCode::NOT_FOUND);
        let wrong = profiler.answer(here, "flame", Some("seconds=9999")).await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
        let _turn = profiler.turn.try_acquire().unwrap();
        let busy = profiler.answer(here, "flame", Some("seconds=1")).await;
        assert_eq!(busy.status, StatusCode::TOO_MANY_REQUESTS);
    }
}
