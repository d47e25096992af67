//! Files within bounds: what others wrote is read only if it is a file with an end, and what is written is there whole or not at all.
//!
//! A name may lead to a pipe that nobody writes to, to a device that never ends, or to far more than anybody meant to name.
//! Caveat: between looking at a name and opening it somebody may put something else there; then this may wait for them.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What [`replace`] writes is meant to be read by others.
const MODE: u32 = 0o644;

/// The bytes of the regular file `path`.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if it is a folder, pipe or device; [`io::ErrorKind::FileTooLarge`] beyond `bytes_max`; else what the
/// file system says.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    // Asked before opening, since opening a pipe would wait for its writer.
    require_regular(path)?;
    read_open(&File::open(path)?, bytes_max)
}

/// As [`read`], of a file that is open.
///
/// # Errors
/// As [`read`].
pub fn read_open(file: &File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    regular(&metadata)?;
    if metadata.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    // It may grow meanwhile.
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > bytes_max {
        true => Err(too_large(bytes_max)),
        false => Ok(bytes),
    }
}

/// As [`read`], of UTF-8 text.
///
/// # Errors
/// As [`read`], and [`io::ErrorKind::InvalidData`] if it is no UTF-8.
pub fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    String::from_utf8(read(path, bytes_max)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let what = format!("is not UTF-8 text (first bad byte at offset {at})");
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

/// Writes `path` whole or not at all: beside it, synced, and renamed over what was there. What is no regular file, such as
/// `/dev/stdout`, is written to as it is.
///
/// # Errors
/// What the file system says; then the old file is still there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return fs::write(path, bytes);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(MODE))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Whether `path` is a regular file, or leads to one.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if it is a folder, pipe or device; else what the file system says.
pub fn require_regular(path: &Path) -> io::Result<()> {
    regular(&fs::metadata(path)?)
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file")),
    }
}

fn too_large(bytes_max: u64) -> io::Error {
    let what = format!("is larger than {bytes_max} bytes, the most that is read");
    io::Error::new(io::ErrorKind::FileTooLarge, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_with_an_end_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert_eq!(read_text(&file, 5).unwrap(), "12345");
        let large = read(&file, 4).unwrap_err();
        assert_eq!(large.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(large.to_string(), "is larger than 4 bytes, the most that is read");
        for other in [folder.path(), Path::new("/dev/zero"), Path::new("/dev/null")] {
            assert_eq!(read(other, 5).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(
            read(&folder.path().join("none"), 5).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        fs::write(&file, [b'a', 0xff]).unwrap();
        let bad = read_text(&file, 5).unwrap_err().to_string();
        assert_eq!(bad, "is not UTF-8 text (first bad byte at offset 1)");
    }

    #[test]
    fn what_is_replaced_is_whole_and_stays_within_its_folder() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (link, target) = (folder.path().join("link"), elsewhere.path().join("target"));
        fs::write(&target, "theirs").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        replace(&link, b"ours").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"theirs");
        assert_eq!(fs::read(&link).unwrap(), b"ours");
        assert_eq!(fs::metadata(&link).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        replace(Path::new("/dev/null"), b"nowhere").unwrap();
        assert!(replace(&folder.path().join("no/such/folder"), b"x").is_err());
    }
}
