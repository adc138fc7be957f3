//! Tests of the unchanged driver, on the host kernel, over real connections to a server in the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::DriverEntry;
use crate::server::{Served, serve};
use wsk_host::{Completion, Kernel, LoadedDriver, RegistryValue, What};
use wsk_sys::{
    NTSTATUS, STATUS_CONNECTION_REFUSED, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_NETWORK_RESPONSE, STATUS_INVALID_PARAMETER,
};

const POLICIES: [Completion; 3] = [Completion::Inline, Completion::Deferred, Completion::Seeded];
const DISK: usize = 64 * 4096;

/// A server with a thread of its own, for one client.
struct Server {
    address: SocketAddr,
    thread: JoinHandle<std::io::Result<(Served, Vec<u8>)>>,
}

impl Server {
    fn start(zeros: bool) -> Self {
        Self::of(move |client, disk| serve(client, disk, zeros))
    }

    fn of(
        serve: impl FnOnce(TcpStream, &mut [u8]) -> std::io::Result<Served> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (client, _) = listener.accept()?;
            client.set_nodelay(true)?;
            let mut disk = vec![0; DISK];
            let served = serve(client, &mut disk)?;
            Ok((served, disk))
        });
        Self { address, thread }
    }

    fn end(self) -> (Served, Vec<u8>) {
        self.thread.join().unwrap().unwrap()
    }
}

/// A connection that asks before each read and each write, by number, whether to make it. A read that is not made returns the
/// end, and a write that is not made is discarded.
struct By<R, W> {
    client: TcpStream,
    reads: u32,
    writes: u32,
    read: R,
    write: W,
}

fn by<R: FnMut(u32) -> bool, W: FnMut(u32) -> bool>(
    client: TcpStream,
    read: R,
    write: W,
) -> By<R, W> {
    By {
        client,
        reads: 0,
        writes: 0,
        read,
        write,
    }
}

impl<R: FnMut(u32) -> bool, W> Read for By<R, W> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.reads += 1;
        if (self.read)(self.reads) {
            self.client.read(bytes)
        } else {
            Ok(0)
        }
    }
}

impl<R, W: FnMut(u32) -> bool> Write for By<R, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writes += 1;
        if (self.write)(self.writes) {
            self.client.write(bytes)
        } else {
            Ok(bytes.len())
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.client.flush()
    }
}

/// The lines that the driver has printed.
type Lines = Arc<Mutex<String>>;

fn lines(kernel: &Kernel) -> Lines {
    let lines = Lines::default();
    let to = lines.clone();
    kernel.on_event(move |event| {
        if let What::Print { text, .. } = &event.what {
            to.lock().unwrap().push_str(text);
        }
    });
    lines
}

fn until_printed(lines: &Lines, line: &str) {
    let begin = Instant::now();
    while !lines.lock().unwrap().contains(line) {
        let lines = lines.lock().unwrap();
        assert!(begin.elapsed() < Duration::from_mins(1), "{line}: {lines}");
        drop(lines);
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn load(kernel: &Kernel, server: SocketAddr, blocks: u32) -> Result<LoadedDriver<'_>, NTSTATUS> {
    kernel
        .driver("nbd-client")
        .parameter("Server", RegistryValue::String(server.to_string()))
        .parameter("Blocks", RegistryValue::Dword(blocks))
        .load(DriverEntry)
}

#[test]
fn blocks_come_back_as_they_were_written() {
    for policy in POLICIES {
        for zeros in [false, true] {
            let kernel = Kernel::builder().completion(policy).seed(1).boot();
            let lines = lines(&kernel);
            let server = Server::start(zeros);
            let driver = load(&kernel, server.address, 16).unwrap();
            until_printed(
                &lines,
                "nbd-client: 16 blocks came back as they were written\n",
            );
            driver.unload();
            kernel.shutdown();
            let (counts, disk) = server.end();
            let all = Served {
                reads: 16,
                writes: 16,
                flushes: 16,
            };
            assert_eq!(counts, all);
            for (number, block) in (0_u8..16).zip(disk.chunks(4096)) {
                assert!(block.iter().all(|&byte| byte == number.wrapping_mul(0x9D)));
            }
        }
    }
}

/// Blocks beyond the end of the device are not requested.
#[test]
fn the_device_has_an_end() {
    let kernel = Kernel::boot();
    let lines = lines(&kernel);
    let server = Server::start(false);
    let driver = load(&kernel, server.address, 1000).unwrap();
    until_printed(&lines, "nbd-client: 64 blocks");
    driver.unload();
    kernel.shutdown();
    assert_eq!(server.end().0.writes, 64);
}

#[test]
fn requests_allocate_nothing() {
    for policy in POLICIES {
        let kernel = Kernel::builder().completion(policy).seed(2).boot();
        let lines = lines(&kernel);
        // The server waits with its first reply until the driver is loaded, because loading allocates, and the count is read
        // after it.
        let (go, gone) = std::sync::mpsc::channel();
        let server = Server::of(move |client, disk| {
            let read = move |nth| {
                // The first request comes after the flags and the option.
                if nth == 3 {
                    gone.recv().unwrap();
                }
                true
            };
            serve(by(client, read, |_| true), disk, false)
        });
        let driver = load(&kernel, server.address, 64).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let before = kernel.counts().allocations();
        go.send(()).unwrap();
        until_printed(&lines, "nbd-client: 64 blocks");
        assert_eq!(kernel.counts().allocations(), before);
        driver.unload();
        kernel.shutdown();
        assert_eq!(server.end().0.reads, 64);
    }
}

/// Unloading does not wait for a server that has stopped in the middle of a reply.
#[test]
fn unloading_aborts_what_waits() {
    for policy in POLICIES {
        let kernel = Kernel::builder().completion(policy).seed(3).boot();
        let (tell, silent) = std::sync::mpsc::channel();
        let server = Server::of(move |client, disk| {
            let write = move |nth| {
                // Greeting, flags, size, flags, and the beginning of the first reply.
                let goes_out = nth <= 5;
                if !goes_out {
                    tell.send(()).unwrap();
                }
                goes_out
            };
            serve(by(client, |_| true, write), disk, false)
        });
        let driver = load(&kernel, server.address, 16).unwrap();
        silent.recv().unwrap();
        let begin = Instant::now();
        driver.unload();
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{:?}",
            begin.elapsed()
        );
        kernel.shutdown();
        assert_eq!(server.end().0.writes, 1);
    }
}

/// The driver notices that a server has gone, in the middle of a request and between two requests.
#[test]
fn a_server_that_ends_is_noticed() {
    for served in 0..20 {
        let kernel = Kernel::boot();
        let lines = lines(&kernel);
        // The connection ends when the server's side is dropped.
        let server = Server::of(move |client, disk| {
            serve(by(client, |nth| nth <= 2 + served, |_| true), disk, false)
        });
        let driver = load(&kernel, server.address, 64).unwrap();
        until_printed(&lines, "nbd-client: a request failed");
        driver.unload();
        kernel.shutdown();
        let _ = server.thread.join().unwrap();
    }
}

/// The driver is unloaded in the middle of its work, with completions in any order. Shutting the kernel down finds leaks.
#[test]
fn nothing_is_left_behind_on_any_schedule() {
    for policy in POLICIES {
        for seed in 0..1000 {
            let kernel = Kernel::builder().completion(policy).seed(seed).boot();
            let server = Server::start(seed % 2 == 0);
            let blocks = u32::try_from(seed % 5).unwrap();
            let driver = load(&kernel, server.address, blocks).unwrap();
            if seed % 3 == 0 {
                std::thread::yield_now();
            }
            driver.unload();
            kernel.shutdown();
            let _ = server.thread.join().unwrap();
        }
    }
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    let kernel = Kernel::boot();
    let wrong = RegistryValue::String("nowhere".to_owned());
    let driver = kernel.driver("nbd-client").parameter("Server", wrong);
    let status = driver.load(DriverEntry).unwrap_err();
    assert_eq!(status, STATUS_INVALID_PARAMETER);
    // There is no server: the socket is bound, so that nobody else gets the port, and never listens.
    let deaf = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
    deaf.bind(&local.into()).unwrap();
    let address = deaf.local_addr().unwrap().as_socket().unwrap();
    let status = load(&kernel, address, 1).unwrap_err();
    assert_eq!(status, STATUS_CONNECTION_REFUSED);
    // There is another server.
    let server = Server::of(|mut client, _| {
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        Ok(Served::default())
    });
    let status = load(&kernel, server.address, 1).unwrap_err();
    assert_eq!(status, STATUS_INVALID_NETWORK_RESPONSE);
    server.end();
    kernel.shutdown();

    // Each allocation fails once.
    for nth in 1.. {
        let kernel = Kernel::boot();
        let server = Server::start(false);
        kernel.fail_nth_allocation(nth);
        let loaded = load(&kernel, server.address, 1).map(LoadedDriver::unload);
        kernel.shutdown();
        drop(TcpStream::connect(server.address));
        let _ = server.thread.join().unwrap();
        if loaded.is_ok() {
            assert!(nth > 10, "only {nth} allocations");
            break;
        }
        assert_eq!(loaded, Err(STATUS_INSUFFICIENT_RESOURCES));
    }
}
