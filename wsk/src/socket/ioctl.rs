//! I/O control operations of sockets, each a type that knows its code and what goes in and out; carried out with
//! [`DatagramSocket::ioctl`](crate::DatagramSocket::ioctl) and its kin, which stand for `WskIoctl` of `WskControlSocket`.
//!
//! Fixing a remote address or destination has [functions](crate::DatagramSocket::fix_remote_address) of its own, because that
//! changes what a socket can do. For codes that are not here there is
//! [`control_raw`](crate::DatagramSocket::control_raw).
//!
//! ```
//! # let kernel = wsk_host::Kernel::boot();
//! # let registration = wsk::Registration::new()?;
//! # let provider = registration.capture(wsk::Wait::Forever)?;
//! # let socket = wsk::DatagramSocket::open(&provider, wsk::Family::V4)?;
//! use wsk::ioctl::RoutingInterface;
//!
//! let remote = "127.0.0.1:9".parse().unwrap();
//! let local = socket.ioctl(RoutingInterface(remote)).wait()?;
//! assert!(local.ip().is_loopback());
//! # drop((socket, provider, registration));
//! # kernel.shutdown();
//! # Ok::<(), wsk::Error>(())
//! ```

use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_sys::{
    SIO_CPU_AFFINITY, SIO_ROUTING_INTERFACE_QUERY, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG,
    SIO_WSK_QUERY_RECEIVE_BACKLOG, WSK_CONTROL_SOCKET_TYPE,
};

use crate::address::{self, Encoded};
use crate::error::Error;
use crate::memory;

/// What goes in or out, where it is not an address.
pub(crate) type Value = [u8; 8];

/// The input of a control operation, as it is passed to WSK.
#[derive(Debug)]
pub enum Input {
    /// The first so many bytes.
    Bytes(Value, usize),
    /// An address, as the socket's family has it.
    Address(SocketAddr),
}

/// The output of a control operation, as WSK gave it.
#[derive(Debug)]
pub struct Output {
    pub(crate) value: Value,
    pub(crate) address: Encoded,
}

mod sealed {
    pub trait Sealed {}
}

/// An I/O control operation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an I/O control operation",
    label = "not an operation",
    note = "the operations are the types of `wsk::ioctl`"
)]
pub trait Ioctl: sealed::Sealed + Sized {
    /// What it tells.
    type Output;
    #[doc(hidden)]
    const CODE: u32;
    /// The bytes that it gives, unless that is an address.
    #[doc(hidden)]
    const GIVES: usize;
    #[doc(hidden)]
    fn input(&self) -> Input;
    #[doc(hidden)]
    fn output(output: &Output) -> Result<Self::Output, Error>;
}

/// Which local address datagrams to a remote one are sent from; its port means nothing.
#[doc(alias = "SIO_ROUTING_INTERFACE_QUERY")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutingInterface(
    /// The remote address.
    pub SocketAddr,
);

impl sealed::Sealed for RoutingInterface {}

impl Ioctl for RoutingInterface {
    type Output = SocketAddr;
    const CODE: u32 = SIO_ROUTING_INTERFACE_QUERY;
    const GIVES: usize = 0;

    fn input(&self) -> Input {
        Input::Address(self.0)
    }

    fn output(output: &Output) -> Result<SocketAddr, Error> {
        address::decode(&output.address)
    }
}

/// Has a processor serve what a datagram socket receives. Before the socket is bound; Windows 10, version 2004, and later.
#[doc(alias = "SIO_CPU_AFFINITY")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuAffinity(
    /// The processor's number.
    pub u16,
);

impl sealed::Sealed for CpuAffinity {}

impl Ioctl for CpuAffinity {
    type Output = ();
    const CODE: u32 = SIO_CPU_AFFINITY;
    const GIVES: usize = 0;

    fn input(&self) -> Input {
        let mut value = [0; 8];
        let [low, high] = self.0.to_ne_bytes();
        (value[0], value[1]) = (low, high);
        Input::Bytes(value, size_of::<u16>())
    }

    fn output(_: &Output) -> Result<(), Error> {
        Ok(())
    }
}

macro_rules! queries {
    ($($(#[$doc:meta])* $name:ident = $code:expr, $alias:literal;)*) => {$(
        $(#[$doc])*
        #[doc(alias = $alias)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl sealed::Sealed for $name {}

        impl Ioctl for $name {
            type Output = usize;
            const CODE: u32 = $code;
            const GIVES: usize = size_of::<usize>();

            fn input(&self) -> Input {
                Input::Bytes([0; 8], 0)
            }

            fn output(output: &Output) -> Result<usize, Error> {
                Ok(usize::from_ne_bytes(output.value))
            }
        }
    )*};
}

queries! {
    /// How many bytes have arrived on a connection and were not received yet.
    ReceiveBacklog = SIO_WSK_QUERY_RECEIVE_BACKLOG, "SIO_WSK_QUERY_RECEIVE_BACKLOG";
    /// How many bytes should be in flight on a connection to keep it busiest.
    IdealSendBacklog = SIO_WSK_QUERY_IDEAL_SEND_BACKLOG, "SIO_WSK_QUERY_IDEAL_SEND_BACKLOG";
}

/// The request that `WskControlSocket` gets from [`control_raw`](crate::DatagramSocket::control_raw).
#[doc(alias = "WSK_CONTROL_SOCKET_TYPE")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRequest {
    /// To set an option of a level.
    #[doc(alias = "WskSetOption")]
    SetOption {
        /// `SOL_SOCKET`, `IPPROTO_IP` and their like.
        level: u32,
        /// The option.
        option: u32,
    },
    /// To give the value of an option of a level.
    #[doc(alias = "WskGetOption")]
    GetOption {
        /// `SOL_SOCKET`, `IPPROTO_IP` and their like.
        level: u32,
        /// The option.
        option: u32,
    },
    /// To carry out an I/O control operation.
    #[doc(alias = "WskIoctl")]
    Ioctl {
        /// `SIO_…`.
        code: u32,
    },
}

impl ControlRequest {
    /// The request's type, code and level.
    pub(crate) const fn parts(self) -> (WSK_CONTROL_SOCKET_TYPE, u32, u32) {
        match self {
            Self::SetOption { level, option } => {
                (WSK_CONTROL_SOCKET_TYPE::WskSetOption, option, level)
            }
            Self::GetOption { level, option } => {
                (WSK_CONTROL_SOCKET_TYPE::WskGetOption, option, level)
            }
            Self::Ioctl { code } => (WSK_CONTROL_SOCKET_TYPE::WskIoctl, code, 0),
        }
    }
}

/// Nonpaged copies of what goes in and comes out of a request.
///
/// # Invariants
///
/// `block` is a pool block of this value's own, or dangling when there are no bytes: `input` bytes with their padding, then `output`
/// bytes, all initialised.
#[derive(Debug)]
pub struct Bytes {
    block: NonNull<u8>,
    input: usize,
    output: usize,
}

// SAFETY: the block is memory of this value's own, bound to no thread.
unsafe impl Send for Bytes {}

/// What any structure of C may want.
const ALIGNMENT: usize = 16;

impl Bytes {
    /// Copies the input. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn new(input: &[u8], output: usize) -> Option<Self> {
        let start = input.len().checked_next_multiple_of(ALIGNMENT)?;
        let size = start.checked_add(output)?;
        let block = if size == 0 {
            NonNull::dangling()
        } else {
            let layout = core::alloc::Layout::from_size_align(size, ALIGNMENT).ok()?;
            memory::allocate(layout)?
        };
        // SAFETY: the block has `size` bytes, of which the input's are the first, and is nobody else's. Nothing is written through a
        // dangling pointer: then there are none.
        unsafe {
            block.write_bytes(0, size);
            block
                .as_ptr()
                .copy_from_nonoverlapping(input.as_ptr(), input.len());
        }
        // INVARIANT: allocated and initialised above.
        Some(Self {
            block,
            input: input.len(),
            output,
        })
    }

    /// What goes in, if there is any.
    pub(crate) fn input(&self) -> Option<NonNull<[u8]>> {
        (self.input > 0).then(|| NonNull::slice_from_raw_parts(self.block, self.input))
    }

    /// The room for what comes out, if there is any.
    pub(crate) fn output(&self) -> Option<NonNull<[u8]>> {
        let start = self.input.next_multiple_of(ALIGNMENT);
        (self.output > 0).then(|| {
            // SAFETY: by the invariant the output's room, which is not empty, begins there in the block.
            let place = unsafe { self.block.add(start) };
            NonNull::slice_from_raw_parts(place, self.output)
        })
    }

    /// Copies what came out.
    pub(crate) fn read(&self, to: &mut [u8]) {
        if let Some(output) = self.output() {
            // SAFETY: by the invariant the bytes are initialised; the request that wrote them is over.
            memory::copy(unsafe { output.as_ref() }, to);
        }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if self.input > 0 || self.output > 0 {
            // SAFETY: there are bytes, so the block came from `allocate`. Where a request might still use them this is not dropped.
            unsafe { memory::free(self.block) };
        }
    }
}
