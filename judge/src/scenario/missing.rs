//! What a scenario needs and this build or this host lacks. Such a scenario is sound, so that files can be checked and
//! planned anywhere; only running it is refused, before anything is started.

use super::problem::{Problem, Problems};
use super::spec::{Engine, Layer, Measure, Scenario, System};

/// The program that layer `etcd` starts where no endpoints are named.
const ETCD: &str = "etcd";

/// What a program was built with that not every build has.
#[derive(Clone, Copy, Debug)]
pub struct InBuild {
    /// The RocksDB engine.
    pub rocksdb: bool,
    /// An allocator that counts.
    pub counted_allocations: bool,
}

/// Why a program built so cannot run `scenario`, read from `file_name`, here; nothing if it can.
pub fn missing(file_name: &str, scenario: &Scenario, build: InBuild) -> Option<Problems> {
    let any = |needs: fn(&System) -> bool| scenario.arms.iter().any(|arm| needs(&arm.system));
    let lacks_rocksdb = !build.rocksdb && any(|system| system.engine == Engine::Rocksdb);
    let (message, hint) = if lacks_rocksdb {
        (
            "engine rocksdb is not in this build",
            "build with `cargo build --release --features rocksdb` (./scripts/setup rocksdb installs what it needs)",
        )
    } else if any(starts_etcd) && !is_in_path(ETCD) {
        (
            "etcd is not in the path",
            "./scripts/setup etcd installs Debian's; or name running servers in etcd.endpoints",
        )
    } else if !build.counted_allocations && judges_allocations(scenario) {
        (
            "allocations are not counted in this build",
            "build with `cargo build --release --features count-allocations`; take no speed from that build",
        )
    } else {
        return None;
    };
    Some(Problems::single(Problem::of_file(file_name, message.to_owned(), hint)))
}

fn judges_allocations(scenario: &Scenario) -> bool {
    scenario.judges(|measure| matches!(measure, Measure::AllocsPerOp | Measure::AllocBytesPerOp))
}

fn starts_etcd(system: &System) -> bool {
    system.layer == Layer::Etcd && system.etcd.endpoints.is_empty()
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
