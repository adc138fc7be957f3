//! Addresses and socket addresses: random ones, and often special ones.

use proptest::prelude::*;
use wsk_sys::{AF_INET, AF_INET6, SCOPE_ID, SCOPE_ID_Anonymous1, SOCKADDR_IN, SOCKADDR_IN6};

use crate::{agree, agree_on};

/// An IPv4 address whose bytes often have special values.
fn ipv4() -> impl Strategy<Value = [u8; 4]> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![
            0, 10, 15, 16, 31, 32, 127, 168, 169, 172, 191, 192, 223, 224, 239, 240, 254, 255
        ])
    ];
    let whole = prop::sample::select(vec![
        [0; 4],
        [255; 4],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [169, 254, 1, 1],
        [172, 16, 0, 1],
        [192, 168, 0, 1],
        [239, 255, 0, 1],
    ]);
    prop_oneof![prop::array::uniform4(byte), whole]
}

/// An IPv6 address that often begins like a special one.
fn ipv6() -> impl Strategy<Value = [u8; 16]> {
    let start: Vec<Vec<u8>> = vec![
        vec![0; 16],
        vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        vec![0; 15],
        vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
        vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF],
        vec![0xFF],
        vec![0xFE],
        vec![0xFE, 0x80],
        vec![0xFE, 0xBF],
        vec![0xFE, 0xC0],
        vec![0xFF, 0x01],
        vec![0xFF, 0x02],
        vec![0xFF, 0x05],
        vec![0xFF, 0x18],
        vec![0xFF, 0x0E],
    ];
    (
        prop_oneof![Just(Vec::new()), prop::sample::select(start)],
        any::<[u8; 16]>(),
    )
        .prop_map(|(start, mut bytes)| {
            bytes[..start.len()].copy_from_slice(&start);
            bytes
        })
}

fn family() -> impl Strategy<Value = u16> {
    prop_oneof![Just(AF_INET), Just(AF_INET6), any::<u16>()]
}

/// A socket address with room for either family: family, port, then for IPv4 the address, for IPv6 flow, address, scope.
fn socket_address() -> impl Strategy<Value = Vec<u8>> {
    let rest = prop_oneof![
        (ipv4(), any::<[u8; 20]>()).prop_map(|(address, rest)| [&address[..], &rest].concat()),
        (
            any::<[u8; 4]>(),
            ipv6(),
            prop_oneof![Just([0; 4]), any::<[u8; 4]>()]
        )
            .prop_map(|(flow, address, scope)| [&flow[..], &address, &scope].concat()),
    ];
    (family(), any::<[u8; 2]>(), rest)
        .prop_map(|(family, port, rest)| [&family.to_ne_bytes()[..], &port, &rest].concat())
}

/// Two socket addresses that are often almost equal.
fn socket_addresses() -> impl Strategy<Value = Vec<u8>> {
    (
        socket_address(),
        socket_address(),
        any::<bool>(),
        0..40_usize,
    )
        .prop_map(|(first, other, same, changed)| {
            let mut second = if same { first.clone() } else { other };
            if let Some(byte) = second.get_mut(changed) {
                *byte ^= 1;
            }
            [first, second].concat()
        })
}

fn scope(value: u32) -> SCOPE_ID {
    SCOPE_ID {
        Anonymous1: SCOPE_ID_Anonymous1 { Value: value },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn ipv4_addresses(first in ipv4(), second in ipv4(), same: bool) {
        let both = [first, if same { first } else { second }].concat();
        agree_on!(&both, |at| IN4_ADDR_EQUAL(at.cast(), at.add(4).cast()));
        agree_on!(&first, |at| IN4_IS_ADDR_UNSPECIFIED(at.cast()));
        agree_on!(&first, |at| IN4_IS_ADDR_LOOPBACK(at.cast()));
        agree_on!(&first, |at| IN4_IS_ADDR_BROADCAST(at.cast()));
        agree_on!(&first, |at| IN4_IS_ADDR_MULTICAST(at.cast()));
        agree_on!(&first, |at| IN4_IS_ADDR_LINKLOCAL(at.cast()));
        agree_on!(&first, |at| IN4_IS_ADDR_RFC1918(at.cast()));
        agree_on!(&first, |at| Ipv4AddressScope(at));
    }

    #[test]
    fn ipv6_addresses(first in ipv6(), second in ipv6(), same: bool, noise: [u8; 16], four in ipv4()) {
        let both = [first, if same { first } else { second }].concat();
        agree_on!(&both, |at| IN6_ADDR_EQUAL(at.cast(), at.add(16).cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_UNSPECIFIED(at.cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_LOOPBACK(at.cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_MULTICAST(at.cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_LINKLOCAL(at.cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_SITELOCAL(at.cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_V4MAPPED(at.cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_MC_NODELOCAL(at.cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_MC_LINKLOCAL(at.cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_MC_SITELOCAL(at.cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_MC_ORGLOCAL(at.cast()));
        agree_on!(&first, |at| IN6_IS_ADDR_MC_GLOBAL(at.cast()));
        agree_on!(&first, |at| Ipv6AddressScope(at));
        agree_on!(&first, |at| IN6_GET_ADDR_V4MAPPED(at.cast()));
        agree_on!(&noise, |at| IN6_SET_ADDR_UNSPECIFIED(at.cast()));
        agree_on!(&noise, |at| IN6_SET_ADDR_LOOPBACK(at.cast()));
        let with_four = [&noise[..], &four].concat();
        agree_on!(&with_four, |at| IN6_SET_ADDR_V4MAPPED(at.cast(), at.add(16).cast()));
    }

    #[test]
    fn scopes(value: u32, four in ipv4(), six in ipv6()) {
        agree!(ScopeLevel(scope(value)));
        let with_four = [four, value.to_ne_bytes()].concat();
        agree_on!(&with_four, |at| IN4_UNCANONICALIZE_SCOPE_ID(at.cast(), at.add(4).cast()));
        // Often the scope level of the address itself.
        for value in [value, value & !(0xF << 28) | u32::from(six[1] & 0xF) << 28] {
            let with_six = [&six[..], &value.to_ne_bytes()].concat();
            agree_on!(&with_six, |at| IN6_UNCANONICALIZE_SCOPE_ID(at.cast(), at.add(16).cast()));
        }
    }

    #[test]
    fn reading_socket_addresses(both in socket_addresses()) {
        agree_on!(&both, |at| IN4ADDR_ISANY(at.cast()));
        agree_on!(&both, |at| IN4ADDR_ISUNSPECIFIED(at.cast()));
        agree_on!(&both, |at| IN4ADDR_ISLOOPBACK(at.cast()));
        agree_on!(&both, |at| IN4ADDR_ISEQUAL(at.cast::<SOCKADDR_IN>(), at.add(28).cast()));
        agree_on!(&both, |at| IN6ADDR_ISANY(at.cast()));
        agree_on!(&both, |at| IN6ADDR_ISUNSPECIFIED(at.cast()));
        agree_on!(&both, |at| IN6ADDR_ISLOOPBACK(at.cast()));
        agree_on!(&both, |at| IN6ADDR_ISV4MAPPED(at.cast()));
        agree_on!(&both, |at| IN6ADDR_ISEQUAL(at.cast::<SOCKADDR_IN6>(), at.add(28).cast()));
        agree_on!(&both, |at| INETADDR_ISANY(at.cast()));
        agree_on!(&both, |at| INETADDR_ISLOOPBACK(at.cast()));
        agree_on!(&both, |at| INETADDR_ISV4MAPPED(at.cast()));
        agree_on!(&both, |at| INETADDR_ISEQUAL(at.cast(), at.add(28).cast()));
        agree_on!(&both, |at| INETADDR_PORT(at.cast()));
        agree_on!(&both, |at| INETADDR_ADDRESS(at.cast()));
        agree_on!(&both, |at| SS_PORT(at.cast()));
    }

    #[test]
    fn making_socket_addresses(
        before in socket_address(), four in ipv4(), six in ipv6(), value: u32, port: u16, family in family(),
    ) {
        let scope = scope(value);
        let with_four = [&before[..], &four].concat();
        agree_on!(&with_four, |at| IN4ADDR_SETSOCKADDR(at.cast(), at.add(28).cast(), port));
        agree_on!(&with_four, |at| IN6ADDR_SETV4MAPPED(at.cast(), at.add(28).cast(), scope, port));
        let with_six = [&before[..], &six].concat();
        agree_on!(&with_six, |at| IN6ADDR_SETSOCKADDR(at.cast(), at.add(28).cast(), scope, port));
        agree_on!(&with_six, |at| INETADDR_SETSOCKADDR(family, at.cast(), at.add(28).cast(), scope, port));
        agree_on!(&before, |at| IN4ADDR_SETANY(at.cast()));
        agree_on!(&before, |at| IN4ADDR_SETLOOPBACK(at.cast()));
        agree_on!(&before, |at| IN6ADDR_SETANY(at.cast()));
        agree_on!(&before, |at| IN6ADDR_SETLOOPBACK(at.cast()));
        agree_on!(&before, |at| INETADDR_SETANY(at.cast()));
        agree_on!(&before, |at| INETADDR_SETLOOPBACK(at.cast()));
        agree_on!(&before, |at| INETADDR_SET_PORT(at.cast(), port));
        agree!(INET_ADDR_LENGTH(family));
        agree!(INET_SOCKADDR_LENGTH(family));
    }
}
