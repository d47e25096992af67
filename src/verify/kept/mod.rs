//! A history as a folder, for whoever wants to question it with another checker:
//!
//! | file | holds | for |
//! |---|---|---|
//! | `history.edn` | every operation, in words of our own | people, and programs of their own |
//! | `registers.edn` | the registers, values `[key value]`, numbered | `kvbench verify --history … --keyed`, Knossos behind `jepsen.independent` |
//! | `independent/<key>/history.edn` | one register | `kvbench verify --history`, Knossos |
//! | `names.edn` | what the numbers of keys and values stand for | people |
//! | `porcupine.jsonl` | the registers, a line for each operation | a Go program with Porcupine |
//! | `elle-rw-register.edn`, `elle-list-append.edn` | transactions | elle-cli |
//! | `accusation.txt` | what our own checkers hold against it, if anything | people |
//!
//! All follow Jepsen's rules: times go up, a process has one operation at a time, and none after an operation of unknown outcome.

mod elle;
mod own;
mod text;
mod turns;

use super::edn::{self, ClientCall, Record, Shape};
use super::history::Operation;
use super::registers::{self, Registers};
use super::wgl::register::RegisterOp;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use text::{folder_name, quoted};

/// Keys of lists, which transactions append to, begin so. Their values are elements with a blank between each two.
pub const LIST: &str = "list-";

/// What goes into the folder of each register.
const HISTORY: &str = "history.edn";

/// Writes `history` into `folder`, which is there only once it is whole; what was there before is replaced.
///
/// # Errors
/// If a file cannot be written, or, as `InvalidInput`, if a client of `history` had two operations at once.
pub fn write(folder: &Path, history: &[Operation], accusation: &[String]) -> io::Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let begun = tempfile::Builder::new().prefix(".begun-").tempdir_in(parent)?;
    files(begun.path(), history, accusation)?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let begun = begun.keep();
    // For whoever reads the rest of the folder, too.
    fs::set_permissions(&begun, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    fs::rename(begun, folder)
}

fn files(folder: &Path, history: &[Operation], accusation: &[String]) -> io::Result<()> {
    file(folder, HISTORY, |out| own::write(out, history))?;
    file(folder, "elle-rw-register.edn", |out| elle::write_registers(out, history))?;
    file(folder, "elle-list-append.edn", |out| elle::write_lists(out, history))?;
    let registers = registers::by_client(history);
    file(folder, "names.edn", |out| names(out, &registers))?;
    let all = calls(&registers);
    let records = records(&all)?;
    let keyed = Shape { keyed: true, versioned: false };
    file(folder, "registers.edn", |out| edn::write_edn(out, &records, keyed))?;
    file(folder, "porcupine.jsonl", |out| edn::write_porcupine(out, &records))?;
    for (number, key) in registers.by_key.keys().enumerate() {
        let its: Vec<_> =
            all.iter().filter(|one| one.key == Some(number as u64)).copied().collect();
        let records = self::records(&its)?;
        let folder = folder.join("independent").join(folder_name(key, number));
        fs::create_dir_all(&folder)?;
        file(&folder, HISTORY, |out| edn::write_edn(out, &records, Shape::default()))?;
    }
    if !accusation.is_empty() {
        file(folder, "accusation.txt", |out| {
            accusation.iter().try_for_each(|words| writeln!(out, "{words}\n"))
        })?;
    }
    Ok(())
}

fn file(
    folder: &Path,
    name: &str,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(File::create_new(folder.join(name))?);
    fill(&mut out)?;
    out.into_inner()?.sync_all()
}

/// All calls, their keys numbered.
fn calls(registers: &Registers<'_>) -> Vec<ClientCall<RegisterOp<u64>>> {
    let numbered = (0..).map(Some).zip(registers.by_key.values());
    let of_key = |(key, sent): (Option<u64>, &Vec<_>)| {
        let call = |&(client, call)| ClientCall { client, key, call };
        sent.iter().map(call).collect::<Vec<_>>()
    };
    numbered.flat_map(of_key).collect()
}

/// Clients are processes as they are: each already goes by another number after an unknown outcome.
fn records(calls: &[ClientCall<RegisterOp<u64>>]) -> io::Result<Vec<Record>> {
    let clients = calls.iter().map(|one| one.client + 1).max().unwrap_or(0);
    edn::records(calls, clients).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn names(out: &mut impl Write, registers: &Registers<'_>) -> io::Result<()> {
    let map = |names: &mut dyn Iterator<Item = &[u8]>| {
        let pairs = names.enumerate().map(|(number, name)| format!("{number} {}", quoted(name)));
        pairs.collect::<Vec<_>>().join(", ")
    };
    let keys = map(&mut registers.by_key.keys().map(Vec::as_slice));
    let values = map(&mut registers.values.iter().copied());
    writeln!(out, "{{:keys {{{keys}}}, :values {{{values}}}}}")
}

#[cfg(test)]
mod tests;
