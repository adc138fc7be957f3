//! The generated files. Either all of them are written, or none, or they are compared with a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::error::Error;
use crate::find::shipped;

/// Generated files by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    files: BTreeMap<String, String>,
}

impl Output {
    pub(crate) fn new(files: BTreeMap<String, String>) -> Self {
        Self { files }
    }

    /// The same files, with a comment added to `mod.rs`.
    pub(crate) fn with_note(self, note: &str) -> Self {
        let mut this = self;
        if let Some(root) = this.files.get_mut("mod.rs") {
            *root = format!("// {note}\n{root}");
        }
        this
    }

    /// An output of one file with this name and text.
    #[must_use]
    pub fn of(name: &str, text: &str) -> Self {
        Self::new(BTreeMap::from([(name.to_owned(), text.to_owned())]))
    }

    /// Reads the files that are in `folder`.
    ///
    /// # Errors
    ///
    /// When the folder does not hold generated files, or a file cannot be read.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let root = folder.join("mod.rs");
        std::fs::metadata(&root).map_err(|error| Error::io(&root, error))?;
        let mut files = BTreeMap::new();
        for name in present(folder)? {
            let path = folder.join(&name);
            let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
            files.insert(name, text);
        }
        Ok(Self { files })
    }

    /// Names and contents of the files.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Writes the files into `folder` and removes other `.rs` files from it, which an earlier run left there.
    ///
    /// Each file is first written under a temporary name, so that a full disk leaves the old files unchanged.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        if folder.is_file() {
            return Err(Error::argument(
                folder.display().to_string(),
                "is a file: a folder is needed for the generated files",
            ));
        }
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        let mut staged = Vec::new();
        for (name, text) in &self.files {
            let mut file = tempfile::NamedTempFile::new_in(folder)
                .map_err(|error| Error::io(folder, error))?;
            std::io::Write::write_all(&mut file, text.as_bytes())
                .map_err(|error| Error::io(file.path(), error))?;
            staged.push((name, file));
        }
        let old = present(folder)?;
        for (name, file) in staged {
            let path = folder.join(name);
            file.persist(&path)
                .map_err(|failed| Error::io(&path, failed.error))?;
            readable_by_all(&path)?;
        }
        for name in old.iter().filter(|name| !self.files.contains_key(*name)) {
            let path = folder.join(name);
            std::fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
        }
        Ok(())
    }

    /// A unified diff from the files in `folder` to these files. It is empty if they are equal.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn diff(&self, folder: &Path) -> Result<String, Error> {
        let present = present(folder)?;
        let names: BTreeSet<&String> = present.iter().chain(self.files.keys()).collect();
        let mut report = String::new();
        for name in names {
            let path = folder.join(name);
            let old = if present.contains(name) {
                let text = std::fs::read_to_string(&path);
                // A checkout may have other line ends.
                text.map_err(|error| Error::io(&path, error))?
                    .replace("\r\n", "\n")
            } else {
                String::new()
            };
            let new = self.files.get(name).map_or("", String::as_str);
            if old != new {
                let diff = TextDiff::from_lines(old.as_str(), new);
                let (committed, generated) =
                    (format!("committed/{name}"), format!("generated/{name}"));
                let _ = write!(
                    report,
                    "{}",
                    diff.unified_diff().header(&committed, &generated)
                );
            }
        }
        Ok(report)
    }
}

/// The folder of committed files in the repository that the generator runs in.
///
/// # Errors
///
/// When the generator does not run in a checkout of the repository.
pub fn committed() -> Result<PathBuf, Error> {
    let repository = shipped::repository().ok_or_else(|| {
        Error::argument(
            "the committed files",
            "are in a checkout of the repository, and the current folder is not in one: name a folder with --out",
        )
    })?;
    Ok(repository.join("wsk-sys/src/generated"))
}

/// Checks that files can be written into `folder`, before the work starts.
///
/// # Errors
///
/// When the path is not a folder, or is not writable.
pub fn writable(folder: &Path) -> Result<(), Error> {
    if folder.is_file() {
        return Err(Error::argument(
            folder.display().to_string(),
            "is a file: a folder is needed for the generated files",
        ));
    }
    // The nearest folder that exists. The others will be created in it.
    let there = folder.ancestors().find(|folder| folder.exists());
    let there = match there {
        Some(there) if !there.as_os_str().is_empty() => there,
        _ => Path::new("."),
    };
    tempfile::NamedTempFile::new_in(there)
        .map(drop)
        .map_err(|error| Error::io(folder, error))
}

/// The names that the crate around a folder of generated files has by hand, in its `inline` modules and in the files beside them.
///
/// # Errors
///
/// When one of its files cannot be read or parsed.
pub fn by_hand(generated: &Path) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    let Some(crate_folder) = generated.parent() else {
        return Ok(names);
    };
    // Without such a folder these are the sources of another project.
    if !crate_folder.join("inline").is_dir() {
        return Ok(names);
    }
    let files = walkdir::WalkDir::new(crate_folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.path() != generated)
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
        let file = syn::parse_file(&text).map_err(|error| {
            Error::item(
                path.display().to_string(),
                format!("does not parse: {error}"),
            )
        })?;
        names.extend(file.items.iter().filter_map(name_of));
    }
    Ok(names)
}

fn name_of(item: &syn::Item) -> Option<String> {
    Some(match item {
        syn::Item::Fn(item) => item.sig.ident.to_string(),
        syn::Item::Static(item) => item.ident.to_string(),
        syn::Item::Const(item) => item.ident.to_string(),
        syn::Item::Struct(item) => item.ident.to_string(),
        syn::Item::Macro(item) => item.ident.as_ref()?.to_string(),
        _ => return None,
    })
}

/// Temporary files are private to their user. Source files should be readable.
pub(crate) fn readable_by_all(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
            .map_err(|error| Error::io(path, error))?;
    }
    let _ = path;
    Ok(())
}

fn present(folder: &Path) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder).map_err(|error| Error::io(folder, error))? {
            let entry = entry.map_err(|error| Error::io(folder, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if Path::new(&name)
                .extension()
                .is_some_and(|extension| extension == "rs")
            {
                names.insert(name);
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::Output;

    fn output(files: &[(&str, &str)]) -> Output {
        Output::new(
            files
                .iter()
                .map(|&(name, text)| (name.to_owned(), text.to_owned()))
                .collect(),
        )
    }

    #[test]
    fn writing_settles_every_difference() {
        let folder = tempfile::tempdir().unwrap();
        let old = output(&[("a.rs", "1\n"), ("gone.rs", "2\n")]);
        old.write(folder.path()).unwrap();
        let new = output(&[("a.rs", "3\n"), ("b.rs", "4\n")]);
        let diff = new.diff(folder.path()).unwrap();
        for line in [
            "-1",
            "+3",
            "-2",
            "+4",
            "--- committed/gone.rs",
            "+++ generated/b.rs",
        ] {
            assert!(diff.lines().any(|l| l == line), "{line} not in\n{diff}");
        }
        new.write(folder.path()).unwrap();
        assert_eq!(new.diff(folder.path()).unwrap(), "");
        std::fs::write(folder.path().join("a.rs"), "3\r\n").unwrap();
        assert_eq!(
            new.diff(folder.path()).unwrap(),
            "",
            "line ends are no difference"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
