//! `cargo demo`: sends datagrams with the safe API over the host kernel to an ordinary UDP socket, and receives the answers. It
//! prints each call of the driver's code to the Windows kernel, and the life of each IRP.

use std::fmt::Arguments;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use wsk::{DatagramSocket, Family, NonPagedBuffer, Registration, Wait};
use wsk_host::{Completion, Kernel};

/// Prints a line.
macro_rules! say {
    ($($line:tt)+) => {
        print_line(format_args!($($line)+))
    };
}

/// Prints a line. Ends the demo if nobody reads the output any more, as in `cargo demo | head`.
fn print_line(line: Arguments<'_>) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

const HELP: &str = "Sends datagrams with the safe API of wsk over a user-mode stand-in for the Windows kernel, and shows every call.

Usage: cargo demo [-- OPTIONS]

Options:
      --to ADDRESS:PORT  Where to send one datagram [default: the own sockets of the demo, which answer]
      --message MESSAGE  What to send [default: hello from a driver]
  -h, --help             Print help
";

/// The user's options.
struct Asked {
    to: Option<SocketAddr>,
    message: String,
}

/// Reads the user's options. Returns `None` for a request for help.
fn asked() -> Result<Option<Asked>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut asked = Asked {
        to: None,
        message: "hello from a driver".to_owned(),
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("to") => asked.to = Some(arguments.value()?.parse_with(address)?),
            Long("message") => asked.message = arguments.value()?.string()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(asked))
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    let wrong = "give an IP address and a port, such as 127.0.0.1:9000 or [::1]:9000";
    text.parse().map_err(|_| wrong)
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let asked = match asked() {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            say!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    // IRPs complete later and on another processor, as on a busy system, so that every step is visible.
    let kernel = Kernel::builder().completion(Completion::Deferred).boot();
    kernel.on_event(|event| say!("    {event}"));
    let result = match asked.to {
        Some(to) => send(to, &asked.message),
        None => converse(&asked.message),
    };
    if let Err(failure) = result {
        eprintln!("error: {failure}");
        return ExitCode::FAILURE;
    }
    step("The driver is unloaded: the host kernel looks for leaks");
    kernel.shutdown();
    say!("    nothing: every IRP, MDL, buffer and socket is gone");
    ExitCode::SUCCESS
}

/// Sends one datagram to an address that the user names.
fn send(to: SocketAddr, message: &str) -> Result<(), Failure> {
    let (registration, provider) = register()?;
    let (family, local): (_, SocketAddr) = match to {
        SocketAddr::V4(_) => (Family::V4, (Ipv4Addr::UNSPECIFIED, 0).into()),
        SocketAddr::V6(_) => (Family::V6, (Ipv6Addr::UNSPECIFIED, 0).into()),
    };
    let socket = open(&provider, family, local)?;
    let buffer = buffer(message)?;
    step(&format!(
        "socket.send_to(&buffer, {to}).wait(): WskSendTo, and wait until its IRP has completed"
    ));
    let sent = socket.send_to(&buffer, to).wait()?;
    say!("    => {sent} bytes sent to {to}");
    close(socket, buffer)?;
    deregister(registration, provider);
    Ok(())
}

/// Sends over IPv4 and IPv6 to sockets of the host, and receives their answers.
fn converse(message: &str) -> Result<(), Failure> {
    let (registration, provider) = register()?;
    for (family, host) in [
        (Family::V4, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        (Family::V6, (Ipv6Addr::LOCALHOST, 0).into()),
    ] {
        let peer = match UdpSocket::bind(host) {
            Ok(peer) => peer,
            Err(error) if family == Family::V6 => {
                say!(
                    "\n-- {family} is left out: this machine has no {}: {error}",
                    host.ip()
                );
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        peer.set_read_timeout(Some(Duration::from_secs(10)))?;
        let to = peer.local_addr()?;
        say!("\n-- {family}: an ordinary UDP socket of the host waits at {to}");
        let socket = open(&provider, family, host)?;
        let from = socket.local_address()?;
        let buffer = buffer(message)?;

        step(&format!(
            "socket.send_to(&buffer, {to}).wait(): WskSendTo, and wait until its IRP has completed"
        ));
        let sent = socket.send_to(&buffer, to).wait()?;
        say!("    => {sent} bytes sent");

        let mut bytes = vec![0; 65_536];
        let (length, sender) = peer.recv_from(&mut bytes)?;
        say!(
            "\n-- the host's socket got {length} bytes from {sender}: {:?}",
            String::from_utf8_lossy(&bytes[..length])
        );
        if sender != from || &bytes[..length] != message.as_bytes() {
            return Err("the host's socket received other bytes than the driver sent".into());
        }
        let answer = String::from_utf8_lossy(&bytes[..length]).to_uppercase();
        peer.send_to(answer.as_bytes(), sender)?;
        say!("-- and answers {answer:?}");

        step(
            "socket.receive_from(&mut room).wait(): WskReceiveFrom, and wait until its IRP has completed",
        );
        let mut room = NonPagedBuffer::new(65_536)?;
        let received = socket.receive_from(&mut room).wait()?;
        let bytes = &room.as_slice()[..received.length()];
        say!(
            "    => {} bytes from {}: {:?}",
            received.length(),
            received.remote_address()?,
            String::from_utf8_lossy(bytes)
        );
        if bytes != answer.as_bytes() {
            return Err("the driver received other bytes than the host's socket sent".into());
        }
        drop(room);
        close(socket, buffer)?;
    }
    deregister(registration, provider);
    Ok(())
}

fn register() -> Result<(Registration, wsk::Provider), Failure> {
    step("Registration::new(): the driver becomes a client of Winsock Kernel");
    let registration = Registration::new()?;
    step("registration.capture(Wait::Forever): get the table of functions that makes sockets");
    let provider = registration.capture(Wait::Forever)?;
    Ok((registration, provider))
}

fn open(
    provider: &wsk::Provider,
    family: Family,
    local: SocketAddr,
) -> Result<DatagramSocket, Failure> {
    step(&format!(
        "DatagramSocket::open(&provider, Family::{family:?}): WskSocket; the IRP brings the socket"
    ));
    let socket = DatagramSocket::open(provider, family)?;
    step(&format!("socket.bind({local}): WskBind"));
    socket.bind(local)?;
    step("socket.local_address(): WskGetLocalAddress");
    say!("    => {}", socket.local_address()?);
    Ok(socket)
}

fn buffer(message: &str) -> Result<NonPagedBuffer, Failure> {
    step("NonPagedBuffer::copy_of(message): nonpaged pool, and an MDL that describes it");
    Ok(NonPagedBuffer::copy_of(message.as_bytes())?)
}

fn close(socket: DatagramSocket, buffer: NonPagedBuffer) -> Result<(), Failure> {
    step(
        "socket.close(): WskCloseSocket, and wait; the operation for it was allocated when the socket was opened",
    );
    socket.close()?;
    step("drop(buffer): frees the MDL and the memory");
    drop(buffer);
    Ok(())
}

fn deregister(registration: Registration, provider: wsk::Provider) {
    step("drop(provider): WskReleaseProviderNPI");
    drop(provider);
    step("drop(registration): WskDeregister, which waits until everything above is released");
    drop(registration);
}

fn step(what: &str) {
    say!("\n{what}");
}
