//! Faults at named sites: one is armed, whatever brings a member there is done, and who ended is started again on what it left.

use super::nemesis::{self, Fault, wait};
use super::rig::Rig;
use crate::failpoint::{self, Action, After, By, SITES, Site};
use crate::raft::{Change, MemberId, Rejected};
use crate::seed::Seed;
use crate::store::EngineKind;
use crate::units::Nanos;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Times that a site is passed before it happens, at most, so that it is not always the first who comes by.
const PASSES_MAX: u64 = 12;
/// Standing still for longer than this, a leader would be replaced.
const SLEEP_MAX_MS: u64 = 200;
/// How long a member may take to answer what is asked of it to bring it to a site.
const ASKED_MAX: Duration = Duration::from_millis(500);
/// Starts that may fail one after the other.
const STARTS_MAX: u32 = 3;
/// Sites on the way of an image that a member starts with.
const OF_IMAGES_AT_A_START: [&str; 4] =
    ["image::load", "image::read", "node::adopt-state", "node::state-adopted"];
/// How often is looked whether it happened.
const LOOK: Nanos = Nanos::from_millis(1);
/// What a site is waited for at most. Most are passed within a second; a member that needs an image may take ten on a host that does much else.
const HAPPENS_WITHIN: Nanos = Nanos::from_millis(60_000);

/// Every fault at a site that a group within the process can have whose state `engine` keeps.
pub fn at_each_site(engine: EngineKind) -> Vec<Fault> {
    of_length(Nanos::from_millis(SLEEP_MAX_MS / 4), engine)
}

/// One or two of them, and pauses of a random length.
pub fn at_random_sites(seed: u64, engine: EngineKind) -> Vec<Fault> {
    let mut random = Seed(seed).stream("failpoints", 0);
    let pause = Nanos::from_millis(random.random_range(1..=SLEEP_MAX_MS));
    let all = of_length(pause, engine);
    let count = random.random_range(1..=2);
    (0..count).map(|_| all[random.random_range(0..all.len())]).collect()
}

fn of_length(pause: Nanos, engine: EngineKind) -> Vec<Fault> {
    let actions = [Action::Panic, Action::Error, Action::Sleep(pause)];
    let is_within = |site: &&Site| !matches!(site.by, By::Occasion | By::Network);
    let mut all = Vec::new();
    for site in SITES.iter().filter(is_within).filter(|site| is_on_the_way(site, engine)) {
        let taken = actions.into_iter().filter(|action| site.takes(*action));
        all.extend(taken.map(|action| Fault::At(site, action)));
    }
    all
}

/// Whether a group comes to the site with that engine: what is on disk needs no image when a member starts.
fn is_on_the_way(site: &Site, engine: EngineKind) -> bool {
    match engine {
        EngineKind::Memory => !site.name.starts_with("rocksdb::"),
        EngineKind::RocksDb { .. } => !OF_IMAGES_AT_A_START.contains(&site.name),
    }
}

/// Has `action` happen at `site` in some member, and says whether it did and came to what it must: a member that is to end ends.
pub(super) fn inject(rig: &Rig, site: &Site, action: Action, random: &mut ChaCha8Rng) -> bool {
    let is_frequent = site.by == By::Load && !site.name.starts_with("image::");
    let passes = if is_frequent { random.random_range(0..=PASSES_MAX) } else { 0 };
    let armed = failpoint::arm(site, action, passes);
    let began = rig.clock.now();
    while armed.times() == 0 && rig.clock.now().since(began) < HAPPENS_WITHIN {
        bring(rig, site.by, random);
        rig.clock.sleep(LOOK);
    }
    let happened = armed.times() > 0;
    drop(armed);
    let must_stop = happened && site.after(action) == Some(After::Stops);
    let has_stopped = !must_stop || wait(rig, |rig| has_stopped(rig).is_some());
    revive(rig) && happened && has_stopped
}

/// Does what brings a member to such a site; load is there anyway.
fn bring(rig: &Rig, by: By, random: &mut ChaCha8Rng) {
    let Some(leader) = rig.leader() else { return };
    let others: Vec<MemberId> = rig.members().filter(|me| *me != leader).collect();
    let other = match others[..] {
        [] => leader,
        _ => others[random.random_range(0..others.len())],
    };
    match by {
        By::Start => drop(start(rig, other)),
        By::Image => drop(nemesis::inject(rig, Fault::NeedsImage, random)),
        By::HandOver => {
            if let Some(node) = rig.node(leader) {
                ask(node.hand_over(other));
            }
        }
        By::Change => {
            if let Some(node) = rig.node(leader) {
                let about = random.random::<u64>().to_le_bytes().to_vec();
                ask(node.change_group(Change::Describe(leader, about)));
            }
        }
        By::Load | By::Occasion | By::Network => {}
    }
}

/// Asks, and does not wait for long; what became of it shows elsewhere.
fn ask(what: impl Future<Output = Result<(), Rejected>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime without threads");
    drop(runtime.block_on(async { tokio::time::timeout(ASKED_MAX, what).await }));
}

/// A member that ended by itself.
fn has_stopped(rig: &Rig) -> Option<MemberId> {
    rig.members().find(|me| rig.node(*me).is_none_or(|node| node.status().stopped))
}

/// Starts everybody again who ended; false if somebody does not start.
fn revive(rig: &Rig) -> bool {
    let mut starts = 0;
    while let Some(me) = has_stopped(rig) {
        if starts == STARTS_MAX {
            return false;
        }
        starts += 1;
        start(rig, me);
    }
    true
}

/// Ends a member if it is up, and starts it; whether that worked. A start goes on in whichever thread asks for it, a panic too.
fn start(rig: &Rig, me: MemberId) -> bool {
    matches!(catch_unwind(AssertUnwindSafe(|| rig.restart(&[me]))), Ok(Ok(())))
}
