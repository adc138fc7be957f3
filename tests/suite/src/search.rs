//! What the search of the documentation finds by the names of C: read from the index that rustdoc has written, as the search of the
//! pages reads it.
//!
//! The index is columns of rows. A column says how many of its rows are empty in a bitmap (of the form that is called roaring), and
//! has the others in files, one after the other, each with its length in front. What is searched for is in the column `name`; a row
//! of the column `alias` is the number of the row that the name of this row stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use roaring::RoaringBitmap;
use serde_json::Value;
use wsk_drivers::toolchain;

/// Names of C, and what is to be found by them.
const NAMES: &[(&str, &str)] = &[
    ("ADDRINFOEXW", "AddressInfo"),
    ("CMSGHDR", "ControlMessage"),
    ("DbgPrint", "report"),
    ("EX_RUNDOWN_REF", "DriverState"),
    ("ExAllocatePool2", "NonPagedBuffer"),
    ("ExAllocatePoolWithTag", "NonPagedBuffer"),
    ("IoAllocateIrp", "Operations"),
    ("IoAllocateMdl", "NonPagedBuffer"),
    ("IoCancelIrp", "cancel"),
    ("KSPIN_LOCK", "SpinLock"),
    ("PsCreateSystemThread", "Worker"),
    ("SOCKADDR_IN", "RemoteAddress"),
    ("SOCKADDR_IN6", "RemoteAddress"),
    ("STATUS_FILE_FORCED_CLOSED", "must_close"),
    ("WSK_BUF", "Extent"),
    ("WSK_BUF_LIST", "Messages"),
    ("WSK_DATAGRAM_INDICATION", "Indication"),
    ("WSK_DATA_INDICATION", "StreamIndication"),
    ("WSK_PROVIDER_NPI", "Provider"),
    ("WSK_REGISTRATION", "Registration"),
    ("WSK_SOCKET", "DatagramSocket"),
    ("WskAccept", "accept"),
    ("WskAcceptEvent", "AcceptEvent"),
    ("WskCaptureProviderNPI", "capture"),
    ("WskCloseSocket", "close"),
    ("WskConnect", "connect"),
    ("WskControlSocket", "set_option"),
    ("WskDeregister", "Registration"),
    ("WskDisconnect", "disconnect"),
    ("WskGetAddressInfo", "resolve"),
    ("WskReceive", "receive"),
    ("WskReceiveFrom", "receive_from"),
    ("WskReceiveFromEvent", "ReceiveFromEvent"),
    ("WskRegister", "new"),
    ("WskRelease", "Retained"),
    ("WskSend", "send"),
    ("WskSendMessages", "send_messages"),
    ("WskSendTo", "send_to"),
    ("WskSocketConnect", "connect"),
];

/// What is found by each name that stands for something else.
type Found = BTreeMap<String, BTreeSet<String>>;

/// Every name leads to what stands for it, in the documentation that was made last.
pub(crate) fn finds_the_names_of_c() -> Result<(), String> {
    let found = read(&toolchain::target_directory().join("doc/search.index"))?;
    let missing = missing(&found);
    if missing.is_empty() {
        println!("{} names of C lead to what stands for them", NAMES.len());
        Ok(())
    } else {
        Err(missing.join("\n"))
    }
}

fn missing(found: &Found) -> Vec<String> {
    let leads = |&&(name, to): &&(&str, &str)| !found.get(name).is_some_and(|all| all.contains(to));
    let missing = NAMES.iter().filter(leads);
    missing
        .map(|(name, to)| {
            format!(
                "{name} does not lead to {to}, but to {:?}",
                found.get(*name)
            )
        })
        .collect()
}

fn read(folder: &Path) -> Result<Found, String> {
    let root = text(&folder.join("root.js"))?;
    let root = quoted(&root, '\'').ok_or("the root of the index has another form")?;
    let root: Value = serde_json::from_str(&root).map_err(|error| error.to_string())?;
    let names = column(folder, &root, "name")?;
    let mut found = Found::new();
    for (row, to) in column(folder, &root, "alias")? {
        let name = names.get(&row).ok_or("an alias without a name")?;
        let to: u32 = to.parse().map_err(|_| format!("{to} is no row"))?;
        let to = names.get(&to).ok_or("an alias of nothing")?;
        found.entry(name.clone()).or_default().insert(to.clone());
    }
    if found.is_empty() {
        return Err("the index has no aliases".to_owned());
    }
    Ok(found)
}

/// The rows of a column that are not empty, by their numbers.
fn column(folder: &Path, root: &Value, name: &str) -> Result<BTreeMap<u32, String>, String> {
    let part = |key: &str| {
        root[name][key]
            .as_str()
            .ok_or(format!("{name} has no {key}"))
    };
    let wrong = || format!("the column {name} has another form");
    let decoded = |key: &str| BASE64.decode(part(key)?).map_err(|_| wrong());
    let empty = RoaringBitmap::deserialize_from(&decoded("E")?[..]).map_err(|_| wrong())?;
    let mut rows = Vec::new();
    for hash in decoded("H")?.chunks(6) {
        let mut file = String::new();
        for byte in hash {
            let _ = write!(file, "{byte:02x}");
        }
        let file = text(&folder.join(name).join(file + ".js"))?;
        let file = quoted(&file, '"').ok_or_else(wrong)?;
        rows.extend(strings(&file).ok_or_else(wrong)?);
    }
    let (count, _) = number(part("N")?).ok_or_else(wrong)?;
    if count != rows.len() {
        return Err(wrong());
    }
    let numbers = (0..).filter(|row| !empty.contains(*row));
    Ok(numbers.zip(rows).collect())
}

/// The text between the first and the last quote of a call, which may have escapes.
fn quoted(text: &str, quote: char) -> Option<String> {
    let (start, end) = (text.find(quote)? + 1, text.rfind(quote)?);
    let text = text.get(start..end)?;
    if quote == '"' {
        serde_json::from_str(&format!("\"{text}\"")).ok()
    } else {
        Some(text.replace("\\'", "'").replace("\\\\", "\\"))
    }
}

/// A number of base 16: the low bits of characters, of which the last is one of a higher kind.
fn number(text: &str) -> Option<(usize, &str)> {
    let mut value = 0;
    for (index, byte) in text.bytes().enumerate() {
        value = value << 4 | usize::from(byte & 15);
        if byte >= b'`' {
            return Some((value, text.get(index + 1..)?));
        }
    }
    None
}

/// Strings with their lengths in front. One of the characters from `0` to `?` repeats one of the last sixteen.
fn strings(mut text: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut last: Vec<String> = Vec::new();
    while let Some(first) = text.bytes().next() {
        if (b'0'..=b'?').contains(&first) {
            all.push(last.get(usize::from(first - b'0'))?.clone());
            text = &text[1..];
            continue;
        }
        let (length, rest) = number(text)?;
        let (string, rest) = rest.split_at_checked(length)?;
        all.push(string.to_owned());
        last.insert(0, string.to_owned());
        last.truncate(16);
        text = rest;
    }
    Some(all)
}

fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Found, NAMES, missing, strings};

    #[test]
    fn strings_repeat_others() {
        assert_eq!(
            strings("b()b->bNo1"),
            Some(vec!["()".into(), "->".into(), "No".into(), "->".into()])
        );
        // Seventeen letters, and a back reference to them.
        assert_eq!(
            strings("Aaseventeen lettersa!1").unwrap()[2],
            "seventeen letters"
        );
        assert_eq!(strings("z"), None);
        assert_eq!(strings("1"), None);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_told() {
        let mut found = Found::new();
        for (name, to) in NAMES {
            found
                .entry((*name).to_owned())
                .or_default()
                .insert((*to).to_owned());
        }
        assert!(missing(&found).is_empty());
        found.insert("WskSendTo".to_owned(), ["send".to_owned()].into());
        found.remove("WSK_BUF");
        assert_eq!(
            missing(&found),
            [
                "WSK_BUF does not lead to Extent, but to None",
                "WskSendTo does not lead to send_to, but to Some({\"send\"})"
            ]
        );
    }
}
