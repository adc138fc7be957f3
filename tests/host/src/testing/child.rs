//! Runs one test of this test program again, alone, in a child process with a time limit.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A child that has ended, or was killed.
pub(crate) struct Ended {
    /// `None` when the child was killed at the time limit.
    pub(crate) status: Option<ExitStatus>,
    /// The standard output.
    pub(crate) output: String,
    /// The standard error.
    pub(crate) errors: String,
}

/// Runs `test` in a child that finds `value` in the environment variable `variable`.
pub(crate) fn run(test: &str, variable: &str, value: &str, limit: Duration) -> Ended {
    let mut child = Command::new(std::env::current_exe().expect("a program knows where it is"))
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(variable, value)
        .env_remove("RUST_TEST_THREADS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test program can be run again");
    let output = reader(child.stdout.take());
    let errors = reader(child.stderr.take());
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break Some(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    Ended {
        status,
        output: output.join().unwrap_or_default(),
        errors: errors.join().unwrap_or_default(),
    }
}

/// Reads a stream to its end, so that the child never waits for room in it.
fn reader(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
