//! The first kit that has an item, for items that the headers put under no condition.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Headers that come with the driver kit itself.
const OF_THE_KIT: [&str; 3] = ["wsk.h", "wdm.h", "netioddk.h"];

/// The first kit by name.
static FIRST: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
    let mut first = BTreeMap::new();
    let mut kit = "";
    for line in include_str!("first_kits.txt").lines() {
        if let Some(version) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            kit = version;
        } else if !line.starts_with('#') {
            first.insert(line, kit);
        }
    }
    first
});

/// The first kit that has the item `name` of `header`, if it is known.
#[must_use]
pub fn first_kit(name: &str, header: &str) -> Option<&'static str> {
    if OF_THE_KIT.contains(&header) {
        FIRST.get(name).copied()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST, first_kit};

    #[test]
    fn the_table_is_read() {
        assert!(FIRST.len() > 400, "{}", FIRST.len());
        assert!(FIRST.values().all(|kit| kit.starts_with("10.0.")));
        assert_eq!(first_kit("WSK_FLAG_OOB", "wsk.h"), Some("10.0.16299"));
        assert_eq!(first_kit("WSK_FLAG_NODELAY", "wsk.h"), Some("10.0.14393"));
        assert_eq!(first_kit("AF_INET", "ws2def.h"), None);
    }

    /// A name that is not in the table has no first kit.
    #[test]
    fn a_new_name_is_in_no_kit_that_is_known() {
        assert_eq!(first_kit("WskConnectTomorrow", "wsk.h"), None);
    }
}
