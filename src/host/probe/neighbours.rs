//! What others do to this machine while this program sleeps.

use crate::clock::Clock;
use crate::measure::cpu::CpuSample;
use crate::measure::host::HostSample;
use crate::record::HostProbes;
use crate::units::Nanos;

/// How long they are watched.
const WATCHED: Nanos = Nanos::from_millis(1_000);

/// CPU time of all threads of this process so far that still live.
pub(super) fn own_cpu() -> Nanos {
    let roles = CpuSample::now().since(&CpuSample::default());
    Nanos(roles.values().map(|used| used.cpu_ns).sum())
}

/// Sleeps, and notes who used the machine meanwhile.
pub(super) fn watch(probes: &mut HostProbes) {
    let clock = Clock::start();
    let (machine, own) = (HostSample::now(), own_cpu());
    clock.sleep(WATCHED);
    let used = HostSample::now().since(&machine);
    let own_s = own_cpu().since(own).as_secs_f64();
    let watched_s = clock.now().as_secs_f64();
    let share = |seconds: Option<f64>| seconds.map(|seconds| seconds / watched_s);
    probes.watched_s = watched_s;
    probes.foreign_cores = share(used.cpu_s.map(|all| (all - own_s).max(0.0)));
    probes.stolen_cores = share(used.stolen_s);
    probes.cpu_pressure = share(used.cpu_wait_s).map(|share| share.min(1.0));
    probes.io_pressure = share(used.io_wait_s).map(|share| share.min(1.0));
}
