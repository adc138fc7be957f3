//! What is done with a sample driver on any Windows: it becomes a service, gets parameters, is loaded, exchanges data with real
//! sockets of this system, and is unloaded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::build::Built;
use crate::interrupt;

/// The server from the tests of `nbd-client`.
#[path = "../../nbd-client/src/server.rs"]
mod nbd_server;

/// The servers from the tests of `sntp-http-mqtt`.
#[path = "../../sntp-http-mqtt/src/servers.rs"]
mod servers;

/// The time limit for a datagram or a byte.
const ARRIVAL: Duration = Duration::from_mins(1);

/// The time that a driver gets if nobody can see its output.
const UNSEEN: Duration = Duration::from_secs(10);
/// The time that a server here waits for a driver.
const PATIENCE: Duration = Duration::from_mins(10);

/// The service manager's message for `ERROR_INVALID_FUNCTION`, which stands for `STATUS_NOT_IMPLEMENTED`.
const INVALID_FUNCTION: &str = "Invalid function.";

/// The messages for `ERROR_INVALID_PARAMETER`: that of Wine's service manager, and its number in any language.
const INVALID_PARAMETER: [&str; 2] = ["Invalid parameter.", " 87 "];

/// A value of a registry key.
#[derive(Debug, Clone)]
pub enum Value {
    /// `REG_SZ`.
    Text(String),
    /// `REG_DWORD`.
    Number(u32),
}

/// The result of trying a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It worked.
    Worked,
    /// Wine lacks a function that it needs. It reported that and was not loaded.
    NotImplemented,
}

/// A machine that loads drivers.
pub trait Machine {
    /// Whether its Winsock Kernel has everything that the samples use. Wine's lacks datagrams, disconnecting and options.
    const WHOLE: bool;

    /// Runs a program on that machine to its end. The output is in `stdout`.
    ///
    /// # Errors
    ///
    /// The program cannot be run, or does not end.
    fn run(&self, words: &[&str]) -> Result<Output, String>;

    /// The name of a file of this system on that machine.
    fn path(&self, file: &Path) -> String;

    /// The text that drivers have printed. `None` if nobody can see it.
    ///
    /// # Errors
    ///
    /// The text cannot be read.
    fn printed(&self) -> Result<Option<String>, String>;

    /// Checks that an unloaded driver has left nothing behind.
    ///
    /// # Errors
    ///
    /// What is left behind.
    fn account(&self, name: &str) -> Result<(), String>;

    /// Runs a program that must succeed. Returns its output.
    ///
    /// # Errors
    ///
    /// The program failed, or the user has interrupted the run.
    fn succeed(&self, words: &[&str]) -> Result<String, String> {
        interrupt::check()?;
        let output = self.run(words)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(format!("`{}` failed: {text}", words.join(" ")))
        }
    }

    /// Whether a driver has printed a line. `true` if nobody can see it.
    ///
    /// # Errors
    ///
    /// The output cannot be read.
    fn said(&self, line: &str) -> Result<bool, String> {
        let printed = self.printed()?;
        Ok(printed.is_none_or(|printed| printed.lines().any(|printed| printed.ends_with(line))))
    }

    /// Tries a driver, and removes it, whatever happens.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn work(&self, driver: &Built) -> Result<Fate, String> {
        let fate = match driver.name {
            "udp-send" => self.udp_send(driver),
            "udp-echo" => self.udp_echo(driver),
            "udp-tunnel" => self.udp_tunnel(driver),
            "udp-segments" => self.udp_segments(driver),
            "http-head" => self.http_head(driver),
            "nbd-client" => self.nbd_client(driver),
            "tcp-hello" => self.tcp_hello(driver),
            "sntp-http-mqtt" => self.sntp_http_mqtt(driver),
            other => return Err(format!("{other} is not one of the sample drivers")),
        };
        self.remove(driver.name);
        fate
    }

    /// Tries each driver, and prints the results.
    ///
    /// # Errors
    ///
    /// The drivers that failed, and why.
    fn work_of_all(&self, drivers: &[Built]) -> Result<(), String> {
        let mut problems = Vec::new();
        for driver in drivers {
            match self.work(driver) {
                Ok(Fate::Worked) => println!("{}: works", driver.name),
                Ok(Fate::NotImplemented) => println!(
                    "{}: this system has no datagrams for drivers; the driver reported that, left nothing behind, and was unloaded",
                    driver.name
                ),
                Err(problem) => {
                    println!("{}: FAILED: {problem}", driver.name);
                    problems.push(format!("{}: {problem}", driver.name));
                }
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems.join("\n"))
        }
    }

    /// Makes a driver a service.
    ///
    /// # Errors
    ///
    /// The message of the service manager.
    fn install(&self, driver: &Built) -> Result<(), String> {
        let path = self.path(&driver.image);
        self.succeed(&[
            "sc",
            "create",
            driver.name,
            "type=",
            "kernel",
            "binPath=",
            &path,
        ])?;
        Ok(())
    }

    /// Sets a parameter of a driver.
    ///
    /// # Errors
    ///
    /// The message of the service manager.
    fn parameter(&self, name: &str, parameter: &str, value: &Value) -> Result<(), String> {
        let key = format!(r"HKLM\System\CurrentControlSet\Services\{name}\Parameters");
        let (kind, data) = match value {
            Value::Text(text) => ("REG_SZ", text.clone()),
            Value::Number(number) => ("REG_DWORD", number.to_string()),
        };
        self.succeed(&[
            "reg", "add", &key, "/v", parameter, "/t", kind, "/d", &data, "/f",
        ])?;
        Ok(())
    }

    /// Loads a driver. The inner `Err` is the service manager's message if the driver could not be loaded.
    ///
    /// # Errors
    ///
    /// The service manager itself failed, or contradicts itself.
    fn load(&self, name: &str) -> Result<Result<(), String>, String> {
        let output = self.run(&["net", "start", name])?;
        let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        let running = self.running(name)?;
        match (output.status.success(), running) {
            (true, true) => Ok(Ok(())),
            (false, false) => Ok(Err(text)),
            (success, _) => Err(format!(
                "`net start {name}` said {success}, and the service's running is {running}: {text}"
            )),
        }
    }

    /// Loads a driver, which must succeed.
    ///
    /// # Errors
    ///
    /// The driver was not loaded.
    fn load_surely(&self, name: &str) -> Result<(), String> {
        self.load(name)?
            .map_err(|said| format!("{name} was not loaded: {said}"))
    }

    /// Sets the parameter not to disconnect, if the driver's system never completes a disconnect.
    ///
    /// # Errors
    ///
    /// The message of the service manager.
    fn spare_disconnecting(&self, name: &str) -> Result<(), String> {
        if Self::WHOLE {
            Ok(())
        } else {
            self.parameter(name, "Disconnect", &Value::Number(0))
        }
    }

    /// Unloads a driver.
    ///
    /// # Errors
    ///
    /// The driver could not be unloaded, or left something behind.
    fn unload(&self, name: &str) -> Result<(), String> {
        self.succeed(&["net", "stop", name])?;
        if self.running(name)? {
            return Err(format!("{name} is still loaded"));
        }
        self.account(name)
    }

    /// Unloads a driver if it is loaded, and removes its service with the parameters.
    fn remove(&self, name: &str) {
        let _ = self.run(&["net", "stop", name]);
        let _ = self.run(&["sc", "delete", name]);
    }

    /// Whether a driver is loaded.
    ///
    /// # Errors
    ///
    /// The service manager itself failed.
    fn running(&self, name: &str) -> Result<bool, String> {
        Ok(self.succeed(&["sc", "query", name])?.contains("RUNNING"))
    }

    /// Loads a driver whose sockets Wine may lack. In that case the driver must report it, leave nothing behind, and do the same
    /// when it is loaded again.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn load_or_lack(&self, name: &str) -> Result<Fate, String> {
        let Err(first) = self.load(name)? else {
            return Ok(Fate::Worked);
        };
        if !first.contains(INVALID_FUNCTION) {
            return Err(format!("{name} was not loaded: {first}"));
        }
        if !self.said(&format!("{name}: WskSocket failed: 0xC0000002"))? {
            return Err(format!("{name} did not print what failed"));
        }
        self.account(name)?;
        let again = self.load(name)?;
        if again != Err(first) {
            return Err(format!("loaded again, {name} ended differently: {again:?}"));
        }
        self.account(name)?;
        Ok(Fate::NotImplemented)
    }

    /// Lets `udp-send` send datagrams to a socket here.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn udp_send(&self, driver: &Built) -> Result<Fate, String> {
        const COUNT: u32 = 25;
        self.install(driver)?;
        // The parameter must reach the driver: an invalid target causes another error.
        self.parameter(driver.name, "Target", &Value::Text("nowhere".to_owned()))?;
        match self.load(driver.name)? {
            Err(said) if INVALID_PARAMETER.iter().any(|text| said.contains(text)) => {}
            other => {
                return Err(format!(
                    "with a wrong target, {} ended in {other:?}",
                    driver.name
                ));
            }
        }
        self.account(driver.name)?;

        let (receiver, target) = socket()?;
        self.parameter(driver.name, "Target", &Value::Text(target.to_string()))?;
        self.parameter(driver.name, "Count", &Value::Number(COUNT))?;
        let fate = self.load_or_lack(driver.name)?;
        match fate {
            Fate::Worked => {
                for number in 0..COUNT {
                    let mut bytes = [0; 16];
                    let length = receiver.recv(&mut bytes);
                    let length = length.map_err(|error| format!("datagram {number}: {error}"))?;
                    if bytes[..length] != number.to_be_bytes() {
                        return Err(format!("datagram {number} is {:?}", &bytes[..length]));
                    }
                }
                if !self.said("udp-send: 25 of 25 datagrams sent")? {
                    return Err("udp-send did not print what it sent".to_owned());
                }
                self.unload(driver.name)?;
            }
            Fate::NotImplemented => nothing_arrives(&receiver)?,
        }
        Ok(fate)
    }

    /// Loads a driver that listens for datagrams. Returns a socket to talk to it, and its address.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn load_to_listen(&self, driver: &Built) -> Result<(UdpSocket, SocketAddr, Fate), String> {
        self.install(driver)?;
        let (client, _) = socket()?;
        let (taken, listen) = socket()?;
        drop(taken);
        self.parameter(driver.name, "Listen", &Value::Text(listen.to_string()))?;
        Ok((client, listen, self.load_or_lack(driver.name)?))
    }

    /// Lets `udp-echo` answer a socket here.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn udp_echo(&self, driver: &Built) -> Result<Fate, String> {
        let (client, listen, fate) = self.load_to_listen(driver)?;
        let failed = |error: std::io::Error| format!("no answer from {listen}: {error}");
        if fate == Fate::Worked {
            for length in [1_usize, 100, 1472] {
                let question = vec![length.to_le_bytes()[0]; length];
                let mut answer = [0; 2048];
                client.send_to(&question, listen).map_err(failed)?;
                let length = client.recv(&mut answer).map_err(failed)?;
                if answer[..length] != question {
                    return Err(format!("the answer to {} bytes differs", question.len()));
                }
            }
            self.unload(driver.name)?;
        }
        // The address must be free again.
        let bound = UdpSocket::bind(listen);
        bound.map_err(|error| format!("{listen} is still in use: {error}"))?;
        Ok(fate)
    }

    /// Lets `udp-tunnel` carry packets between two sockets here.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn udp_tunnel(&self, driver: &Built) -> Result<Fate, String> {
        self.install(driver)?;
        let ((client, _), (peer, at)) = (socket()?, socket()?);
        let ((taken, inside), (other, outside)) = (socket()?, socket()?);
        drop((taken, other));
        self.parameter(driver.name, "Inside", &Value::Text(inside.to_string()))?;
        let port = Value::Number(outside.port().into());
        self.parameter(driver.name, "Outside", &port)?;
        self.parameter(driver.name, "Peer", &Value::Text(at.to_string()))?;
        let fate = self.load_or_lack(driver.name)?;
        let failed = |error: std::io::Error| format!("no packet: {error}");
        match fate {
            Fate::Worked => {
                // The key is 0 by default.
                let mut packet = [0; 2048];
                client.send_to(b"out", inside).map_err(failed)?;
                let length = peer.recv(&mut packet).map_err(failed)?;
                if packet[..length] != *b"\0\0\0\0out" {
                    return Err(format!("the peer is sent {:?}", &packet[..length]));
                }
                peer.send_to(b"\0\0\0\0in", outside).map_err(failed)?;
                let length = client.recv(&mut packet).map_err(failed)?;
                if packet[..length] != *b"in" {
                    return Err(format!("the client is sent {:?}", &packet[..length]));
                }
                self.unload(driver.name)?;
            }
            Fate::NotImplemented => {
                client.send_to(b"out", inside).map_err(failed)?;
                nothing_arrives(&peer)?;
            }
        }
        Ok(fate)
    }

    /// Lets `udp-segments` acknowledge datagrams of a socket here.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn udp_segments(&self, driver: &Built) -> Result<Fate, String> {
        let (sender, listen, fate) = self.load_to_listen(driver)?;
        let failed = |error: std::io::Error| format!("no acknowledgement: {error}");
        if fate == Fate::Worked {
            for number in 0..100_u32 {
                let mut bytes = [0; 64];
                sender
                    .send_to(&number.to_be_bytes(), listen)
                    .map_err(failed)?;
                let length = sender.recv(&mut bytes).map_err(failed)?;
                if bytes[..length] != [&number.to_be_bytes()[..], &[0, 0, 0, 4]].concat() {
                    return Err(format!(
                        "{number} is acknowledged as {:?}",
                        &bytes[..length]
                    ));
                }
            }
            self.unload(driver.name)?;
        }
        Ok(fate)
    }

    /// Lets `http-head` ask a server here.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn http_head(&self, driver: &Built) -> Result<Fate, String> {
        self.install(driver)?;
        let (server, address) = listener()?;
        let server = std::thread::spawn(move || answer_once(&server));
        self.parameter(driver.name, "Host", &Value::Text("localhost".to_owned()))?;
        let port = Value::Text(address.port().to_string());
        self.parameter(driver.name, "Port", &port)?;
        self.spare_disconnecting(driver.name)?;
        self.load_surely(driver.name)?;
        let asked = server.join().map_err(|_| "the server failed")??;
        if asked != "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" {
            return Err(format!("{} asked {asked:?}", driver.name));
        }
        if !self.said("http-head: HTTP/1.1 204 No Content")? {
            return Err("http-head did not print the answer".to_owned());
        }
        self.unload(driver.name)?;

        // The server is gone.
        match self.load(driver.name)? {
            Err(_) if self.said("http-head: WskConnect failed: 0xC0000236")? => {}
            other => return Err(format!("without a server, it ended in {other:?}")),
        }
        self.account(driver.name)?;
        Ok(Fate::Worked)
    }

    /// Lets `nbd-client` use a device of a server here.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn nbd_client(&self, driver: &Built) -> Result<Fate, String> {
        const BLOCKS: u32 = 16;
        self.install(driver)?;
        let (listener, address) = listener()?;
        let thread = std::thread::spawn(move || {
            let (client, _) = listener.accept()?;
            client.set_nodelay(true)?;
            nbd_server::serve(client, &mut vec![0; 1 << 20], true)
        });
        let (name, text) = (driver.name, Value::Text(address.to_string()));
        self.parameter(name, "Server", &text)?;
        self.parameter(name, "Blocks", &Value::Number(BLOCKS))?;
        if !Self::WHOLE {
            self.parameter(name, "KeepAlive", &Value::Number(0))?;
            self.parameter(name, "Whole", &Value::Number(0))?;
        }
        self.load_surely(name)?;
        let line = format!("nbd-client: {BLOCKS} blocks came back as they were written");
        let deadline = Instant::now() + ARRIVAL;
        // If nobody can see its output, it gets enough time.
        std::thread::sleep(if self.printed()?.is_some() {
            Duration::ZERO
        } else {
            UNSEEN
        });
        while !self.said(&line)? {
            if Instant::now() > deadline {
                let printed = self.printed()?.unwrap_or_default();
                return Err(format!("{name} did not print what came back: {printed}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.unload(name)?;
        let result = thread.join().map_err(|_| "the server failed")?;
        let served = result.map_err(|error| format!("the server: {error}"))?;
        let counts = (served.reads, served.writes, served.flushes);
        if counts != (BLOCKS, BLOCKS, BLOCKS) {
            return Err(format!("{name} asked for {counts:?}"));
        }
        Ok(Fate::Worked)
    }

    /// Lets `sntp-http-mqtt` fetch a page, and publish and receive a message. It gets no time server, because that needs
    /// datagrams, which Wine lacks.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn sntp_http_mqtt(&self, driver: &Built) -> Result<Fate, String> {
        self.install(driver)?;
        let name = driver.name;
        let (web, page) = listener()?;
        let (broker, messages) = listener()?;
        let url = format!("http://{page}/");
        let web = std::thread::spawn(move || {
            let (client, _) = web.accept()?;
            servers::give_page(client, &["from a ", "server\n"])
        });
        let broker = std::thread::spawn(move || {
            let (client, _) = broker.accept()?;
            servers::broker(client)
        });
        self.parameter(name, "Url", &Value::Text(url.clone()))?;
        self.parameter(name, "Broker", &Value::Text(messages.to_string()))?;
        self.spare_disconnecting(name)?;
        if let Err(said) = self.load(name)? {
            let printed = self.printed()?.unwrap_or_default();
            return Err(format!(
                "{name} was not loaded: {said}; it printed {printed}"
            ));
        }
        let failed = |error: std::io::Error| format!("a server of {name}: {error}");
        let request = web.join().map_err(|_| "the web server failed")?;
        let request = request.map_err(failed)?;
        if !request.starts_with("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n") {
            return Err(format!("{name} asked {request:?}"));
        }
        let published = broker.join().map_err(|_| "the broker failed")?;
        let published = published.map_err(failed)?;
        if published.len() != 1 {
            return Err(format!("{name} published {published:?}"));
        }
        for line in [
            format!("{name}: {url} is 14 bytes with status 200: from a server"),
            format!("{name}: published and received: Hello from the kernel!"),
        ] {
            if !self.said(&line)? {
                let printed = self.printed()?.unwrap_or_default();
                return Err(format!("{name} did not print {line:?}, but {printed}"));
            }
        }
        self.unload(name)?;
        Ok(Fate::Worked)
    }

    /// Lets `tcp-hello` greet clients here.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn tcp_hello(&self, driver: &Built) -> Result<Fate, String> {
        self.install(driver)?;
        let (taken, listen) = listener()?;
        drop(taken);
        self.parameter(driver.name, "Listen", &Value::Text(listen.to_string()))?;
        self.spare_disconnecting(driver.name)?;
        for _ in 0..2 {
            self.load_surely(driver.name)?;
            for _ in 0..2 {
                let told = greeting(listen);
                let told = told.map_err(|error| format!("no greeting from {listen}: {error}"))?;
                if told != "Hello from the kernel!\r\n" {
                    return Err(format!("{} said {told:?}", driver.name));
                }
            }
            self.unload(driver.name)?;
            if TcpStream::connect(listen).is_ok() {
                return Err(format!("{listen} is still listening"));
            }
        }
        Ok(Fate::Worked)
    }
}

/// A socket of this system.
fn socket() -> Result<(UdpSocket, SocketAddr), String> {
    let made = UdpSocket::bind("127.0.0.1:0").and_then(|socket| {
        socket.set_read_timeout(Some(ARRIVAL))?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    });
    made.map_err(|error| format!("no socket: {error}"))
}

/// A listening socket of this system.
fn listener() -> Result<(TcpListener, SocketAddr), String> {
    let made = TcpListener::bind("127.0.0.1:0").and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    made.map_err(|error| format!("no socket: {error}"))
}

/// Answers one request for the head of a page. Returns the request.
fn answer_once(listener: &TcpListener) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("the server: {error}");
    listener.set_nonblocking(true).map_err(failed)?;
    let deadline = Instant::now() + PATIENCE;
    let mut client = loop {
        match listener.accept() {
            Ok((client, _)) => break client,
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(failed(error)),
        }
    };
    client.set_nonblocking(false).map_err(failed)?;
    client.set_read_timeout(Some(ARRIVAL)).map_err(failed)?;
    let (mut asked, mut byte) = (Vec::new(), [0]);
    while !asked.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).map_err(failed)?;
        asked.push(byte[0]);
    }
    let answer = b"HTTP/1.1 204 No Content\r\nServer: test\r\n\r\n";
    client.write_all(answer).map_err(failed)?;
    String::from_utf8(asked).map_err(|error| error.to_string())
}

/// The greeting that a client receives.
fn greeting(address: SocketAddr) -> std::io::Result<String> {
    let mut client = TcpStream::connect_timeout(&address, ARRIVAL)?;
    client.set_read_timeout(Some(ARRIVAL))?;
    let mut told = String::new();
    client.read_to_string(&mut told)?;
    Ok(told)
}

fn nothing_arrives(receiver: &UdpSocket) -> Result<(), String> {
    let set = receiver.set_nonblocking(true);
    set.map_err(|error| error.to_string())?;
    match receiver.recv(&mut [0; 16]) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        other => Err(format!("a driver that was not loaded has sent: {other:?}")),
    }
}
