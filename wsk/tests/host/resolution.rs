//! Name resolution on the host kernel: addresses return to WSK exactly once, at `PASSIVE_LEVEL`, wherever they are dropped.

use std::net::SocketAddr;

use wsk::operation::Operations;
use wsk::{AddressInfo, Error, Family, Lookup};
use wsk_host::{Completion, DISPATCH_LEVEL, Kernel, Resource, at_irql};
use wsk_sys::STATUS_DEVICE_NOT_READY;

use crate::setting::{
    FAST, MOMENT, PATIENCE, block_on, client, kernels, on_each_seeded_kernel, seeded_kernels, until,
};

fn addresses(info: &AddressInfo) -> Vec<SocketAddr> {
    info.iter().collect()
}

#[test]
fn names_and_digits_are_resolved() {
    on_each_seeded_kernel(|_, provider| {
        let info = provider.resolve(("127.0.0.1", "80")).wait().unwrap();
        assert_eq!(addresses(&info), ["127.0.0.1:80".parse().unwrap()]);
        let info = provider.resolve("::1").wait().unwrap();
        assert_eq!(addresses(&info), ["[::1]:0".parse().unwrap()]);
        let lookup = Lookup::new("localhost").service("7").family(Family::V4);
        let info = provider.resolve(lookup).wait_timeout(PATIENCE).unwrap();
        assert_eq!(addresses(&info), ["127.0.0.1:7".parse().unwrap()]);
        let info = provider.resolve(lookup.for_datagrams()).wait().unwrap();
        assert_eq!(addresses(&info), ["127.0.0.1:7".parse().unwrap()]);
        for address in &info {
            assert!(address.is_ipv4());
        }
    });
}

#[test]
fn an_operation_ends_in_the_addresses() {
    on_each_seeded_kernel(|_, provider| {
        let resolve = provider.resolve("127.0.0.1").start().unwrap();
        let info = resolve.wait().unwrap().unwrap();
        assert_eq!(info.iter().count(), 1);
        let info = block_on(provider.resolve("127.0.0.1").start().unwrap()).unwrap();
        assert_eq!(info.iter().count(), 1);
        // The operation is dropped.
        drop(provider.resolve("127.0.0.1").start().unwrap());
        at_irql(DISPATCH_LEVEL, || {
            assert!(matches!(
                provider.resolve("127.0.0.1").start().unwrap_err(),
                Error::WrongIrql { .. }
            ));
        });
    });
}

#[test]
fn what_cannot_be_resolved_is_an_error() {
    on_each_seeded_kernel(|kernel, provider| {
        let error = provider.resolve("no-such-host.invalid").wait().unwrap_err();
        assert!(matches!(error, Error::Call { .. }), "{error}");
        let calls = kernel.counts().calls;
        let long = "x".repeat(1025);
        let error = provider.resolve(long.as_str()).wait().unwrap_err();
        assert_eq!(error, Error::BadName { length: 1025 });
        let error = provider
            .resolve(("localhost", "8\x000"))
            .wait()
            .unwrap_err();
        assert!(matches!(error, Error::BadName { .. }), "{error}");
        assert_eq!(kernel.counts().calls, calls);
    });
}

#[test]
fn addresses_dropped_at_dispatch_level_go_back_later() {
    on_each_seeded_kernel(|_, provider| {
        // The next request returns them.
        let info = provider.resolve("127.0.0.1").wait().unwrap();
        at_irql(DISPATCH_LEVEL, || drop(info));
        drop(provider.resolve("127.0.0.1").wait().unwrap());
        // Dropping the registration returns them.
        let infos = [
            provider.resolve("127.0.0.1").wait().unwrap(),
            provider.resolve("::1").wait().unwrap(),
        ];
        at_irql(DISPATCH_LEVEL, || drop(infos));
    });
}

#[test]
fn deregistering_waits_for_addresses() {
    for kernel in seeded_kernels() {
        let (registration, provider) = client();
        let info = provider.resolve("127.0.0.1").wait().unwrap();
        let other = provider.resolve("127.0.0.1").wait().unwrap();
        let resolve = provider.resolve("127.0.0.1").start().unwrap();
        drop(provider);
        let thread = std::thread::spawn(move || drop(registration));
        std::thread::sleep(MOMENT);
        assert!(!thread.is_finished(), "addresses still exist");
        assert_eq!(info.iter().count(), 1);
        drop(info);
        drop(resolve);
        at_irql(DISPATCH_LEVEL, || drop(other));
        thread.join().unwrap();
        kernel.shutdown();
    }
}

#[test]
fn nothing_is_looked_up_once_the_driver_deregisters() {
    for kernel in kernels() {
        let (registration, provider) = client();
        let thread = std::thread::spawn(move || drop(registration));
        until("deregistering", || {
            provider.resolve("127.0.0.1").wait().is_err()
        });
        let error = provider.resolve("127.0.0.1").wait().unwrap_err();
        assert_eq!(error.status(), Some(STATUS_DEVICE_NOT_READY));
        assert!(!thread.is_finished(), "the provider is captured");
        drop(provider);
        thread.join().unwrap();
        kernel.shutdown();
    }
}

#[test]
fn a_provider_that_keeps_what_it_has_refused_hangs_nobody() {
    let kernel = Kernel::builder().time_lapse(FAST).boot();
    let (registration, provider) = client();
    let abandoned = |error: Error| assert!(matches!(error, Error::Abandoned { .. }), "{error}");
    kernel.fail_nth(Resource::Completion, 1);
    let resolve = provider.resolve("127.0.0.1").start().unwrap();
    kernel.fail_nth(Resource::Completion, 1);
    abandoned(provider.resolve("127.0.0.1").wait().unwrap_err());
    abandoned(resolve.wait().unwrap().unwrap_err());
    drop(provider);
    // Dropping the registration waits only for the IRPs that WSK has kept.
    let thread = std::thread::spawn(move || drop(registration));
    std::thread::sleep(MOMENT);
    assert_eq!(kernel.complete_withheld(), 2);
    thread.join().unwrap();
    kernel.shutdown();
}

#[test]
fn names_are_looked_up_with_hints_in_utf_16_and_in_a_name_space() {
    on_each_seeded_kernel(|_, provider| {
        let all = |lookup| -> Result<Vec<SocketAddr>, Error> {
            Ok(provider.resolve(lookup).wait()?.iter().collect())
        };
        let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        let (name, service) = (units("127.0.0.1"), units("80"));
        let here: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let lookup = Lookup::utf16(&name).service_utf16(&service);
        assert_eq!(all(lookup), Ok(vec![here]));
        assert_eq!(all(lookup.numeric()), Ok(vec![here]));
        assert_eq!(all(lookup.name_space(wsk_sys::NS_DNS)), Ok(vec![here]));
        // A name is not an address in digits; the name space does not exist; a zero cannot be in a name.
        all(Lookup::new("localhost").numeric()).unwrap_err();
        let error = all(lookup.name_space(u32::MAX)).unwrap_err();
        assert_eq!(error.status(), Some(wsk_sys::STATUS_INVALID_PARAMETER));
        let zero = all(Lookup::utf16(&[0x31, 0])).unwrap_err();
        assert_eq!(zero, Error::BadName { length: 2 });
        // Without a name, the result is the address to bind to, or to connect to.
        let any = |lookup: Lookup<'static>| all(lookup.service("80").family(Family::V4)).unwrap();
        assert_eq!(
            any(Lookup::new("").to_bind()),
            ["0.0.0.0:80".parse().unwrap()]
        );
        assert_eq!(any(Lookup::new("")), [here]);
        assert!(!any(Lookup::new("localhost").only_configured()).is_empty());
    });
}

#[test]
fn an_address_has_names() {
    on_each_seeded_kernel(|_, provider| {
        let of = |address: &str| provider.name_of(address.parse::<SocketAddr>().unwrap());
        let names = of("[::1]:80").numeric().wait().unwrap();
        assert_eq!(names.to_string(), "::1:80");
        assert_eq!(String::from_utf16(names.host()).unwrap(), "::1");
        assert_eq!(String::from_utf16(names.service()).unwrap(), "80");
        // The names may be dropped at any IRQL.
        at_irql(DISPATCH_LEVEL, || drop(names));
        let local = of("127.0.0.1:9").for_datagrams().wait().unwrap();
        assert!(!local.host().is_empty());
        let nobody = of("192.0.2.1:9").must_have_name();
        assert!(matches!(nobody.wait(), Err(Error::Call { .. })));
        let above = at_irql(DISPATCH_LEVEL, || of("127.0.0.1:9").start().unwrap_err());
        assert!(matches!(above, Error::WrongIrql { limit: 0, .. }));
        drop(of("127.0.0.1:9").start().unwrap());
    });
}

/// A lookup with an operation of another client's pool: the provider keeps it, whatever happens to the handle, and completes it
/// late, above `PASSIVE_LEVEL`.
#[test]
fn names_from_anothers_pool_completed_late_by_a_thread_that_unloads() {
    for policy in [Completion::Inline, Completion::Deferred, Completion::Seeded] {
        for how in [0, 1, 2, 3] {
            let kernel = Kernel::builder()
                .completion(policy)
                .seed(how)
                .time_lapse(FAST)
                .boot();
            let ((first, of_pool), (second, asking)) = (client(), client());
            let operations = Operations::new(&of_pool, 1).unwrap();
            if how != 3 {
                kernel.fail_nth(Resource::Completion, 1);
            }
            let lookup = asking
                .name_of("127.0.0.1:80".parse::<SocketAddr>().unwrap())
                .numeric()
                .from(&operations);
            match how {
                0 => at_irql(DISPATCH_LEVEL, || drop(lookup.start().map_err(drop))),
                1 => drop(lookup.start().unwrap().wait().unwrap()),
                2 => lookup.start_with(drop).unwrap(),
                _ => {
                    let lookup = lookup.start().unwrap();
                    at_irql(DISPATCH_LEVEL, move || drop(lookup));
                }
            }
            drop((operations, of_pool, asking));
            let threads = [first, second].map(|r| std::thread::spawn(move || drop(r)));
            std::thread::sleep(MOMENT);
            at_irql(DISPATCH_LEVEL, || kernel.complete_withheld());
            for thread in threads {
                thread.join().unwrap();
            }
            kernel.shutdown();
        }
    }
}
