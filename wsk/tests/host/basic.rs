//! Basic sockets on the host kernel: options and I/O control operations, and nothing else.

use std::net::SocketAddr;

use wsk::ioctl::{ControlRequest, RoutingInterface};
use wsk::option::{KeepAlive, NoDelay, TimeToLive, V6Only};
use wsk::raw::RawControl;
use wsk::{BasicSocket, Error, Family};
use wsk_host::{DISPATCH_LEVEL, at_irql};
use wsk_sys::{IP_TTL, IPPROTO_IP, STATUS_NOT_SUPPORTED};

use crate::setting::{on_each_seeded_kernel, until};

#[test]
fn basic_sockets_are_asked_about_their_transport() {
    on_each_seeded_kernel(|kernel, provider| {
        let datagram = BasicSocket::open_datagram(provider, Family::V4).unwrap();
        let to: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let local = datagram.ioctl(RoutingInterface(to)).wait().unwrap();
        assert!(local.ip().is_loopback());
        datagram.set_option(TimeToLive(7)).wait().unwrap();
        assert_eq!(datagram.option().wait(), Ok(TimeToLive(7)));
        let (level, option) = (IPPROTO_IP, IP_TTL);
        let mut value = [0; 4];
        // SAFETY: the option is a number of four bytes.
        let read = unsafe {
            let get = ControlRequest::GetOption { level, option };
            datagram
                .control_raw(RawControl::new(get, &[]), &mut value)
                .wait()
        };
        assert_eq!((read, value), (Ok(4), [7, 0, 0, 0]));
        let error = datagram.set_option(NoDelay(true)).wait().unwrap_err();
        assert_eq!(
            error.status(),
            Some(STATUS_NOT_SUPPORTED),
            "the option is for UDP"
        );

        let other = datagram.clone();
        assert_eq!(datagram.close(), Err(Error::InUse));
        let error = at_irql(DISPATCH_LEVEL, || other.option::<TimeToLive>().wait());
        assert!(matches!(error, Err(Error::WrongIrql { .. })));
        let started = at_irql(DISPATCH_LEVEL, || other.option::<TimeToLive>().start()).unwrap();
        assert_eq!(started.wait().unwrap(), Ok(TimeToLive(7)));
        at_irql(DISPATCH_LEVEL, || drop(other));
        until("the close", || kernel.counts().sockets.live == 0);

        let stream = BasicSocket::open_stream(provider, Family::V4).unwrap();
        stream.set_option(KeepAlive(true)).wait().unwrap();
        assert_eq!(stream.option().wait(), Ok(KeepAlive(true)));
        stream.close().unwrap();
        let dual = BasicSocket::open_stream(provider, Family::Dual).unwrap();
        assert_eq!(dual.option().wait(), Ok(V6Only(false)));
        kernel.force_close_sockets();
        dual.close().unwrap();
    });
}
