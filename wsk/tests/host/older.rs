//! A Windows older than 10.0.14393, and one that does not report its version. The functions in their tables work. Newer functions
//! are an error, and never a call through memory after the end of a table.

use wsk::{Error, Family, Messages, NonPagedBuffer};
use wsk_host::Kernel;

use crate::setting::{LOOPBACK, Setting};

const VISTA: (u16, u16, u32) = (6, 0, 6002);
const WINDOWS_7: (u16, u16, u32) = (6, 1, 7601);
const WINDOWS_8: (u16, u16, u32) = (6, 2, 9200);
/// `RtlGetVersion` fails on the kernel that does not report its version.
const UNKNOWN: (u16, u16, u32) = (0, 0, 0);

/// A Windows, and whether its tables have name resolution and sending of several datagrams.
const OLD: [((u16, u16, u32), bool, bool); 4] = [
    (UNKNOWN, false, false),
    (VISTA, false, false),
    (WINDOWS_7, true, false),
    (WINDOWS_8, true, true),
];

fn messages() -> Messages<NonPagedBuffer> {
    Messages::new([NonPagedBuffer::copy_of(b"kept").unwrap()]).unwrap()
}

#[test]
fn what_came_later_is_not_called() {
    for ((major, minor, build), resolves, sends_messages) in OLD {
        let kernel = Kernel::builder().windows(major, minor, build).boot();
        let s = Setting::new(Family::V4, LOOPBACK);
        let calls = kernel.counts().calls;
        let resolved = s.provider.resolve("127.0.0.1").wait();
        if resolves {
            assert_eq!(resolved.unwrap().iter().count(), 1, "build {build}");
        } else {
            let entry = "WskGetAddressInfo";
            assert_eq!(resolved.unwrap_err(), Error::NoEntry { entry });
            assert_eq!(kernel.counts().calls, calls, "nothing was called");
        }
        let calls = kernel.counts().calls;
        let started = s.socket.send_messages(messages(), s.to).start();
        if sends_messages {
            assert_eq!(started.unwrap().wait().unwrap().result, Ok(4));
            s.says(b"kept");
        } else {
            let refused = started.unwrap_err();
            let entry = "WskSendMessages";
            assert_eq!(refused.error, Error::NoEntry { entry });
            assert_eq!(kernel.counts().calls, calls, "nothing was called");
            let back = refused.buffer.get(0).unwrap().as_slice();
            assert_eq!(back, b"kept", "build {build}");
        }
        drop(s);
        kernel.shutdown();
    }
}

#[test]
fn what_every_windows_has_works() {
    for ((major, minor, build), ..) in OLD {
        let kernel = Kernel::builder().windows(major, minor, build).boot();
        let s = Setting::new(Family::V4, LOOPBACK);
        let buffer = NonPagedBuffer::copy_of(b"out").unwrap();
        assert_eq!(s.socket.send_to(&buffer, s.to).wait(), Ok(3));
        s.says(b"out");
        s.hears(b"and in");
        let mut room = NonPagedBuffer::new(16).unwrap();
        let received = s.socket.receive_from(&mut room).wait().unwrap();
        assert_eq!(received.length(), 6, "build {build}");
        drop((buffer, room, s));
        kernel.shutdown();
    }
}
