//! What the instruments cost: a clock read, the stage clock of a request, the clocks of a lock, the recorder, one look
//! at all threads. What they add up to in the store, with its probe on and off, is in `apply`.
//!
//! Caveats: one thread, so no lock is ever waited for; everything is warm, so these are lower bounds.

use criterion::Criterion;
use kvbench::clock::Clock;
use kvbench::measure::cpu::CpuSample;
use kvbench::measure::lock::MeasuredMutex;
use kvbench::measure::recorder::{Recorder, Services, Spans};
use kvbench::measure::series::{Series, slot_of};
use kvbench::measure::stage::{Probe, Stage, Timeline};
use kvbench::units::Nanos;
use std::hint::black_box;
use std::sync::Mutex;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    clock(&mut criterion);
    stages(&mut criterion);
    locks(&mut criterion);
    recorder(&mut criterion);
    recording(&mut criterion);
    cpu(&mut criterion);
    criterion.final_summary();
}

fn clock(criterion: &mut Criterion) {
    let clock = Clock::start();
    criterion.bench_function("clock/now", |bencher| bencher.iter(|| clock.now()));
}

/// Everything the stage clock does for one request: ten instants, then nine spans.
fn stages(criterion: &mut Criterion) {
    let mut walk = |name, probe: Probe| {
        criterion.bench_function(name, |bencher| bencher.iter(|| walk_pipeline(black_box(probe))));
    };
    walk("stages/walk/on", Probe::on(Clock::start()));
    walk("stages/walk/off", Probe::off());
}

fn walk_pipeline(probe: Probe) -> u64 {
    let mut timeline = Timeline::submitted(probe.now());
    for stage in Stage::ALL {
        timeline.end(stage, probe.now());
    }
    timeline.spans().iter().map(|span| span.0).sum()
}

fn locks(criterion: &mut Criterion) {
    let mut measured = |name, probe| {
        let lock = MeasuredMutex::new(0u64, probe);
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut guard = lock.lock();
                *guard += 1;
                guard.leave()
            });
        });
    };
    measured("lock/measured/on", Probe::on(Clock::start()));
    measured("lock/measured/profiled", Probe::with_lock_profile(Clock::start()));
    measured("lock/measured/off", Probe::off());
    let lock = Mutex::new(0u64);
    criterion.bench_function("lock/std", |bencher| {
        bencher.iter(|| *lock.lock().expect("no holder panics") += 1);
    });
}

fn recorder(criterion: &mut Criterion) {
    let mut timeline = Timeline::submitted(Nanos(1_000));
    for (stage, end) in Stage::ALL.iter().zip(1..) {
        timeline.end(*stage, Nanos(1_000 + end * 100_000));
    }
    let mut recorder = Recorder::default();
    let mut service_ns = 0;
    criterion.bench_function("recorder/record", |bencher| {
        bencher.iter(|| {
            // Different magnitudes, as in a run, so that no single bucket stays in a register.
            service_ns = (service_ns + 7_919) % 4_000_000;
            let mut spans = Spans::none();
            spans.add(black_box(&timeline));
            recorder.record(0, Nanos(service_ns), &spans);
        });
    });
}

/// Everything that is recorded of one operation when it is answered, by a closed loop and by an open one: the open loop also
/// keeps the response time and how late the operation was sent.
fn recording(criterion: &mut Criterion) {
    let spans = Spans::none();
    let span = Nanos::from_millis(1_000);
    let slot = slot_of(span);
    let (mut recorder, mut series) = (Recorder::default(), Series::default());
    let mut at = 0;
    let mut next = move || {
        at = (at + 7_919) % span.0;
        Nanos(at)
    };
    let mut closed = |recorder: &mut Recorder, fired: Nanos| {
        let service = Nanos(fired.0 % 4_000_000);
        recorder.record(0, service, black_box(&spans));
        series.record(slot, fired, fired.after(service), service);
        service
    };
    criterion.bench_function("recording/closed", |bencher| {
        bencher.iter(|| closed(&mut recorder, next()));
    });
    let (mut responses, mut lag) = (Recorder::default(), Services::default());
    criterion.bench_function("recording/open", |bencher| {
        bencher.iter(|| {
            let service = closed(&mut recorder, next());
            responses.record_time(0, service);
            lag.record(Nanos(service.0 % 100_000));
        });
    });
}

/// Once at each end of a cell, not per operation.
fn cpu(criterion: &mut Criterion) {
    criterion.bench_function("cpu/sample", |bencher| bencher.iter(CpuSample::now));
}
