//! Asks for the time with `sntpc`, over a datagram socket of `wsk`.

use core::net::SocketAddr;

use sntpc::{NtpContext, NtpTimestampGenerator, NtpUdpSocket};
use wsk::{DatagramSocket, Error, Family, NonPagedBuffer, Provider};
use wsk_sys::KeQueryInterruptTime;

use crate::Failed;

/// The start of 2026 in seconds since 1970. NTP's time repeats every 136 years, so the clock must know the current period.
const YEAR_2026: u64 = 1_767_225_600;

/// Asks a server for the time, and prints the answer.
pub(crate) async fn ask(provider: &Provider, server: SocketAddr) -> Result<(), Failed> {
    let family = Family::of(&server);
    let socket = DatagramSocket::open(provider, family)?;
    socket.bind(family.any())?;
    let context = NtpContext::new(Clock::default());
    let time = sntpc::get_time(server, &Socket(socket), context)
        .await
        .map_err(Failed::of)?;
    wsk_driver::println!(
        "sntp-http-mqtt: {} seconds since 1970, says a server of stratum {}",
        time.seconds,
        time.stratum
    );
    Ok(())
}

/// The socket for `sntpc`. `sntpc` lends its buffers for a moment only, so WSK gets buffers of our own.
struct Socket(DatagramSocket);

impl NtpUdpSocket for Socket {
    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> sntpc::Result<usize> {
        let send = async {
            let buffer = NonPagedBuffer::copy_of(bytes)?;
            self.0.send_to(buffer, to).await.result
        };
        send.await.map_err(failed)
    }

    async fn recv_from(&self, room: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        let receive = async {
            let buffer = NonPagedBuffer::new(room.len())?;
            let finished = self.0.receive_from(buffer).await;
            let received = finished.result?;
            let bytes = finished.buffer.ok_or(Error::BufferLost)?;
            for (to, from) in room.iter_mut().zip(bytes.as_slice()) {
                *to = *from;
            }
            Ok((received.length(), received.remote_address()?))
        };
        receive.await.map_err(failed)
    }
}

/// Errors of `sntpc` contain no other errors.
fn failed(error: Error) -> sntpc::Error {
    let _ = wsk_driver::report(c"sntp-http-mqtt", error);
    sntpc::Error::Network
}

/// The time since the system started, in units of 100 nanoseconds, as a clock that started at [`YEAR_2026`]. The server's answer
/// needs no better clock. A driver would correct its time by the offset that the answer shows.
#[derive(Default, Clone, Copy)]
struct Clock(u64);

impl NtpTimestampGenerator for Clock {
    fn init(&mut self) {
        // SAFETY: this is kernel code.
        self.0 = unsafe { KeQueryInterruptTime() };
    }

    fn timestamp_sec(&self) -> u64 {
        YEAR_2026 + self.0 / 10_000_000
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        // The value is below a million.
        #[allow(clippy::cast_possible_truncation)]
        {
            (self.0 % 10_000_000 / 10) as u32
        }
    }
}
