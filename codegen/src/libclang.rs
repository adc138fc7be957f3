//! Finds a usable libclang at run time: the generator links to none, so that it builds anywhere.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;

/// The least major version whose annotations, comments and constant evaluation the passes rely on.
pub const LEAST: u32 = 16;

/// One user at a time: libclang is loaded once for a process.
static IN_USE: Mutex<()> = Mutex::new(());

/// A loaded libclang. Others of this process wait for it to be dropped.
pub struct Libclang {
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
pub fn load() -> Result<Libclang, Error> {
    let in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    let clang = clang::Clang::new().map_err(|reason| Error::NoLibclang { reason })?;
    let found = clang::get_version();
    match major(&found) {
        Some(version) if version >= LEAST => Ok(Libclang {
            clang,
            _in_use: in_use,
        }),
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
    use super::major;

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
}
