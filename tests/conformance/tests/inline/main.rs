//! Compares the functions that `wsk-sys` writes in Rust with those that clang compiles from the headers: on the same memory with
//! random contents, both return the same result, leave the same bytes, and make the same calls of the kernel.

// Memory is aligned like a pool allocation, and values in it are at multiples of their alignment.
#![allow(clippy::cast_ptr_alignment)]

#[cfg(without_c)]
compile_error!(
    "these tests need the C side, which was not compiled; see the warnings. Without clang: install it, 16 or newer \
     (Debian: `apt-get install clang-19`), or set WSK_CLANG"
);

#[cfg(not(without_c))]
mod address;
#[cfg(not(without_c))]
#[allow(non_snake_case)]
mod c;
#[cfg(not(without_c))]
mod cmsg;
#[cfg(not(without_c))]
mod irp;
#[cfg(not(without_c))]
mod kernel;
#[cfg(not(without_c))]
mod list;
#[cfg(not(without_c))]
mod mdl;
#[cfg(not(without_c))]
mod memory;
#[cfg(not(without_c))]
mod number;
#[cfg(not(without_c))]
mod object;

/// Compares the Rust and the C function with a name, on arguments through which neither writes.
#[cfg(not(without_c))]
macro_rules! agree {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: the test passes arguments that the function accepts.
        #[allow(unused_unsafe)]
        let (rust, c) = unsafe { (wsk_sys::$name($($argument),*), crate::c::$name($($argument),*)) };
        assert_eq!(rust, c, "Rust, and C, of {}", stringify!($name));
    }};
}

/// Compares the Rust and the C function with a name, on memory that both get at the same address with the same contents. Returns
/// the contents that they leave.
#[cfg(not(without_c))]
macro_rules! agree_on {
    ($bytes:expr, |$at:ident| $name:ident($($argument:expr),* $(,)?)) => {
        crate::memory::both(
            stringify!($name),
            $bytes,
            // SAFETY: the test makes memory with the contents that the function expects.
            |$at: *mut u8| unsafe { wsk_sys::$name($($argument),*) },
            // SAFETY: as above.
            |$at: *mut u8| unsafe { crate::c::$name($($argument),*) },
        )
    };
}

#[cfg(not(without_c))]
use {agree, agree_on};

/// Every name that Rust must have has its C side, and a test of this program mentions it.
#[test]
fn every_function_is_compared() {
    // Other names of functions that are compared under their first name.
    const OTHER_NAMES: &[&str] = &[
        "CMSGDATA_ALIGN",
        "CMSGHDR_ALIGN",
        "CMSG_DATA",
        "CMSG_FIRSTHDR",
        "CMSG_LEN",
        "CMSG_NXTHDR",
        "CMSG_SPACE",
        "IN6_ARE_ADDR_EQUAL",
    ];
    // A macro for arm64 that only renames a function of the kernel. On x64 it is that function.
    const OF_ARM64: &[&str] = &["KeLowerIrql"];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inline");
    let mut tests = String::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if !path.ends_with("c.rs") && !path.ends_with("main.rs") {
            tests.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let words: std::collections::BTreeSet<&str> = tests
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    let expected =
        wsk_conformance::declared::expected(&wsk_conformance::declared::headers()).unwrap();
    let missing: Vec<_> = expected
        .iter()
        .filter(|name| ![OTHER_NAMES, OF_ARM64].concat().contains(&name.as_str()))
        .filter(|name| !words.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "no test compares these with C: {missing:?}"
    );
}
