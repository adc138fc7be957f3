//! Decides which names are real, and which typedef names replace tags as public names.

use std::collections::BTreeMap;

/// Whether clang made the name up for an unnamed record, enumeration or member. Such a name is empty, or it is a description in
/// parentheses. For a member, the description follows the record's name.
#[must_use]
pub(crate) fn is_unnamed(name: &str) -> bool {
    name.is_empty() || name.contains('(')
}

/// Chooses the public name of each tag among the typedefs `(tag, typedef)`, which are in the order of the headers.
///
/// A typedef that differs from the tag only in case and leading underscores wins: `SOCKADDR_IN6` for `sockaddr_in6`, which also
/// has `SOCKADDR_IN6_LH`. Otherwise the first one wins.
#[must_use]
pub(crate) fn public_names(typedefs: &[(String, String)]) -> BTreeMap<String, String> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for (tag, typedef) in typedefs {
        let likeness = |name: &str| name.eq_ignore_ascii_case(tag.trim_start_matches('_'));
        match names.get(tag) {
            Some(taken) if likeness(taken) || !likeness(typedef) => {}
            _ => {
                names.insert(tag.clone(), typedef.clone());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::public_names;

    #[test]
    fn likeness_wins_over_order() {
        let names = public_names(&[
            ("sockaddr_in6".into(), "SOCKADDR_IN6_LH".into()),
            ("sockaddr_in6".into(), "SOCKADDR_IN6".into()),
            ("_WSK_BUF".into(), "WSK_BUF".into()),
            ("_KTHREAD".into(), "ETHREAD_OPAQUE".into()),
            ("_KTHREAD".into(), "OTHER".into()),
        ]);
        assert_eq!(names["sockaddr_in6"], "SOCKADDR_IN6");
        assert_eq!(names["_WSK_BUF"], "WSK_BUF");
        assert_eq!(names["_KTHREAD"], "ETHREAD_OPAQUE");
    }
}
