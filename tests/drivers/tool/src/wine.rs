//! Loads drivers into Wine, which has a kernel and a Winsock Kernel of its own, and judges them by what crosses real sockets, by
//! what the service manager says, and by Wine's own account of their memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::build::Built;

/// The server of `nbd-client`'s own tests.
#[path = "../../nbd-client/src/server.rs"]
mod nbd_server;

/// The servers of `sntp-http-mqtt`'s own tests.
#[path = "../../sntp-http-mqtt/src/servers.rs"]
mod servers;

/// How long a command of Wine's may take; the first one sets a whole Windows up.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long a datagram, or a byte, may take.
const ARRIVAL: Duration = Duration::from_mins(1);

/// What Wine tells: about its kernel, and what drivers print.
const CHANNELS: &str = "-all,+pid,+ntoskrnl,+debugstr,fixme+netio,err+ntoskrnl";

/// `ERROR_INVALID_FUNCTION`, which is `STATUS_NOT_IMPLEMENTED` as the service manager tells it.
const INVALID_FUNCTION: &str = "Invalid function.";

/// A Windows of Wine's in a folder of its own.
#[derive(Debug)]
pub struct Wine {
    folder: TempDir,
    program: PathBuf,
    /// Where Wine tells what it does.
    told: PathBuf,
    /// A program that does nothing: without any, Wine would shut this Windows down between two commands.
    idle: Option<Child>,
}

/// How a driver fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It did what it is for.
    Worked,
    /// Wine does not have what it needs; it said so and left.
    NotImplemented,
}

/// A value of a registry key.
#[derive(Debug, Clone)]
pub enum Value {
    /// `REG_SZ`.
    Text(String),
    /// `REG_DWORD`.
    Number(u32),
}

/// The program that runs programs for Windows, if it is installed.
#[must_use]
pub fn program() -> Option<PathBuf> {
    // The first are Debian's, where `wine` is a script that misses the 32-bit one.
    first_of(&[
        "/usr/lib/wine/wine64",
        "/usr/lib/wine/wine",
        "/usr/bin/wine64",
        "/usr/bin/wine",
    ])
}

/// The first of these files that is there.
fn first_of(paths: &[&str]) -> Option<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| path.is_file())
}

impl Wine {
    /// Sets a Windows up.
    ///
    /// # Errors
    ///
    /// Wine is missing or does not start.
    pub fn new() -> Result<Self, String> {
        let program = program().ok_or("wine is not installed")?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let told = folder.path().join("told");
        File::create(&told).map_err(|error| error.to_string())?;
        let mut wine = Self {
            folder,
            program,
            told,
            idle: None,
        };
        wine.succeed(&["wineboot", "--init"])?;
        // The service manager that has set everything up is still there for a while, beside the next one: both would answer.
        wine.end()?;
        let mut idle = wine.command(&wine.program)?;
        let idle = idle.arg("cmd").stdin(Stdio::piped()).stdout(Stdio::null());
        let idle = idle.spawn();
        wine.idle = Some(idle.map_err(|error| format!("wine cannot be run: {error}"))?);
        Ok(wine)
    }

    /// Ends what runs in this Windows, and nothing else.
    fn end(&self) -> Result<(), String> {
        let server = first_of(&[
            "/usr/lib/wine/wineserver64",
            "/usr/lib/wine/wineserver",
            "/usr/bin/wineserver",
        ])
        .ok_or("there is no wineserver")?;
        for order in ["-k", "-w"] {
            let mut command = self.command(&server)?;
            let status = command.arg(order).stdout(Stdio::null()).status();
            status.map_err(|error| format!("wineserver cannot be run: {error}"))?;
        }
        Ok(())
    }

    fn command(&self, program: &Path) -> Result<Command, String> {
        let told = File::options().append(true).open(&self.told);
        let mut command = Command::new(program);
        self.here(&mut command);
        command
            .env("WINEDEBUG", CHANNELS)
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stderr(told.map_err(|error| error.to_string())?);
        Ok(command)
    }

    /// Has programs that a command builds for Windows, with GNU's tools, run in this Windows.
    pub fn runs(&self, command: &mut Command) {
        command
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", &self.program)
            .env("WINEDEBUG", "-all");
        self.here(command);
    }

    /// Where this Windows has its own DLLs.
    #[must_use]
    pub fn system_folder(&self) -> PathBuf {
        self.prefix().join("drive_c/windows/system32")
    }

    fn prefix(&self) -> PathBuf {
        self.folder.path().join("prefix")
    }

    /// Has Wine use this Windows.
    fn here(&self, command: &mut Command) {
        command
            .env("WINEPREFIX", self.prefix())
            .env("WINEARCH", "win64")
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=;winemenubuilder.exe=d")
            .env("LC_ALL", "C")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
    }

    /// Runs a program of this Windows to its end.
    fn run(&self, arguments: &[&str]) -> Result<Output, String> {
        let line = arguments.join(" ");
        println!("$ wine {line}");
        // A file, because services inherit it and keep it open.
        let path = self.folder.path().join("output");
        let output = File::create(&path).map_err(|error| error.to_string())?;
        let mut command = self.command(&self.program)?;
        let mut child = command
            .args(arguments)
            .stdout(output)
            .spawn()
            .map_err(|error| format!("wine cannot be run: {error}"))?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("`wine {line}` did not end"));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let stdout = fs::read(&path).map_err(|error| error.to_string())?;
        Ok(Output {
            status,
            stdout,
            stderr: Vec::new(),
        })
    }

    fn succeed(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.run(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(format!("`wine {}` failed: {text}", arguments.join(" ")))
        }
    }

    /// Runs a program for Windows; the code that it ends with, if it ends by itself.
    ///
    /// # Errors
    ///
    /// It cannot be run, or does not end.
    pub fn exit_code(&self, program: &Path) -> Result<Option<i32>, String> {
        let path = program.display().to_string();
        Ok(self.run(&[&path])?.status.code())
    }

    /// Makes a service of a driver.
    ///
    /// # Errors
    ///
    /// What Wine says.
    pub fn install(&self, driver: &Built) -> Result<(), String> {
        // Wine has this system's files on the drive Z:.
        let path = format!("Z:{}", driver.image.display()).replace('/', "\\");
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
    /// What Wine says.
    pub fn parameter(&self, name: &str, parameter: &str, value: &Value) -> Result<(), String> {
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

    /// Loads a driver; `Err` within is what the service manager said when it could not.
    ///
    /// # Errors
    ///
    /// The service manager itself failed, or contradicts itself.
    pub fn load(&self, name: &str) -> Result<Result<(), String>, String> {
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

    /// Unloads a driver.
    ///
    /// # Errors
    ///
    /// It could not be unloaded, or did not give back what it had.
    pub fn unload(&self, name: &str) -> Result<(), String> {
        self.succeed(&["net", "stop", name])?;
        if self.running(name)? {
            return Err(format!("{name} is still loaded"));
        }
        self.account(name)
    }

    fn running(&self, name: &str) -> Result<bool, String> {
        Ok(self.succeed(&["sc", "query", name])?.contains("RUNNING"))
    }

    /// What Wine told so far.
    fn told(&self) -> Result<String, String> {
        let bytes = fs::read(&self.told).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether a driver printed a line.
    fn printed(&self, line: &str) -> Result<bool, String> {
        let told = self.told()?;
        Ok(told
            .lines()
            .any(|told| told.contains("DbgPrint") && told.ends_with(line)))
    }

    /// What a driver printed.
    fn lines(&self, name: &str) -> Result<Vec<String>, String> {
        let told = self.told()?;
        let printed = told.lines().filter(|told| told.contains("DbgPrint"));
        let of_driver = printed.filter_map(|told| Some(&told[told.find(&format!("{name}: "))?..]));
        Ok(of_driver.map(str::to_owned).collect())
    }

    /// Whether the driver gave everything back, each time it was loaded.
    fn account(&self, name: &str) -> Result<(), String> {
        let told = self.told()?;
        let (loads, left) = balance(&told, name);
        if loads == 0 {
            return Err(format!("Wine tells nothing of {name}"));
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{name} left behind: {left:?}"))
        }
    }

    /// Loads a driver whose sockets Wine may lack. Where it does, the driver has to say so, leave nothing, and do so again when it is
    /// loaded again.
    fn load_or_lack(&self, name: &str) -> Result<Fate, String> {
        let Err(first) = self.load(name)? else {
            return Ok(Fate::Worked);
        };
        if !first.contains(INVALID_FUNCTION) {
            return Err(format!("{name} was not loaded: {first}"));
        }
        if !self.printed(&format!("{name}: WskSocket failed: 0xC0000002"))? {
            return Err(format!("{name} did not say what failed"));
        }
        self.account(name)?;
        let again = self.load(name)?;
        if again != Err(first) {
            return Err(format!("loaded again, {name} ended otherwise: {again:?}"));
        }
        self.account(name)?;
        Ok(Fate::NotImplemented)
    }

    /// Has `udp-send` send datagrams to a socket here.
    ///
    /// # Errors
    ///
    /// What was not as it has to be.
    pub fn udp_send(&self, driver: &Built) -> Result<Fate, String> {
        const COUNT: u32 = 25;
        self.install(driver)?;
        // What it is told reaches it: a target that is none is another error.
        self.parameter(driver.name, "Target", &Value::Text("nowhere".to_owned()))?;
        match self.load(driver.name)? {
            Err(said) if said.contains("Invalid parameter.") => {}
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
                if !self.printed("udp-send: 25 of 25 datagrams sent")? {
                    return Err("udp-send did not say what it sent".to_owned());
                }
                self.unload(driver.name)?;
            }
            Fate::NotImplemented => nothing_arrives(&receiver)?,
        }
        Ok(fate)
    }

    /// Loads a driver that listens for datagrams; a socket to talk to it, and where it listens.
    fn load_to_listen(&self, driver: &Built) -> Result<(UdpSocket, SocketAddr, Fate), String> {
        self.install(driver)?;
        let (client, _) = socket()?;
        let (taken, listen) = socket()?;
        drop(taken);
        self.parameter(driver.name, "Listen", &Value::Text(listen.to_string()))?;
        Ok((client, listen, self.load_or_lack(driver.name)?))
    }

    /// Has `udp-echo` answer a socket here.
    ///
    /// # Errors
    ///
    /// What was not as it has to be.
    pub fn udp_echo(&self, driver: &Built) -> Result<Fate, String> {
        let (client, listen, fate) = self.load_to_listen(driver)?;
        let failed = |error: std::io::Error| format!("no answer from {listen}: {error}");
        if fate == Fate::Worked {
            for length in [1_usize, 100, 1472] {
                let question = vec![length.to_le_bytes()[0]; length];
                let mut answer = [0; 2048];
                client.send_to(&question, listen).map_err(failed)?;
                let length = client.recv(&mut answer).map_err(failed)?;
                if answer[..length] != question {
                    return Err(format!("the answer to {} bytes is another", question.len()));
                }
            }
            self.unload(driver.name)?;
        }
        // The address is nobody's.
        let bound = UdpSocket::bind(listen);
        bound.map_err(|error| format!("{listen} is still in use: {error}"))?;
        Ok(fate)
    }

    /// Has `udp-tunnel` carry packets between two sockets here.
    ///
    /// # Errors
    ///
    /// What was not as it has to be.
    pub fn udp_tunnel(&self, driver: &Built) -> Result<Fate, String> {
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
                // The key is 0, unless it is told otherwise.
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

    /// Has `udp-segments` acknowledge what a socket here sends.
    ///
    /// # Errors
    ///
    /// What was not as it has to be.
    pub fn udp_segments(&self, driver: &Built) -> Result<Fate, String> {
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

    /// Has `http-head` ask a server here.
    ///
    /// # Errors
    ///
    /// What was not as it has to be.
    pub fn http_head(&self, driver: &Built) -> Result<Fate, String> {
        self.install(driver)?;
        let (server, address) = listener()?;
        let server = std::thread::spawn(move || answer_once(&server));
        self.parameter(driver.name, "Host", &Value::Text("localhost".to_owned()))?;
        let port = Value::Text(address.port().to_string());
        self.parameter(driver.name, "Port", &port)?;
        self.parameter(driver.name, "Disconnect", &Value::Number(0))?;
        if let Err(said) = self.load(driver.name)? {
            return Err(format!("{} was not loaded: {said}", driver.name));
        }
        let asked = server.join().map_err(|_| "the server failed")??;
        if asked != "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" {
            return Err(format!("{} asked {asked:?}", driver.name));
        }
        if !self.printed("http-head: HTTP/1.1 204 No Content")? {
            return Err("http-head did not say what it was answered".to_owned());
        }
        self.unload(driver.name)?;

        // Nobody is there any more.
        match self.load(driver.name)? {
            Err(_) if self.printed("http-head: WskConnect failed: 0xC0000236")? => {}
            other => return Err(format!("without a server, it ended in {other:?}")),
        }
        self.account(driver.name)?;
        Ok(Fate::Worked)
    }

    /// Has `nbd-client` use a device of a server here.
    ///
    /// # Errors
    ///
    /// What was not as it has to be.
    pub fn nbd_client(&self, driver: &Built) -> Result<Fate, String> {
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
        self.parameter(name, "KeepAlive", &Value::Number(0))?;
        self.parameter(name, "Whole", &Value::Number(0))?;
        if let Err(said) = self.load(name)? {
            return Err(format!("{name} was not loaded: {said}"));
        }
        let line = format!("nbd-client: {BLOCKS} blocks came back as they were written");
        let deadline = Instant::now() + ARRIVAL;
        while !self.printed(&line)? {
            if Instant::now() > deadline {
                return Err(format!(
                    "{name} did not say what came back, but {:?}",
                    self.lines(name)?
                ));
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

    /// Has `sntp-http-mqtt` fetch a page, and publish and receive a message. Wine has no datagrams, so that it is not told of a time server.
    ///
    /// # Errors
    ///
    /// What was not as it has to be.
    pub fn sntp_http_mqtt(&self, driver: &Built) -> Result<Fate, String> {
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
        self.parameter(name, "Disconnect", &Value::Number(0))?;
        if let Err(said) = self.load(name)? {
            let lines = self.lines(name)?;
            return Err(format!("{name} was not loaded: {said}; it said {lines:?}"));
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
            if !self.printed(&line)? {
                let lines = self.lines(name)?;
                return Err(format!("{name} did not say {line:?}, but {lines:?}"));
            }
        }
        self.unload(name)?;
        self.account(name)?;
        Ok(Fate::Worked)
    }

    /// Has `tcp-hello` greet clients here.
    ///
    /// # Errors
    ///
    /// What was not as it has to be.
    pub fn tcp_hello(&self, driver: &Built) -> Result<Fate, String> {
        self.install(driver)?;
        let (taken, listen) = listener()?;
        drop(taken);
        self.parameter(driver.name, "Listen", &Value::Text(listen.to_string()))?;
        self.parameter(driver.name, "Disconnect", &Value::Number(0))?;
        for _ in 0..2 {
            if let Err(said) = self.load(driver.name)? {
                return Err(format!("{} was not loaded: {said}", driver.name));
            }
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

impl Drop for Wine {
    fn drop(&mut self) {
        let _ = self.end();
        if let Some(idle) = &mut self.idle {
            let _ = idle.kill();
            let _ = idle.wait();
        }
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

/// Answers one request for the head of a page; the request.
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

/// What a client is told.
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

/// What may stay besides an IRP that Wine never completes: the provider's capture, and the registration that it came of. They keep
/// the driver from being unloaded under a completion that may still come.
const KEPT_WITH_AN_IRP: usize = 2;

/// How often a driver was loaded, and what it left behind, as Wine tells it: pool blocks by their address, MDLs by their count.
fn balance(told: &str, name: &str) -> (usize, Vec<String>) {
    let mut loads = 0;
    // Wine loads each driver in a process of its own; this is which one.
    let mut pools: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut mdls: BTreeMap<&str, i64> = BTreeMap::new();
    let mut withheld: BTreeSet<&str> = BTreeSet::new();
    let loading = format!(r#"\\Services\\{name}")"#);
    for line in told.lines() {
        let Some((process, rest)) = line.split_once(':') else {
            continue;
        };
        if rest.contains(":ZwLoadDriver (") && rest.contains(&loading) {
            loads += 1;
            pools.insert(process, BTreeMap::new());
            mdls.insert(process, 0);
        }
        let (Some(pool), Some(count)) = (pools.get_mut(process), mdls.get_mut(process)) else {
            continue;
        };
        if let Some((_, call)) = rest.split_once(":ExAllocatePoolWithTag ") {
            if let Some((_, address)) = call.split_once("-> ") {
                pool.insert(address, line);
            }
        } else if let Some((_, address)) = rest.split_once(":ExFreePoolWithTag ") {
            pool.remove(address);
        } else if let Some((_, irp)) = rest
            .split_once(" irp ")
            .filter(|_| rest.contains(":netio:") && rest.ends_with(" stub."))
        {
            // A function that Wine lacks has got this IRP and does not complete it, against the contract: then the driver must not
            // free it, and Wine has to answer for it.
            pool.remove(irp.trim_end_matches(" stub."));
            withheld.insert(process);
        } else if rest.contains(":IoAllocateMdl (") {
            *count += 1;
        } else if rest.contains(":IoFreeMdl ") {
            *count -= 1;
        }
    }
    let excused =
        |process: &str, blocks: usize| withheld.contains(process) && blocks <= KEPT_WITH_AN_IRP;
    let mut left: Vec<String> = pools
        .iter()
        .filter(|(process, pool)| !excused(process, pool.len()))
        .flat_map(|(_, pool)| pool.values().map(|line| (*line).to_owned()))
        .collect();
    let mdls = mdls.values().filter(|count| **count != 0);
    left.extend(mdls.map(|count| format!("{count} MDLs")));
    (loads, left)
}

#[cfg(test)]
mod tests {
    use super::balance;

    const GOOD: &str = r#"
0128:0134:trace:ntoskrnl:ZwLoadDriver (L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\echo")
0128:0134:trace:ntoskrnl:ExAllocatePoolWithTag 24 pool 512 -> 00000000014A03A0
0128:0134:trace:ntoskrnl:IoAllocateMdl (00000000014A03A0, 24, 0, 0, 0000000000000000)
0100:0104:trace:ntoskrnl:ExAllocatePoolWithTag 24 pool 512 -> 00000000014A0400
0128:0134:trace:ntoskrnl:IoFreeMdl 00000000014A0500
0128:0134:trace:ntoskrnl:ExFreePoolWithTag 00000000014A03A0
"#;

    #[test]
    fn what_is_given_back_is_balanced() {
        assert_eq!(balance(GOOD, "echo"), (1, Vec::new()));
        assert_eq!(balance(GOOD, "send"), (0, Vec::new()));
    }

    #[test]
    fn what_is_not_given_back_is_told() {
        for (gone, left) in [
            ("ExFreePoolWithTag", "-> 00000000014A03A0"),
            ("IoFreeMdl", "1 MDLs"),
        ] {
            let told: Vec<&str> = GOOD.lines().filter(|line| !line.contains(gone)).collect();
            let told = told.join("\n");
            let (loads, lines) = balance(&told, "echo");
            assert_eq!((loads, lines.len()), (1, 1));
            assert!(lines[0].contains(left), "{lines:?}");
        }
    }

    #[test]
    fn what_wine_never_completes_is_its_own() {
        let mut told = GOOD.replace("ExFreePoolWithTag", "Nothing");
        assert_eq!(balance(&told, "echo").1.len(), 1);
        told.push_str(
            "0128:0134:fixme:netio:wsk_disconnect socket 0000000000034D44, flags 0, irp 00000000014A03A0 stub.\n",
        );
        assert_eq!(balance(&told, "echo"), (1, Vec::new()));
        // Two blocks may stay with it, and no more.
        for (address, left) in [("A0", 0), ("B0", 0), ("C0", 3)] {
            told += "0128:0134:trace:ntoskrnl:ExAllocatePoolWithTag 72 pool 512 -> 00000000014A10";
            told = told + address + "\n";
            assert_eq!(balance(&told, "echo").1.len(), left);
        }
    }
}
