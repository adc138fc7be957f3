//! The kit that first had an item, for items that the headers put under no condition.

/// The oldest kit that the bindings are for.
const OLDEST: &str = "10.0.14393";

/// Headers that come with the driver kit itself.
const OF_THE_KIT: [&str; 3] = ["wsk.h", "wdm.h", "netioddk.h"];

/// Items of those headers that came later.
const LATER: &[(&str, &str)] = &[];

/// The first kit that has the item `name` of `header`, if it is known.
#[must_use]
pub fn first_kit(name: &str, header: &str) -> Option<&'static str> {
    if !OF_THE_KIT.contains(&header) {
        return None;
    }
    let later = LATER.iter().find(|(item, _)| *item == name);
    Some(later.map_or(OLDEST, |(_, kit)| kit))
}
