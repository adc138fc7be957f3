//! The time, by `sntpc`, over a datagram socket of `wsk`.

use core::net::SocketAddr;

use sntpc::{NtpContext, NtpTimestampGenerator, NtpUdpSocket};
use wsk::{DatagramSocket, Error, Family, NonPagedBuffer, Provider};
use wsk_sys::{KeQuerySystemTimePrecise, LARGE_INTEGER};

use crate::Failed;

/// The seconds from 1601, when the time of Windows begins, to 1970.
const EPOCH: u64 = 11_644_473_600;

/// Asks a server by how much this machine's clock is wrong, and prints it.
pub(crate) async fn ask(provider: &Provider, server: SocketAddr) -> Result<(), Failed> {
    let family = Family::of(&server);
    let socket = DatagramSocket::open(provider, family)?;
    socket.bind(family.any())?;
    let context = NtpContext::new(Clock::default());
    let time = sntpc::get_time(server, &Socket(socket), context)
        .await
        .map_err(Failed::of)?;
    wsk_driver::println!(
        "sntp-http-mqtt: the clock is {} seconds behind that of a server of stratum {}",
        time.offset / 1_000_000,
        time.stratum
    );
    Ok(())
}

/// What `sntpc` sends and receives by. It lends it for a moment only, so that buffers of our own are given to WSK.
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

/// Errors of `sntpc` carry no other.
fn failed(error: Error) -> sntpc::Error {
    let _ = wsk_driver::report(c"sntp-http-mqtt", error);
    sntpc::Error::Network
}

/// The clock of Windows, in units of 100 nanoseconds since 1970.
#[derive(Default, Clone, Copy)]
struct Clock(u64);

impl NtpTimestampGenerator for Clock {
    fn init(&mut self) {
        let mut time = LARGE_INTEGER { QuadPart: 0 };
        // SAFETY: the place is valid for the call, which may be made at any IRQL.
        let units = unsafe {
            KeQuerySystemTimePrecise(&raw mut time);
            time.QuadPart
        };
        let since_1601 = u64::try_from(units).unwrap_or(0);
        self.0 = since_1601.saturating_sub(EPOCH * 10_000_000);
    }

    fn timestamp_sec(&self) -> u64 {
        self.0 / 10_000_000
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        // Less than a million.
        #[allow(clippy::cast_possible_truncation)]
        {
            (self.0 % 10_000_000 / 10) as u32
        }
    }
}
