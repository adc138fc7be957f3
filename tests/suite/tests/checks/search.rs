//! The search of the documentation finds what replaces a name of C. The library with which rustdoc writes the index of the search reads it here.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Error, Result, anyhow, ensure};
use stringdex::internals::read_data_from_disk_column;
use wsk_drivers::toolchain::target_directory;

/// The names that are found by each alias.
type Found = BTreeMap<String, BTreeSet<String>>;

/// The names of C, and what has to be found by them.
fn names() -> BTreeMap<String, String> {
    toml::from_str(include_str!("../../names.toml")).unwrap()
}

#[test]
#[ignore = "`cargo ci documentation`"]
fn the_names_of_c_are_found() -> Result<()> {
    let (names, aliases) = (column("name")?, column("alias")?);
    let mut found = Found::new();
    for (row, to) in aliases {
        let name = names.get(&row).context("an alias without a name")?;
        let to = names.get(&to.parse()?).context("an alias of nothing")?;
        found.entry(name.clone()).or_default().insert(to.clone());
    }
    let (missing, count) = (missing(&found), self::names().len());
    ensure!(missing.is_empty(), missing.join("\n"));
    println!("{count} names of C lead to what stands for them");
    Ok(())
}

/// The rows of a column that are not empty, by their numbers. The column `name` has what can be searched for; a row of the column `alias` is
/// the number of the row that the name of this row stands for.
fn column(name: &str) -> Result<BTreeMap<u32, String>> {
    let index = target_directory().join("doc/search.index");
    let (root, folder) = (index.join("root.js"), index.join(name));
    let mut rows = BTreeMap::new();
    let mut row = |number, cell: &[u8]| {
        rows.insert(number, String::from_utf8(cell.to_vec())?);
        Ok::<_, Error>(())
    };
    read_data_from_disk_column(root, name.as_bytes(), folder, &mut row)
        .map_err(|_| anyhow!("the index has another form: see stringdex in Cargo.toml"))?;
    rows.retain(|_, cell| !cell.is_empty());
    Ok(rows)
}

fn missing(found: &Found) -> Vec<String> {
    let mut names = names();
    names.retain(|name, to| found.get(name).is_none_or(|all| !all.contains(to)));
    let told = |(name, to)| format!("{name} does not lead to {to}, but to {:?}", found.get(name));
    names.iter().map(told).collect()
}

#[test]
fn a_name_that_leads_elsewhere_is_told() {
    let leads = |(name, to): (String, String)| (name, [to].into());
    let mut found: Found = names().into_iter().map(leads).collect();
    assert!(missing(&found).is_empty());
    found.insert("WskSendTo".to_owned(), ["send".to_owned()].into());
    found.remove("WSK_BUF");
    let told = "WSK_BUF does not lead to Extent, but to None\n\
        WskSendTo does not lead to send_to, but to Some({\"send\"})";
    assert_eq!(missing(&found).join("\n"), told);
}
