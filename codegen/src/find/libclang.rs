//! Finds a usable libclang at run time: the generator links to none, so that it builds anywhere.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// The least major version whose annotations, comments and constant evaluation the passes rely on.
pub(crate) const LEAST: u32 = 16;

/// One user at a time: libclang is loaded once for a process.
static IN_USE: Mutex<()> = Mutex::new(());

/// A loaded libclang. Others of this process wait for it to be dropped.
pub(crate) struct Libclang {
    clang: clang::Clang,
    _in_use: MutexGuard<'static, ()>,
}

impl Deref for Libclang {
    type Target = clang::Clang;

    fn deref(&self) -> &clang::Clang {
        &self.clang
    }
}

/// Loads libclang, as `LIBCLANG_PATH` says or from where systems keep it, and checks its version.
///
/// # Errors
///
/// When there is none, or when it is older than [`LEAST`].
pub(crate) fn load() -> Result<Libclang, Error> {
    let in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    let clang = clang::Clang::new().map_err(|reason| Error::NoLibclang { reason })?;
    new_enough(clang::get_version())?;
    Ok(Libclang {
        clang,
        _in_use: in_use,
    })
}

fn new_enough(found: String) -> Result<(), Error> {
    match major(&found) {
        Some(version) if version >= LEAST => Ok(()),
        _ => Err(Error::OldLibclang {
            found,
            least: LEAST,
        }),
    }
}

/// The major version in a text like `Debian clang version 19.1.7 (3)`.
fn major(version: &str) -> Option<u32> {
    let (_, rest) = version.split_once("version ")?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{LEAST, major, new_enough};

    #[test]
    fn versions_of_vendors() {
        assert_eq!(major("Debian clang version 19.1.7 (3)"), Some(19));
        assert_eq!(major("clang version 16.0.6"), Some(16));
        assert_eq!(
            major("Apple clang version 15.0.0 (clang-1500.3.9.4)"),
            Some(15)
        );
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn an_old_one_is_refused_by_name() {
        assert!(new_enough(format!("clang version {LEAST}.0.0")).is_ok());
        for old in ["Debian clang version 14.0.6", "something else"] {
            let error = new_enough(old.to_owned()).unwrap_err().to_string();
            for part in [old, "is too old: libclang 16 or newer", "LIBCLANG_PATH"] {
                assert!(error.contains(part), "{part} not in {error}");
            }
        }
    }
}
