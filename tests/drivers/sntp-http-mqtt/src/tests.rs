//! Tests of the unchanged driver, on the host kernel, over real sockets.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use wsk::{Network, Registration, Wait};
use wsk_host::{Completion, Kernel, RegistryValue, What};
use wsk_sys::{
    NTSTATUS, STATUS_CONNECTION_REFUSED, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_NETWORK_RESPONSE, STATUS_INVALID_PARAMETER,
};

use crate::{DriverEntry, http, mqtt, servers, sntp};

/// A kernel, and the lines that drivers print there.
fn boot(completion: Completion) -> (Kernel, Arc<Mutex<Vec<String>>>) {
    let kernel = Kernel::builder().completion(completion).boot();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let to = lines.clone();
    kernel.on_event(move |event| {
        if let What::Print { text, .. } = &event.what {
            to.lock().unwrap().push(text.clone());
        }
    });
    (kernel, lines)
}

/// Loads the driver with these parameters, and unloads it.
fn load(kernel: &Kernel, parameters: &[(&str, String)]) -> Result<(), NTSTATUS> {
    let mut driver = kernel.driver("sntp-http-mqtt");
    for (name, value) in parameters {
        driver = driver.parameter(name, RegistryValue::String(value.clone()));
    }
    driver.load(DriverEntry)?.unload();
    Ok(())
}

/// A server for one client.
fn server<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    (address, thread)
}

#[test]
fn all_three_protocols_are_spoken() {
    for completion in [Completion::Inline, Completion::Deferred] {
        let (kernel, lines) = boot(completion);
        let clock = UdpSocket::bind("127.0.0.1:0").unwrap();
        let time = clock.local_addr().unwrap();
        // In 2036 NTP's time starts again at 0.
        let seconds = 2_100_000_000;
        let clock = std::thread::spawn(move || servers::tell_time(&clock, seconds));
        let (web, page) = server(|client| servers::give_page(client, &["one\n", "and two\n"]));
        let (broker, messages) = server(servers::broker);

        let parameters = [
            ("TimeServer", time.to_string()),
            ("Url", format!("http://{web}/a/page?of=test")),
            ("Broker", broker.to_string()),
        ];
        assert_eq!(load(&kernel, &parameters), Ok(()));
        clock.join().unwrap().unwrap();
        let request = page.join().unwrap().unwrap();
        let head = "GET /a/page?of=test HTTP/1.1\r\nHost: 127.0.0.1\r\n";
        assert!(request.starts_with(head), "{request}");
        let published = messages.join().unwrap().unwrap();
        let message = b"Hello from the kernel!".to_vec();
        assert_eq!(published, [("drivers/sntp-http-mqtt".to_owned(), message)]);
        kernel.shutdown();
        assert_eq!(
            *lines.lock().unwrap(),
            [
                "sntp-http-mqtt: 2100000000 seconds since 1970, says a server of stratum 1\n"
                    .to_owned(),
                format!(
                    "sntp-http-mqtt: http://{web}/a/page?of=test is 12 bytes with status 200: one\n"
                ),
                "sntp-http-mqtt: published and received: Hello from the kernel!\n".to_owned(),
            ]
        );
    }
}

#[test]
fn what_is_not_asked_for_is_not_done() {
    let (kernel, lines) = boot(Completion::Inline);
    assert_eq!(load(&kernel, &[]), Ok(()));
    kernel.shutdown();
    assert!(lines.lock().unwrap().is_empty());
}

/// The driver must not load with this parameter. It returns this status, and prints a line with this beginning.
#[track_caller]
fn refused(name: &str, value: String, status: NTSTATUS, line: &str) {
    let (kernel, lines) = boot(Completion::Deferred);
    assert_eq!(load(&kernel, &[(name, value)]), Err(status));
    kernel.shutdown();
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|one| one.starts_with(line)), "{lines:?}");
}

#[test]
fn servers_that_are_not_there_are_told() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let line = "sntp-http-mqtt: WskConnect failed: 0xC0000236";
    let status = STATUS_CONNECTION_REFUSED;
    refused("Broker", address.to_string(), status, line);
    let line = "sntp-http-mqtt: Network(ConnectionRefused)";
    let status = STATUS_INVALID_NETWORK_RESPONSE;
    refused("Url", format!("http://{address}/"), status, line);
}

#[test]
fn servers_that_do_not_keep_to_the_protocol_are_told() {
    let line = "sntp-http-mqtt: the broker failed: 0xC00000C3";
    // One server closes the connection in the middle of its answer, the other sends something else.
    for answer in [&b"\x20\x03\0"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let (address, hangs_up) = server(move |mut client| {
            std::io::Read::read(&mut client, &mut [0; 256]).unwrap();
            std::io::Write::write_all(&mut client, answer).unwrap();
        });
        let status = STATUS_INVALID_NETWORK_RESPONSE;
        refused("Broker", address.to_string(), status, line);
        hangs_up.join().unwrap();
    }
}

#[test]
fn an_address_that_is_none_is_told() {
    let (kernel, _) = boot(Completion::Inline);
    let loaded = load(&kernel, &[("Broker", "nowhere".to_owned())]);
    assert_eq!(loaded, Err(STATUS_INVALID_PARAMETER));
    kernel.shutdown();
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    for nth in 1.. {
        let (kernel, _) = boot(Completion::Deferred);
        let (broker, _messages) = server(servers::broker);
        kernel.fail_nth_allocation(nth);
        let loaded = load(&kernel, &[("Broker", broker.to_string())]);
        // A server that gets no connection must not wait.
        drop(TcpStream::connect(broker));
        kernel.shutdown();
        if loaded.is_ok() {
            assert!(nth > 8, "only {nth} allocations");
            break;
        }
        assert_eq!(loaded, Err(STATUS_INSUFFICIENT_RESOURCES));
    }
}

/// The guide quotes this driver, and names the crates that it uses.
#[test]
fn the_guide_tells_of_this_driver_as_it_is() {
    let page = include_str!("../../../../wsk/src/guide/no_std_network.md");
    let (_, quoted) = page.split_once("```text\n").unwrap();
    let (quoted, _) = quoted.split_once("```").unwrap();
    assert!(quoted.lines().count() > 3);
    let source = include_str!("http.rs").replace("\r\n", "\n");
    assert!(source.contains(&quoted.replace("\r\n", "\n")), "{quoted}");
    let manifest = include_str!("../Cargo.toml");
    for name in ["sntpc", "reqwless", "rust-mqtt"] {
        let (_, version) = manifest
            .split_once(&format!("{name} = {{ version = \""))
            .unwrap();
        let (version, _) = version.split_once('"').unwrap();
        assert!(page.contains(&format!("| `{name}` {version} |")), "{name}");
    }
}

/// A kernel thread has a stack of 24 KiB, part of which is already in use. Polling needs some of it, too.
#[test]
fn futures_fit_a_stack_of_the_kernel() {
    let kernel = Kernel::boot();
    let registration = Registration::new().unwrap();
    let provider = registration.capture(Wait::Forever).unwrap();
    let network = Network::new(&provider);
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let sizes = [
        size_of_val(&sntp::ask(&provider, address)),
        size_of_val(&http::fetch(&network, "", &mut [])),
        size_of_val(&mqtt::publish(&network, address, &mut [], true)),
    ];
    assert!(sizes.iter().all(|size| *size <= 2048), "{sizes:?}");
    drop((network, provider, registration));
    kernel.shutdown();
}
