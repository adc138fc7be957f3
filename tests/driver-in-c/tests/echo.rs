//! The driver in C on the host kernel: what it does, with every allocation failing in turn, with sockets that are forced closed,
//! and with completions in a thousand orders.

#[cfg(without_clang)]
compile_error!(
    "the driver is compiled by clang: install it (Debian: `apt-get install clang-19`), or name one in WSK_CLANG"
);

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use wsk_driver_in_c::DriverEntry;
use wsk_host::{Builder, Completion, Driver, Kernel, LoadedDriver, Resource, What};
use wsk_sys::NTSTATUS;

/// The time limit for everything that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A kernel, and the output of its driver.
struct Machine {
    kernel: Kernel,
    printed: Receiver<String>,
}

impl Machine {
    fn boot(builder: Builder) -> Self {
        let kernel = builder.boot();
        let (print, printed) = channel();
        kernel.on_event(move |event| {
            if let What::Print { text, .. } = &event.what {
                // After a failed test nobody reads the output any more.
                let _ = print.send(text.clone());
            }
        });
        Self { kernel, printed }
    }

    fn load(&self) -> Result<LoadedDriver<'_>, NTSTATUS> {
        let driver: Driver<'_> = self.kernel.driver("echo");
        driver.load(DriverEntry)
    }

    /// The port on which the driver listens. `None` if it could not listen.
    fn port(&self) -> Option<u16> {
        let printed = self.printed.recv_timeout(PATIENCE);
        let printed = printed.expect("the driver must print whether it listens");
        let port = printed.trim_end().strip_prefix("echo: listening on port ");
        assert!(
            port.is_some() || printed.starts_with("echo: not listening"),
            "{printed}"
        );
        Some(port?.parse().expect("a port is a number"))
    }
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends bytes and expects the same back, and then ends the connection and expects its end.
fn talk(port: u16, text: &[u8]) -> std::io::Result<()> {
    let mut stream = connect(port)?;
    let mut writer = stream.try_clone()?;
    let echoed = std::thread::scope(|scope| {
        let written = scope.spawn(move || {
            writer.write_all(text)?;
            writer.shutdown(Shutdown::Write)
        });
        let mut echoed = Vec::new();
        let read = stream.read_to_end(&mut echoed);
        written.join().expect("writing doesn't panic")?;
        read.map(|_| echoed)
    })?;
    if echoed == text {
        Ok(())
    } else {
        Err(std::io::Error::other(format!(
            "{} bytes came back of {}",
            echoed.len(),
            text.len()
        )))
    }
}

#[test]
fn it_echoes() {
    let machine = Machine::boot(Kernel::builder());
    let driver = machine.load().unwrap();
    let port = machine.port().unwrap();
    let long: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    std::thread::scope(|scope| {
        for text in [b"hello".as_slice(), b"", &long] {
            scope.spawn(move || talk(port, text).unwrap());
        }
    });
    // Unloading closes a connection that is still open.
    let mut stays = connect(port).unwrap();
    stays.write_all(b"still here").unwrap();
    stays.read_exact(&mut [0; 10]).unwrap();
    driver.unload();
    assert_eq!(stays.read(&mut [0; 1]).unwrap_or(0), 0);
    // The driver can be loaded again.
    let driver = machine.load().unwrap();
    talk(machine.port().unwrap(), b"again").unwrap();
    driver.unload();
    machine.kernel.shutdown();
}

/// Loads the driver, talks to it, and unloads it, on a kernel on which something fails. Returns whether everything went well for
/// the peer.
fn with_faults(machine: &Machine) -> bool {
    let Ok(driver) = machine.load() else {
        return false;
    };
    let talked = match machine.port() {
        Some(port) => talk(port, b"hello").is_ok(),
        None => false,
    };
    driver.unload();
    talked
}

/// Makes the first use of a resource fail, then the second, and so on until no use fails.
fn each_fails_in_turn(plan: impl Fn(&Kernel, u64)) -> u64 {
    for nth in 1.. {
        let machine = Machine::boot(Kernel::builder().backtraces(false));
        plan(&machine.kernel, nth);
        let well = with_faults(&machine);
        let reached = machine.kernel.counts().faults > 0;
        // Whatever has failed, nothing is left behind.
        machine.kernel.shutdown();
        if !reached {
            assert!(well, "nothing failed, but the driver does not echo");
            return nth - 1;
        }
    }
    unreachable!("the loop ends where nothing fails")
}

#[test]
fn every_allocation_fails_in_turn() {
    let failed = each_fails_in_turn(Kernel::fail_nth_allocation);
    // An IRP for the listener; a connection with two IRPs and an MDL.
    assert_eq!(failed, 5);
}

#[test]
fn every_call_of_the_provider_fails_in_turn() {
    let failed = each_fails_in_turn(Kernel::fail_nth_call);
    // Opening, binding, reading the address, receiving twice, sending, disconnecting, and closing.
    assert!(failed >= 7, "only {failed} calls have failed");
    for resource in [Resource::Registration, Resource::Thread] {
        let failed = each_fails_in_turn(|kernel, nth| kernel.fail_nth(resource, nth));
        assert!(failed >= 1, "{resource:?} was never used");
    }
}

#[test]
fn without_a_provider_it_does_nothing() {
    let machine = Machine::boot(Kernel::builder().time_lapse(100));
    machine.kernel.provider_down();
    let driver = machine.load().unwrap();
    assert_eq!(machine.port(), None);
    driver.unload();
    machine.kernel.shutdown();
}

/// Expects the end of each connection, or a reset, after at most as many bytes as were in flight.
fn all_end(peers: &mut [TcpStream], most: usize) {
    for peer in peers {
        let mut rest = Vec::new();
        let end = peer.read_to_end(&mut rest);
        assert!(rest.len() <= most);
        let late =
            |end: std::io::Error| matches!(end.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!end.is_err_and(late), "the connection must end");
    }
}

#[test]
fn sockets_that_are_forced_closed() {
    // After this many bytes have come back.
    for wait in [0, 1, 5] {
        let machine = Machine::boot(Kernel::builder());
        let driver = machine.load().unwrap();
        let port = machine.port().unwrap();
        let mut peers: Vec<TcpStream> = (0..3).map(|_| connect(port).unwrap()).collect();
        for peer in &mut peers {
            peer.write_all(b"hello").unwrap();
            peer.read_exact(&mut vec![0; wait]).unwrap();
        }
        machine.kernel.force_close_sockets();
        // Some connections without an answer were not accepted. Unloading closes the listener, and so these connections.
        if wait > 0 {
            all_end(&mut peers, 5 - wait);
        }
        driver.unload();
        if wait == 0 {
            all_end(&mut peers, 5 - wait);
        }
        machine.kernel.shutdown();
    }
}

#[test]
fn a_thousand_orders_of_completions() {
    for seed in 0..1000 {
        let builder = Kernel::builder()
            .completion(Completion::Seeded)
            .seed(seed)
            .backtraces(false);
        let machine = Machine::boot(builder);
        let driver = machine.load().unwrap();
        let port = machine.port().unwrap();
        match seed % 4 {
            // Everything ends before the driver is unloaded.
            0 => talk(port, b"hello").unwrap_or_else(|error| panic!("seed {seed}: {error}")),
            // A peer stays connected.
            1 => {
                let mut peer = connect(port).unwrap();
                peer.write_all(b"hello").unwrap();
                driver.unload();
                machine.kernel.shutdown();
                continue;
            }
            // A peer stays connected, and another one disconnects at this moment.
            2 => {
                let _stays = connect(port).unwrap();
                let goes = connect(port).unwrap();
                goes.shutdown(Shutdown::Write).unwrap();
            }
            // The network fails meanwhile.
            _ => {
                let mut peer = connect(port).unwrap();
                peer.write_all(b"hello").unwrap();
                machine.kernel.force_close_sockets();
            }
        }
        driver.unload();
        machine.kernel.shutdown();
    }
}
