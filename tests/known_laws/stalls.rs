//! A stall in one stage of the pipeline, whichever it is: the report names it as what an operation waits for.

use crate::fake::{Fakes, Nature};
use crate::tool::{amid_noise, run, scenario};
use kvbench::measure::stage::Stage;
use kvbench::units::Nanos;

/// What a reader is told of each stage.
const CAUSES: [(Stage, &str); 9] = [
    (Stage::Queue, "its turn, while others are written and synced"),
    (Stage::Propose, "being packed and proposed"),
    (Stage::Append, "being written to the log"),
    (Stage::Fsync, "its own sync"),
    (Stage::Replicate, "a quorum of the others"),
    (Stage::Commit, "being handed to the applier"),
    (Stage::ApplyWait, "the applier, behind others of its batch"),
    (Stage::Apply, "being executed"),
    (Stage::Respond, "its client to run again"),
];

#[test]
fn a_stall_is_named_as_the_cause_in_whatever_stage_it_is() {
    amid_noise(|| {
        let text = scenario(
            "
[[phase]]
name     = \"p\"
load     = { closed = { clients = [4] } }
warmup   = \"20ms\"
duration = \"300ms\"
[trials]
on_disturbed = \"keep\"
pairs = { min = 1, max = 1 }
aa    = false
",
        );
        for (stalled, cause) in CAUSES {
            let fakes = Fakes::new(move |arm, _| {
                let of_before = arm.name == "before";
                let stall = Nanos::from_millis(if of_before { 5 } else { 1 });
                // The other arm is held up elsewhere, so that each sentence is of its own arm.
                let elsewhere = if stalled == Stage::Fsync { Stage::Apply } else { Stage::Fsync };
                Nature::Stall { stage: if of_before { stalled } else { elsewhere }, stall }
            });
            let told = run(&text, &fakes);
            assert!(told.failure.is_none(), "{:?}", told.failure);
            for form in [&told.forms[0], &told.forms[2]] {
                let words = form.split_whitespace().collect::<Vec<_>>().join(" ");
                let (_, path) =
                    words.split_once("op of before: ").expect("the report has the path");
                let first = path.split(['·', '<']).next().unwrap();
                assert!(first.contains(cause), "{stalled:?}: {first}");
            }
        }
    });
}
