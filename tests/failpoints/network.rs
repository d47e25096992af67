//! Members that reach each other over gRPC: what goes wrong on the way is done again, and a way that broke is made anew.

use super::rig::Rig;
use super::turn;
use kvbench::clock::Clock;
use kvbench::failpoint::{self, Action, After, By, SITES};
use kvbench::units::Nanos;

/// Far beyond what any wait here takes.
const PATIENCE: Nanos = Nanos::from_millis(30_000);
/// Puts after which a member that was away needs an image.
const PUTS_AWAY: u32 = 80;

#[test]
fn whatever_happens_between_members_is_done_again() {
    let _turn = turn();
    let mut rig = Rig::start();
    let mut number = 0;
    let sites = SITES.iter().filter(|site| site.by == By::Network && site.name.starts_with("peer"));
    for site in sites {
        for action in [Action::Error, Action::Panic, Action::Sleep(Nanos::from_millis(50))] {
            assert_eq!(site.after(action), Some(After::GoesOn), "{}", site.name);
            let armed = failpoint::arm(site, action, 0);
            let clock = Clock::start();
            while armed.times() == 0 {
                assert!(clock.now() < PATIENCE, "{} is not reached", site.name);
                number += 1;
                come_by(&mut rig, site.name, number);
            }
            drop(armed);
            rig.put("last", &format!("{} {action}", site.name));
            rig.check_equal();
        }
    }
}

/// Messages flow anyway; connections and images are for a member that was away.
fn come_by(rig: &mut Rig, site: &str, number: u32) {
    let away = 1 + (rig.leader() + u64::from(number)) % 3;
    let needs_image = site.contains("image");
    if needs_image || site == "peer::connect" {
        rig.stop_one(away);
    }
    for put in 0..if needs_image { PUTS_AWAY } else { 1 } {
        rig.put(&format!("k{}", put % 20), &number.to_string());
    }
    if !rig.members.contains_key(&away) {
        rig.start_one(away);
        rig.check_equal();
    }
}
