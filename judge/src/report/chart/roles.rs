//! What the threads of each role do with their time: one bar for each role and arm, as long as all of it.

use super::svg::Anchor;
use super::{Svg, WIDTH};
use crate::record::{LockProfile, RoleTime};
use crate::report::words::{self, percent};

const LEFT: f64 = 190.0;
const RIGHT: f64 = 16.0;
const LEGEND: f64 = 48.0;
const BAR: f64 = 22.0;
const STEP: f64 = 28.0;
const TOP: f64 = 6.0;
/// Narrowest part that carries its own figure.
const LABEL_MIN: f64 = 44.0;

/// Parts of a bar: name and style, in their order.
pub(in crate::report) const PARTS: [(&str, &str); 5] = [
    ("on a CPU", "s2"),
    ("waiting for a CPU", "s3"),
    ("waiting for a lock", "s6"),
    ("waiting for the disk", "s4"),
    ("everything else", "s0"),
];

/// The parts of a role's time as shares of all of it. A thread that is woken waits for its CPU within its wait for the lock, so that the first
/// four may be a little more than all; then nothing is left for the last.
pub(in crate::report) fn shares(role: &RoleTime, elapsed_s: f64) -> [f64; PARTS.len()] {
    let known = [role.cpu_ns, role.runqueue_ns, role.lock_ns, role.disk_ns].map(|ns| ns as f64);
    let all = f64::from(role.threads) * elapsed_s * 1e9;
    let spent: f64 = known.iter().sum();
    let whole = all.max(spent).max(1.0);
    let [cpu, runqueue, lock, disk] = known.map(|ns| ns / whole);
    [cpu, runqueue, lock, disk, (whole - spent) / whole]
}

/// The drawing; nothing without a profile.
pub(in crate::report) fn render(profiles: &[LockProfile]) -> Option<String> {
    let rows: Vec<_> = profiles
        .iter()
        .flat_map(|profile| profile.roles.iter().map(move |role| (profile, role)))
        .filter(|(_, role)| role.threads > 0)
        .collect();
    if rows.is_empty() {
        return None;
    }
    let legend = TOP + STEP * rows.len() as f64 + 8.0;
    let desc: Vec<_> = rows.iter().map(|(profile, role)| describe(profile, role)).collect();
    let title = "What the threads of each role did with their time";
    let mut svg = Svg::new(WIDTH, legend + 24.0, title, &desc.join("; "));
    for (place, (profile, role)) in rows.iter().enumerate() {
        bar(&mut svg, profile, role, TOP + STEP * place as f64);
    }
    for (place, (name, class)) in PARTS.iter().enumerate() {
        let x = LEGEND + 164.0 * place as f64;
        svg.rect(&format!("stage {class}"), (x, legend), (14.0, 14.0), "");
        svg.text("small", (x + 20.0, legend + 12.0), Anchor::Start, name);
    }
    Some(svg.finish())
}

fn name(profile: &LockProfile, role: &RoleTime) -> String {
    let arm = words::short(&profile.arm, 12);
    format!("{arm}: {} \u{d7} {}", role.threads, words::short(&role.role, 10))
}

fn describe(profile: &LockProfile, role: &RoleTime) -> String {
    let parts = PARTS.iter().zip(shares(role, profile.elapsed_s));
    let parts: Vec<_> =
        parts.map(|((name, _), share)| format!("{} {name}", percent(share))).collect();
    format!("{}: {}", name(profile, role), parts.join(", "))
}

fn bar(svg: &mut Svg, profile: &LockProfile, role: &RoleTime, y: f64) {
    let label = name(profile, role);
    svg.text("label", (LEFT - 8.0, y + 16.0), Anchor::End, &label);
    let mut x = LEFT;
    for ((name, class), share) in PARTS.iter().zip(shares(role, profile.elapsed_s)) {
        let width = share * (WIDTH - LEFT - RIGHT);
        if width < 0.05 {
            continue;
        }
        let tip = format!("{label}: {} {name}", percent(share));
        svg.rect(&format!("stage {class}"), (x, y), (width, BAR), &tip);
        if width >= LABEL_MIN {
            svg.text(&format!("in {class}"), (x + 5.0, y + 15.5), Anchor::Start, &percent(share));
        }
        x += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn parts_are_shares_of_all_the_time_there_was() {
        let role = RoleTime {
            role: "load".into(),
            threads: 4,
            cpu_ns: 1_000_000_000,
            runqueue_ns: 500_000_000,
            lock_ns: 2_000_000_000,
            disk_ns: 0,
        };
        let wanted = [0.25, 0.125, 0.5, 0.0, 0.125];
        let near = |(share, wanted): (f64, f64)| (share - wanted).abs() < 1e-12;
        assert!(shares(&role, 1.0).into_iter().zip(wanted).all(near));
        let crowded = RoleTime { lock_ns: 4_500_000_000, ..role };
        let [cpu, runqueue, lock, disk, work] = shares(&crowded, 1.0);
        assert!((cpu + runqueue + lock + disk - 1.0).abs() < 1e-12 && work.abs() < 1e-12);
    }

    #[test]
    fn every_role_of_every_arm_has_a_bar() {
        let profiles = [sample::lock_profile("before"), sample::lock_profile("after")];
        let svg = render(&profiles).unwrap();
        for wanted in ["before: 8 \u{d7} load", "after: 1 \u{d7} raft", "waiting for a lock"] {
            assert!(svg.contains(wanted), "{wanted}");
        }
        assert!(render(&[]).is_none());
    }
}
