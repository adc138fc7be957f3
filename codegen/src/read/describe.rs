//! Describes a kit's items with the words of our own headers. Microsoft's words stay in the kit.

use crate::find::ntddi;
use crate::read::facts::{Facts, Origin, WSK};

/// Adds what our own headers say about the same items: the documentation, and the IRQL that a kit's `wsk.h` does not state.
pub(crate) fn describe(facts: &mut Facts, ours: &Facts, kit: Option<&str>) {
    let from = |origin: &mut Origin, ours: Option<&Origin>| {
        if let Some(ours) = ours {
            origin.doc.clone_from(&ours.doc);
            // Kits declare some items in several headers. Our headers declare each item where Microsoft documents it.
            if origin.header != WSK && ours.header != WSK {
                origin.header.clone_from(&ours.header);
                // Kits also state the first release of each item, back to the first NT and for each architecture. Releases that
                // every supported Windows has are left out.
                let later =
                    |since: &String| ntddi::parse(since).is_ok_and(|value| value > ntddi::FLOOR);
                origin.since = origin.since.take().filter(later);
            }
            if ours.irql.is_some() {
                origin.irql.clone_from(&ours.irql);
            }
        } else {
            origin.new_in = kit.map(str::to_owned);
        }
    };
    let pairs = [
        (&mut facts.records, &ours.records),
        (&mut facts.enumerations, &ours.enumerations),
    ];
    for (theirs, ours) in pairs {
        for (name, tagged) in theirs {
            let ours = ours.get(name);
            from(&mut tagged.origin, ours.map(|ours| &ours.origin));
            for (member, origin) in &mut tagged.members {
                from(origin, ours.and_then(|ours| ours.members.get(member)));
            }
        }
    }
    let pairs = [
        (&mut facts.callbacks, &ours.callbacks),
        (&mut facts.functions, &ours.functions),
    ];
    for (theirs, ours) in pairs {
        for (name, prototype) in theirs {
            let Some(ours) = ours.get(name) else {
                from(&mut prototype.origin, None);
                continue;
            };
            // Kits leave some parameters of the kernel's functions unnamed, name them differently in another header, or annotate
            // them differently for another architecture.
            if prototype.origin.header != WSK && prototype.parameters.len() == ours.parameters.len()
            {
                for (theirs, ours) in prototype.parameters.iter_mut().zip(&ours.parameters) {
                    theirs.clone_from(ours);
                }
            }
            from(&mut prototype.origin, Some(&ours.origin));
        }
    }
    for (theirs, ours) in [
        (&mut facts.aliases, &ours.aliases),
        (&mut facts.opaque, &ours.opaque),
        (&mut facts.macros, &ours.macros),
        (&mut facts.inline, &ours.inline),
    ] {
        for (name, origin) in theirs {
            from(origin, ours.get(name));
        }
    }
    for (name, function) in &mut facts.function_macros {
        from(
            &mut function.origin,
            ours.function_macros.get(name).map(|ours| &ours.origin),
        );
    }
}
