//! A driver sends its own list of datagrams without a promise that the list stays, and is locked.
//! The constructor is `unsafe`: only the driver knows what else uses its list.

use std::net::SocketAddr;
use std::ptr::{NonNull, null_mut};
use wsk::{DatagramSocket, DriverList, Error, NonPagedBuffer};
use wsk_misuse::DriversMdl;
use wsk_sys::{WSK_BUF, WSK_BUF_LIST};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"of the driver")?;
    let mdl = DriversMdl::over(&bytes);
    let mut entry = WSK_BUF_LIST {
        Next: null_mut(),
        Buffer: WSK_BUF {
            Mdl: mdl.first().as_ptr(),
            Offset: 0,
            Length: 13,
        },
    };
    let list = DriverList::from_raw(NonNull::from(&mut entry), ());
    let mut list = list.map_err(|(error, ())| error)?;
    assert_eq!(socket.send_messages(&mut list, to).wait()?, 13);
    Ok(())
}

fn main() {
    let _ = program;
}
