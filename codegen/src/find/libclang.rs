//! Finds a usable libclang at run time. The generator does not link to one, so that it builds anywhere.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// The oldest major version with the annotations, comments and constant evaluation that the passes rely on.
pub(crate) const LEAST: u32 = 16;

/// Allows one user at a time, because a process loads libclang only once.
static IN_USE: Mutex<()> = Mutex::new(());

/// A loaded libclang. Other threads of this process wait until it is dropped.
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

/// Loads libclang from `LIBCLANG_PATH` or the usual places of the system, and checks its version.
///
/// # Errors
///
/// When there is no libclang, or when it is older than [`LEAST`].
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
