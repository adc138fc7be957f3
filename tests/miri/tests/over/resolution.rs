//! Name lookups.

use wsk::{Error, Lookup};
use wsk_miri::{Manner, raised};

use crate::{block_on, everywhere, poll_once, within};

#[test]
fn names() {
    everywhere(|_, provider| {
        let found = provider.resolve(("host", "80")).wait().unwrap();
        assert_eq!(
            found
                .iter()
                .map(|address| address.port())
                .collect::<Vec<_>>(),
            [80, 80]
        );
        let found = block_on(provider.resolve(Lookup::new("host").for_datagrams())).unwrap();
        assert_eq!(found.iter().count(), 2);
        // The release is postponed: WSK takes a list back at PASSIVE_LEVEL only.
        raised(|| drop(found));
        assert!(matches!(
            provider.resolve("nobody").wait(),
            Err(Error::Call { .. })
        ));
        let mut left = provider.resolve("left").start().unwrap();
        let _ = poll_once(&mut left);
        drop(left);
        drop(provider.resolve("left at once").start().unwrap());
        provider.resolve("told").start_with(drop).unwrap();
    });
}

#[test]
fn held() {
    within(Manner::Held, |kernel, provider| {
        let limit = std::time::Duration::from_millis(1);
        provider.resolve("slow").wait_timeout(limit).unwrap_err();
        let second = provider.resolve("slow").start().unwrap();
        assert!(kernel.release() >= 1);
        assert_eq!(second.wait().unwrap().unwrap().iter().count(), 2);
    });
}
