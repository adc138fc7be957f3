//! The first release of each entry of the provider's tables. An entry is never assumed to exist in a release unless the header
//! says so.

#![allow(missing_docs)]

mod tiny;

use tiny::{generate_kit, kit_of, text};
use wsk_codegen::interface::{Interface, Kind};
use wsk_codegen::{Error, Options};

/// A `wsk.h` whose datagram table ends with this text.
fn wsk(end: &str) -> String {
    format!(
        "#include <ntddk.h>
        typedef NTSTATUS (NTAPI *PFN_CALL)(_In_ PVOID Socket);
        typedef struct _WSK_PROVIDER_DATAGRAM_DISPATCH {{
            PFN_CALL WskBind;
            PFN_CALL WskSendTo;
        #if NTDDI_VERSION >= 0x06020000
            PFN_CALL WskSendMessages;
        #endif
            {end}
        }} WSK_PROVIDER_DATAGRAM_DISPATCH;"
    )
}

/// The attributes of the table's members, in a kit of this version.
fn entries(version: &str, end: &str) -> Result<Vec<(String, String)>, Error> {
    let root = kit_of(version, wsk(end).as_bytes());
    let output = generate_kit(root.path())?;
    let interface = Interface::of_output(&output)?;
    let Kind::Record(table) = &interface.items["WSK_PROVIDER_DATAGRAM_DISPATCH"].kind else {
        panic!("no table");
    };
    let entry = |member: &wsk_codegen::interface::Member| {
        let entry = member.entry.clone().unwrap_or_default();
        let since = entry.split(", entry").next().unwrap_or_default();
        (member.name.clone(), since.to_owned())
    };
    Ok(table.members.iter().map(entry).collect())
}

fn last(version: &str, end: &str) -> String {
    entries(version, end).unwrap().pop().unwrap().1
}

#[test]
fn an_entry_without_a_condition_is_as_new_as_the_kit() {
    let found = entries("10.0.22621.0", "PFN_CALL WskNew;").unwrap();
    let since: Vec<&str> = found.iter().map(|(_, since)| since.as_str()).collect();
    assert_eq!(
        since,
        [
            "since = 0x0600_0000",
            "since = 0x0600_0000",
            "since = 0x0602_0000",
            "since = 0x0A00_000C"
        ]
    );
}

/// Build 22621 is the release before it, and need not have what a preview added.
#[test]
fn an_entry_of_a_kit_between_two_releases_is_of_the_later_one() {
    assert_eq!(
        last("10.0.22623.0", "PFN_CALL WskNew;"),
        "since = 0x0A00_000D"
    );
}

#[test]
fn a_kit_that_nobody_knows_says_itself_how_new_it_is() {
    let root = kit_of("10.0.29999.0", wsk("PFN_CALL WskNew;").as_bytes());
    let shared = root.path().join("Include/10.0.29999.0/shared/NTDEF.h");
    let with = |version: &str| {
        let text = format!("#define WDK_NTDDI_VERSION {version}\n{}", tiny::NTDEF);
        std::fs::write(&shared, text).unwrap();
        generate_kit(root.path())
    };
    let all = text(&with("0x0A000020").unwrap());
    assert!(all.contains("since = 0x0A00_0020"), "{all}");
    assert!(
        all.contains("From `0x0A000020` on: the tables of older providers end before it."),
        "{all}"
    );
    // Its number belongs to another build, whose table may be shorter.
    let error = with("0x0A000010").unwrap_err().to_string();
    for part in [
        "WSK_PROVIDER_DATAGRAM_DISPATCH::WskNew",
        "29999",
        "#if NTDDI_VERSION",
    ] {
        assert!(error.contains(part), "{part} not in {error}");
    }
}

/// Reading the headers for an older Windows does not make the entry older.
#[test]
fn a_version_that_is_asked_for_is_not_the_kit_s() {
    let root = kit_of("10.0.22621.0", wsk("PFN_CALL WskNew;").as_bytes());
    let source = tiny::source(root.path())
        .unwrap()
        .for_ntddi(Some(0x0602_0000));
    let all = text(&wsk_codegen::generate(&source, &Options::default()).unwrap());
    assert!(all.contains("since = 0x0A00_000C"), "{all}");
}

/// Tables only grow at their ends.
#[test]
fn an_entry_is_no_older_than_the_one_before_it() {
    let end = "
        #if NTDDI_VERSION >= 0x0A000003
            PFN_CALL WskLate;
        #endif
        #if NTDDI_VERSION >= 0x06010000
            PFN_CALL WskEarly;
        #endif";
    assert_eq!(last("10.0.22621.0", end), "since = 0x0A00_0003");
}

/// The wrapper would read them on every Windows.
#[test]
fn data_behind_entries_is_not_read() {
    assert_eq!(last("10.0.22621.0", "ULONG WskFlags;"), "reserved");
    assert_eq!(
        last("10.0.22621.0", "NTSTATUS (NTAPI *WskBare)(PVOID Socket);"),
        "reserved"
    );
}

#[test]
fn every_entry_of_our_own_tables_has_its_version() {
    let table = Interface::of_folder(&wsk_codegen::output::committed().unwrap()).unwrap();
    for name in [
        "WSK_PROVIDER_DISPATCH",
        "WSK_PROVIDER_CONNECTION_DISPATCH",
        "WSK_PROVIDER_STREAM_DISPATCH",
    ] {
        let Kind::Record(record) = &table.items[name].kind else {
            panic!("{name} is not a table");
        };
        let entries = record
            .members
            .iter()
            .filter_map(|member| member.entry.as_deref());
        for entry in entries.filter(|entry| entry.contains("entry =")) {
            assert!(entry.contains("since = 0x"), "{name}: {entry}");
        }
    }
}

#[test]
fn nothing_new_is_said_to_be_in_old_kits() {
    let wsk = "#include <ntddk.h>\n#define WSK_FLAG_TOMORROW 0x1000\n#define WSK_FLAG_NODELAY 2\n";
    let root = kit_of("10.0.26100.0", wsk.as_bytes());
    let all = text(&generate_kit(root.path()).unwrap());
    let doc_of = |name: &str| {
        let (before, _) = all.split_once(&format!("pub const {name}:")).unwrap();
        before
            .rsplit_once("pub const")
            .map_or(before, |(_, doc)| doc)
            .to_owned()
    };
    assert!(
        doc_of("WSK_FLAG_NODELAY").contains("in kits from 10.0.14393 on"),
        "{all}"
    );
    let new = doc_of("WSK_FLAG_TOMORROW");
    assert!(!new.contains("10.0.14393"), "{new}");
    assert!(new.contains("in the kit 10.0.26100.0"), "{new}");
}
