//! What a scenario needs and this build lacks. Such a scenario is sound, so that files can be checked and planned on
//! any build; only running it is refused, before anything is started.

use super::problem::{Problem, Problems};
use super::spec::{Engine, Scenario};

/// Why `scenario`, read from `file_name`, cannot run in this build; nothing if it can.
pub fn missing(file_name: &str, scenario: &Scenario) -> Option<Problems> {
    let needs_rocksdb = scenario.arms.iter().any(|arm| arm.system.engine == Engine::Rocksdb);
    if cfg!(feature = "rocksdb") || !needs_rocksdb {
        return None;
    }
    let mut problem = Problem::of_file(file_name, "engine rocksdb is not in this build".to_owned());
    problem.hint = Some(
        "build with `cargo build --release --features rocksdb` (./scripts/setup rocksdb installs what it needs)"
            .to_owned(),
    );
    Some(Problems::single(problem))
}
