//! Tests of the unchanged driver, on the host kernel, over real sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::DriverEntry;
use wsk_host::{Completion, Kernel, LoadedDriver, RegistryValue};
use wsk_sys::{
    STATUS_ADDRESS_ALREADY_EXISTS, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
};

const KEY: u32 = 0x5EED_CAFE;
const POLICIES: [Completion; 3] = [Completion::Inline, Completion::Deferred, Completion::Seeded];

/// An address that is free at this moment.
fn free() -> SocketAddr {
    socket("127.0.0.1:0").local_addr().unwrap()
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    socket
}

/// A loaded tunnel, and a client of it.
struct Tunnel<'k> {
    driver: LoadedDriver<'k>,
    client: UdpSocket,
    /// The port to which the peer sends.
    port: u16,
}

/// Loads the driver. Returns its status if it cannot be loaded.
fn try_load(kernel: &Kernel, peer: SocketAddr) -> Result<Tunnel<'_>, wsk::NTSTATUS> {
    let (inside, port) = (free(), free().port());
    let text = |address: SocketAddr| RegistryValue::String(address.to_string());
    let driver = kernel
        .driver("udp-tunnel")
        .parameter("Inside", text(inside))
        .parameter("Outside", RegistryValue::Dword(port.into()))
        .parameter("Peer", text(peer))
        .parameter("Key", RegistryValue::Dword(KEY))
        .load(DriverEntry)?;
    let client = socket("127.0.0.1:0");
    client.connect(inside).unwrap();
    Ok(Tunnel {
        driver,
        client,
        port,
    })
}

/// Loads the driver. If another program has taken one of its ports meanwhile, tries again with others.
fn load<'k>(kernel: &'k Kernel, peer: &UdpSocket) -> Tunnel<'k> {
    let peer = peer.local_addr().unwrap();
    for _ in 0..20 {
        match try_load(kernel, peer) {
            Err(STATUS_ADDRESS_ALREADY_EXISTS) => {}
            loaded => return loaded.unwrap(),
        }
    }
    panic!("no ports are free");
}

impl Tunnel<'_> {
    fn unload(self) {
        self.driver.unload();
    }

    /// A packet of the client must arrive at the peer, behind the key. Returns its source address.
    fn goes_out(&self, peer: &UdpSocket, payload: &[u8]) -> SocketAddr {
        self.client.send(payload).unwrap();
        let mut packet = [0; 2048];
        let (length, from) = peer.recv_from(&mut packet).unwrap();
        assert_eq!(packet[..4], KEY.to_be_bytes());
        assert_eq!(&packet[4..length], payload);
        from
    }

    /// A packet of the peer behind the key must arrive at the client.
    fn comes_in(&self, peer: &UdpSocket, to: SocketAddr, payload: &[u8]) {
        let packet = [&KEY.to_be_bytes(), payload].concat();
        peer.send_to(&packet, to).unwrap();
        let mut packet = [0; 2048];
        let length = self.client.recv(&mut packet).unwrap();
        assert_eq!(&packet[..length], payload);
    }
}

#[test]
fn packets_go_both_ways_over_both_families() {
    for policy in POLICIES {
        let kernel = Kernel::builder().completion(policy).seed(1).boot();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (first, peer) = (socket("127.0.0.1:0"), socket(address));
            let tunnel = load(&kernel, &first);
            let mut to = peer.local_addr().unwrap();
            to.set_port(tunnel.port);
            tunnel.goes_out(&first, b"says who the client is");
            tunnel.comes_in(&peer, to, b"says where the peer is");
            for length in [0, 1, 100, 1448] {
                let payload: Vec<u8> = (0..=250).cycle().take(length).collect();
                assert_eq!(tunnel.goes_out(&peer, &payload), to);
                tunnel.comes_in(&peer, to, &payload);
            }
            tunnel.unload();
        }
        kernel.shutdown();
    }
}

#[test]
fn the_peer_roams_and_strangers_do_not() {
    let kernel = Kernel::boot();
    let first = socket("127.0.0.1:0");
    let tunnel = load(&kernel, &first);
    tunnel.goes_out(&first, b"to the first");
    // Without the key, or with part of it.
    let stranger = socket("127.0.0.1:0");
    let to = SocketAddr::from(([127, 0, 0, 1], tunnel.port));
    stranger.send_to(b"hello there", to).unwrap();
    stranger.send_to(&KEY.to_be_bytes()[..3], to).unwrap();
    tunnel.comes_in(&first, to, b"after the strangers'");
    tunnel.goes_out(&first, b"to the first still");
    // From another address, in the other family.
    let second = socket("[::1]:0");
    tunnel.comes_in(
        &second,
        SocketAddr::new([0_u16, 0, 0, 0, 0, 0, 0, 1].into(), tunnel.port),
        b"from elsewhere",
    );
    tunnel.goes_out(&second, b"to where it is now");
    tunnel.unload();
    kernel.shutdown();
}

/// On Linux, all of 127/8 is on the loopback interface.
#[test]
#[cfg(target_os = "linux")]
fn answers_come_from_where_the_peer_sends_to() {
    let kernel = Kernel::boot();
    let peer = socket("127.0.0.1:0");
    let tunnel = load(&kernel, &peer);
    tunnel.goes_out(&peer, b"says who the client is");
    for last in [5, 9] {
        let to = SocketAddr::from(([127, 0, 0, last], tunnel.port));
        tunnel.comes_in(&peer, to, b"to this one");
        assert_eq!(tunnel.goes_out(&peer, b"from this one"), to);
    }
    tunnel.unload();
    kernel.shutdown();
}

#[test]
fn packets_allocate_nothing() {
    for policy in POLICIES {
        let kernel = Kernel::builder().completion(policy).seed(2).boot();
        let peer = socket("127.0.0.1:0");
        let tunnel = load(&kernel, &peer);
        let to = SocketAddr::from(([127, 0, 0, 1], tunnel.port));
        tunnel.goes_out(&peer, b"first");
        tunnel.comes_in(&peer, to, b"first");
        let before = kernel.counts().allocations();
        for _ in 0..100 {
            tunnel.goes_out(&peer, b"steady");
            tunnel.comes_in(&peer, to, b"steady");
        }
        assert_eq!(kernel.counts().allocations(), before);
        tunnel.unload();
        kernel.shutdown();
    }
}

/// The peer's packet is sent to the client from the memory that WSK has indicated. As many packets may be in flight as there are
/// operations, and packets that WSK has scattered over many MDLs arrive, too.
#[test]
fn what_the_peer_sends_is_not_copied() {
    let kernel = Kernel::builder().scattered_indications().boot();
    let peer = socket("127.0.0.1:0");
    let tunnel = load(&kernel, &peer);
    let to = SocketAddr::from(([127, 0, 0, 1], tunnel.port));
    tunnel.goes_out(&peer, b"says who the client is");
    // Longer than the driver's buffers.
    for length in [0, 1, 2, 3, 1449, 2000] {
        let payload: Vec<u8> = (0..=250).cycle().take(length).collect();
        tunnel.comes_in(&peer, to, &payload);
    }
    tunnel.unload();
    kernel.shutdown();
}

/// The driver is unloaded in the middle of its work, with completions in any order. Shutting the kernel down finds leaks.
#[test]
fn nothing_is_left_behind_on_any_schedule() {
    for policy in POLICIES {
        for seed in 0..1000 {
            let kernel = Kernel::builder().completion(policy).seed(seed).boot();
            let peer = socket("127.0.0.1:0");
            let tunnel = load(&kernel, &peer);
            let to = SocketAddr::from(([127, 0, 0, 1], tunnel.port));
            if seed % 4 == 0 {
                tunnel.goes_out(&peer, b"out");
                tunnel.comes_in(&peer, to, b"in");
            }
            let packet = [&KEY.to_be_bytes()[..], b"in"].concat();
            for _ in 0..seed % 7 {
                tunnel.client.send(b"out").unwrap();
                peer.send_to(&packet, to).unwrap();
            }
            tunnel.unload();
            kernel.shutdown();
        }
    }
}

#[test]
fn unloads_under_load() {
    for policy in POLICIES {
        let kernel = Kernel::builder().completion(policy).seed(7).boot();
        let peer = socket("127.0.0.1:0");
        let tunnel = load(&kernel, &peer);
        let to = SocketAddr::from(([127, 0, 0, 1], tunnel.port));
        std::thread::scope(|scope| {
            let client = tunnel.client.try_clone().unwrap();
            scope.spawn(move || (0..2000).for_each(|_| drop(client.send(b"load"))));
            let packet = [&KEY.to_be_bytes()[..], b"load"].concat();
            scope.spawn(move || (0..2000).for_each(|_| drop(peer.send_to(&packet, to))));
            std::thread::sleep(Duration::from_millis(5));
            tunnel.unload();
        });
        kernel.shutdown();
    }
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    let kernel = Kernel::boot();
    for (name, wrong) in [
        ("Peer", RegistryValue::String("nowhere".to_owned())),
        ("Inside", RegistryValue::String("nowhere".to_owned())),
        ("Outside", RegistryValue::Dword(0x1_0000)),
    ] {
        let loaded = kernel.driver("udp-tunnel").parameter(name, wrong);
        let status = loaded.load(DriverEntry).unwrap_err();
        assert_eq!(status, STATUS_INVALID_PARAMETER, "{name}");
    }
    // Another socket has the address: loading fails and does not wait for itself.
    let taken = socket("127.0.0.1:0");
    let inside = RegistryValue::String(taken.local_addr().unwrap().to_string());
    let loaded = kernel.driver("udp-tunnel").parameter("Inside", inside);
    let outside = RegistryValue::Dword(free().port().into());
    let loaded = loaded
        .parameter("Outside", outside)
        .load(DriverEntry)
        .map(drop);
    assert!(loaded.is_err());
    kernel.shutdown();

    // Each allocation fails once.
    for nth in 1.. {
        let kernel = Kernel::boot();
        kernel.fail_nth_allocation(nth);
        let loaded = try_load(&kernel, free()).map(Tunnel::unload);
        kernel.shutdown();
        if loaded.is_ok() {
            assert!(nth > 100, "only {nth} allocations");
            break;
        }
        assert_eq!(loaded, Err(STATUS_INSUFFICIENT_RESOURCES));
    }
}
