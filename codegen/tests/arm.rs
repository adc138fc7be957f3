//! The differences between the kernels for arm64 and x64 in our own headers. `real_kit.rs` compares a kit with them.

#![allow(missing_docs)]

use wsk_codegen::{Arch, Options, Source};

/// A generated file from our own headers, for one architecture.
fn file(arch: Arch, name: &str) -> String {
    let options = Options {
        arches: vec![arch],
        ..Options::default()
    };
    let output = wsk_codegen::generate(&Source::ours().unwrap(), &options).unwrap();
    let (_, text) = output.files().find(|(file, _)| *file == name).unwrap();
    text.to_owned()
}

/// Two lookaside lists never share a cache line. The kernel lays them out in the same way, and relies on it.
#[test]
fn lookaside_lists_have_cache_lines_of_their_own() {
    for (arch, line) in [(Arch::X86_64, 64), (Arch::Aarch64, 128)] {
        let layout = file(arch, "layout.rs");
        for list in [
            "GENERAL_LOOKASIDE",
            "NPAGED_LOOKASIDE_LIST",
            "PAGED_LOOKASIDE_LIST",
        ] {
            for says in [
                format!("assert!(align_of::<{list}>() == {line});"),
                format!("assert!(size_of::<{list}>() == 128);"),
            ] {
                assert!(layout.contains(&says), "{arch:?}: {says}");
            }
        }
        let constants = file(arch, "constants.rs");
        let says = format!("pub const SYSTEM_CACHE_ALIGNMENT_SIZE: u32 = {line};");
        assert!(constants.contains(&says), "{arch:?}: {says}");
    }
}

/// The kernel for arm64 exports nothing named `KeLowerIrql`.
#[test]
fn the_function_that_lowers_the_irql_has_another_name() {
    for (arch, [is, is_not]) in [
        (Arch::X86_64, ["KeLowerIrql", "KfLowerIrql"]),
        (Arch::Aarch64, ["KfLowerIrql", "KeLowerIrql"]),
    ] {
        let functions = file(arch, "functions.rs");
        assert!(functions.contains(&format!("pub fn {is}(")), "{arch:?}");
        assert!(
            !functions.contains(&format!("pub fn {is_not}(")),
            "{arch:?}"
        );
    }
}

/// A device queue has a hint after its flag on x64 only.
#[test]
fn a_device_queue_is_told_by_another_member() {
    for (arch, has_hint) in [(Arch::X86_64, true), (Arch::Aarch64, false)] {
        let records = file(arch, "records.rs");
        assert_eq!(records.contains("fn Hint("), has_hint, "{arch:?}");
        let layout = file(arch, "layout.rs");
        assert!(layout.contains("assert!(size_of::<KDEVICE_QUEUE>() == 40);"));
        let in_the_open = layout.contains("offset_of!(KDEVICE_QUEUE, Busy) == 32");
        assert_eq!(in_the_open, !has_hint, "{arch:?}");
    }
}
