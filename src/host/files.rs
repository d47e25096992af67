//! Reading `/proc` and `/sys`, or a tree that looks like them.

use std::fs;
use std::path::{Path, PathBuf};

/// Where `/` is.
pub(super) struct Root(PathBuf);

impl Root {
    /// A tree that begins at `path`.
    pub(super) fn new(path: impl Into<PathBuf>) -> Root {
        Root(path.into())
    }

    /// Where the absolute `path` lies.
    fn at(&self, path: &Path) -> PathBuf {
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// All of a file.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.at(path.as_ref())).ok()
    }

    /// The first line of a file, if there is anything in it.
    pub(super) fn line(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = self.text(path)?;
        let line = text.lines().next()?.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// The number in the first line.
    pub(super) fn number(&self, path: impl AsRef<Path>) -> Option<u64> {
        self.line(path)?.parse().ok()
    }

    /// Names in a folder, sorted; none if it is not there.
    pub(super) fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at(folder.as_ref())) else { return Vec::new() };
        let name = |entry: fs::DirEntry| entry.file_name().to_str().map(str::to_owned);
        let mut names: Vec<_> = entries.flatten().filter_map(name).collect();
        names.sort();
        names
    }

    /// Whether there is a folder.
    pub(super) fn has_folder(&self, path: impl AsRef<Path>) -> bool {
        self.at(path.as_ref()).is_dir()
    }

    /// The last part of what a link leads to.
    pub(super) fn link_name(&self, path: impl AsRef<Path>) -> Option<String> {
        let to = fs::read_link(self.at(path.as_ref())).ok()?;
        to.file_name()?.to_str().map(str::to_owned)
    }
}

/// The value after `name :` in a file of `/proc`.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let found = fields.into_iter().find(|(key, _)| key.trim() == name);
    found.map(|(_, value)| value.trim())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Files in a folder of their own that look like a machine.
    pub(in crate::host) struct Tree(tempfile::TempDir);

    impl Tree {
        pub(in crate::host) fn new(files: &[(&str, &str)]) -> Tree {
            let tree = Tree(tempfile::tempdir().unwrap());
            for (path, text) in files {
                let path = tree.root().at(Path::new(path));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            tree
        }

        pub(in crate::host) fn root(&self) -> Root {
            Root::new(self.0.path())
        }

        pub(in crate::host) fn link(&self, path: &str, to: &str) {
            let path = self.root().at(Path::new(path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(to, path).unwrap();
        }
    }

    #[test]
    fn fields_are_whole_names() {
        let text = "model\t\t: 1\nmodel name\t: AMD EPYC\nflags\t: fpu a:b\n";
        assert_eq!(field(text, "model name"), Some("AMD EPYC"));
        assert_eq!(field(text, "model"), Some("1"));
        assert_eq!(field(text, "flags"), Some("fpu a:b"));
        assert_eq!(field(text, "mode"), None);
    }
}
