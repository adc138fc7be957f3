//! The traits of the crate `embedded-io` for connections, so that crates which speak a protocol over any stream of bytes do it over
//! WSK. Needs the feature `embedded-io`.

#![forbid(unsafe_code)]

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use wsk_sys::{
    NTSTATUS, STATUS_ADDRESS_ALREADY_EXISTS, STATUS_CONNECTION_ABORTED,
    STATUS_CONNECTION_DISCONNECTED, STATUS_CONNECTION_REFUSED, STATUS_CONNECTION_RESET,
    STATUS_FILE_FORCED_CLOSED, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_IO_TIMEOUT, STATUS_NOT_SUPPORTED, STATUS_UNEXPECTED_NETWORK_ERROR,
};

use crate::{ConnectedSocket, Error};

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        match NTSTATUS::from(*self) {
            STATUS_CONNECTION_REFUSED => ErrorKind::ConnectionRefused,
            STATUS_CONNECTION_RESET => ErrorKind::ConnectionReset,
            STATUS_CONNECTION_ABORTED | STATUS_FILE_FORCED_CLOSED => ErrorKind::ConnectionAborted,
            STATUS_CONNECTION_DISCONNECTED => ErrorKind::NotConnected,
            STATUS_ADDRESS_ALREADY_EXISTS => ErrorKind::AddrInUse,
            STATUS_IO_TIMEOUT => ErrorKind::TimedOut,
            STATUS_INSUFFICIENT_RESOURCES => ErrorKind::OutOfMemory,
            STATUS_INVALID_PARAMETER => ErrorKind::InvalidInput,
            STATUS_NOT_SUPPORTED => ErrorKind::Unsupported,
            _ => ErrorKind::Other,
        }
    }
}

impl ErrorType for ConnectedSocket {
    type Error = Error;
}

impl ErrorType for &ConnectedSocket {
    type Error = Error;
}

/// Each call waits for a [`receive`](ConnectedSocket::receive). It reads as many bytes as have arrived, and 0 at the end. IRQL:
/// `<= APC_LEVEL`.
impl Read for &ConnectedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.receive(buffer).wait()
    }
}

/// Each call waits for a [`send`](ConnectedSocket::send), so that nothing is left to be flushed. IRQL: `<= APC_LEVEL`.
impl Write for &ConnectedSocket {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match self.send(bytes).wait()? {
            // `write_all` would repeat a write of 0 bytes for ever, or panic.
            0 => Err(Error::Call {
                call: crate::Call::WskSend,
                status: STATUS_UNEXPECTED_NETWORK_ERROR,
            }),
            sent => Ok(sent),
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Like a reference to the socket.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let address = server.local_addr().unwrap();
/// # let answers = std::thread::spawn(move || {
/// #     use std::io::{Read, Write};
/// #     let (mut client, _) = server.accept().unwrap();
/// #     let mut question = [0; 4];
/// #     client.read_exact(&mut question).unwrap();
/// #     client.write_all(&question.map(|byte| byte.to_ascii_uppercase())).unwrap();
/// # });
/// use embedded_io::{Read, Write};
/// use wsk::{ConnectedSocket, Registration, Wait};
///
/// /// Knows nothing of WSK.
/// fn ask<S: Read + Write>(stream: &mut S, question: &[u8]) -> Option<[u8; 4]> {
///     let mut answer = [0; 4];
///     stream.write_all(question).ok()?;
///     stream.read_exact(&mut answer).ok()?;
///     Some(answer)
/// }
///
/// let registration = Registration::new()?;
/// let provider = registration.capture(Wait::No)?;
/// let mut socket = ConnectedSocket::connect(&provider, address).wait()?;
/// assert_eq!(ask(&mut socket, b"ping"), Some(*b"PING"));
/// # answers.join().unwrap();
/// # drop((socket, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
impl Read for ConnectedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Read::read(&mut &*self, buffer)
    }
}

/// Like a reference to the socket.
impl Write for ConnectedSocket {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        Write::write(&mut &*self, bytes)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
