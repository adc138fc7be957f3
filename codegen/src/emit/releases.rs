//! The kit that first had an item, for items that the headers put under no condition.

/// The oldest kit that the bindings are for.
const OLDEST: &str = "10.0.14393";

/// Headers that come with the driver kit itself.
const OF_THE_KIT: [&str; 3] = ["wsk.h", "wdm.h", "netioddk.h"];

/// Items of those headers that came later, and the build of the kit that had them first.
const LATER: &[(&str, &str)] = &[
    ("ExAllocatePool2", "10.0.19041"),
    ("MdlMappingWithGuardPtes", "10.0.22621"),
    ("PFN_WSK_CONNECT_EX", "10.0.15063"),
    ("PFN_WSK_RECEIVE_EX", "10.0.17134"),
    ("PFN_WSK_RECEIVE_EX_EVENT", "10.0.17134"),
    ("PFN_WSK_SEND_EX", "10.0.17134"),
    ("POOL_FLAGS", "10.0.19041"),
    ("POOL_FLAG_CACHE_ALIGNED", "10.0.19041"),
    ("POOL_FLAG_NON_PAGED", "10.0.19041"),
    ("POOL_FLAG_NON_PAGED_EXECUTE", "10.0.19041"),
    ("POOL_FLAG_PAGED", "10.0.19041"),
    ("POOL_FLAG_RAISE_ON_FAILURE", "10.0.19041"),
    ("POOL_FLAG_SESSION", "10.0.19041"),
    ("POOL_FLAG_SPECIAL_POOL", "10.0.19041"),
    ("POOL_FLAG_UNINITIALIZED", "10.0.19041"),
    ("POOL_FLAG_USE_QUOTA", "10.0.19041"),
    ("SIO_WSK_SET_RECEIVE_EX_CALLBACK", "10.0.17134"),
    ("WSK_FLAG_OOB", "10.0.16299"),
    ("WSK_FLAG_STREAM_SOCKET", "10.0.15063"),
];

/// The first kit that has the item `name` of `header`, if it is known.
#[must_use]
pub fn first_kit(name: &str, header: &str) -> Option<&'static str> {
    if !OF_THE_KIT.contains(&header) {
        return None;
    }
    let later = LATER.iter().find(|(item, _)| *item == name);
    Some(later.map_or(OLDEST, |(_, kit)| kit))
}

#[cfg(test)]
mod tests {
    use super::{LATER, first_kit};

    #[test]
    fn the_table_is_in_order_and_read() {
        assert!(LATER.is_sorted_by_key(|(item, _)| *item));
        assert_eq!(first_kit("WSK_FLAG_OOB", "wsk.h"), Some("10.0.16299"));
        assert_eq!(first_kit("WSK_FLAG_NODELAY", "wsk.h"), Some("10.0.14393"));
        assert_eq!(first_kit("AF_INET", "ws2def.h"), None);
    }
}
