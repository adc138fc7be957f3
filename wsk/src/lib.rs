//! Winsock Kernel (WSK) sockets for Windows drivers, safe to use.
//!
//! A driver that sends or receives through WSK hands it an IRP, a locked MDL chain, an address and perhaps control
//! information, and must keep all of them untouched until the IRP has completed. The types of this crate make sure of that.
//!
//! ```
//! # // Runs on the host kernel instead of Windows.
//! # let kernel = wsk_host::Kernel::boot();
//! # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
//! # let to = peer.local_addr().unwrap();
//! use core::net::{Ipv4Addr, SocketAddr};
//! use wsk::{DatagramSocket, Family, NonPagedBuffer, Registration, Wait};
//!
//! let registration = Registration::new()?;
//! let provider = registration.capture(Wait::Milliseconds(10_000))?;
//! let socket = DatagramSocket::open(&provider, Family::V4)?;
//! socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
//!
//! let buffer = NonPagedBuffer::copy_of(b"hello")?;
//! let sent = socket.send_to(&buffer, to).wait()?;
//! assert_eq!(sent, 5);
//! # let mut got = [0; 16];
//! # assert_eq!(peer.recv(&mut got).unwrap(), 5);
//! # drop((buffer, socket, provider, registration));
//! # kernel.shutdown();
//! # Ok::<(), wsk::Error>(())
//! ```
//!
//! # Sockets
//!
//! | WSK's category | type | what it can do |
//! |---|---|---|
//! | datagram | [`DatagramSocket`]; [`FixedDatagramSocket`] once an address is fixed | send datagrams to any address, or to the fixed one; receive them, also by [events](events::ReceiveFromEvent) |
//! | connection | [`ConnectionSocket`], not connected yet | [`connect`](ConnectionSocket::connect), which gives a [`ConnectedSocket`] |
//! | connection | [`ConnectedSocket`], also made in one step by [`connect`](ConnectedSocket::connect), or accepted | send, receive, disconnect; [events](events::ConnectionEvent) for bytes and disconnects |
//! | listening | [`ListenSocket`] | accept connections, also by [events](events::AcceptEvent); [inspect them first](ListenSocket::open_conditional) |
//! | stream | [`StreamSocket`], not decided yet | [`connect`](StreamSocket::connect), which gives a [`ConnectedSocket`], or [`listen`](StreamSocket::listen), which gives a [`ListenSocket`] |
//! | basic | [`BasicSocket`] | get and set [options](option), and run [I/O control operations](ioctl) |
//!
//! [`Provider::resolve`] gives the addresses of a name. Sockets are for IPv4, IPv6 or both, or for another [`Family`], whose addresses are
//! [`Endpoint`]s.
//!
//! # Requests and finishers
//!
//! A method of a socket makes a [`Request`](operation::Request), which does nothing yet. A finisher runs it:
//!
//! | finisher | buffer | who waits | use it |
//! |---|---|---|---|
//! | [`wait`](operation::Request::wait), [`wait_timeout`](operation::Request::wait_timeout), [`wait_until`](operation::Request::wait_until) | any, borrowed or owned | the call | for one request at a time, at up to `APC_LEVEL` |
//! | [`start_in`](operation::Request::start_in) a [`scope`] | borrowed for the scope, or owned | the end of the scope | for several requests at a time over memory on the stack |
//! | [`start`](operation::Request::start), `.await` | moved in, comes back with the result | nobody, or the owner of the handle | at `DISPATCH_LEVEL`, in callbacks, with futures |
//! | [`start_with`](operation::Request::start_with) a closure | moved in, given to the closure with the result | nobody | the same, when you want to keep no handle |
//!
//! There is no guard that borrows the buffer and waits when it is dropped, because it would be unsound: `mem::forget` ends the
//! borrow without the wait, and the kernel continues to use memory that may have another use by then.
//!
//! Each request that is started allocates one block of nonpaged pool. With an operation [`from`](operation::Request::from) a pool of
//! [`Operations`](operation::Operations), sending and receiving nonpaged memory allocates nothing, whoever owns it. A request that
//! is [`prepare`](operation::Request::prepare)d also keeps its address and its checks, and can be run again and again.
//! See [which finisher to use](guide::shapes), [which request has which finisher](guide::requests), and [the picture of one
//! send](guide::one_send).
//!
//! # IRQL
//!
//! * Only at `PASSIVE_LEVEL`: registering, capturing, looking names up, caching security descriptors, taking a [`DriverState`], dropping a
//!   [`Registration`].
//! * Up to `APC_LEVEL`: opening, binding, everything else that waits, entering a [`scope`]; starting operations over pageable memory, such as
//!   slices.
//! * Up to `DISPATCH_LEVEL`: making requests, starting operations over nonpaged memory or none, polling, cancelling, taking results and
//!   buffers, enabling events, dropping anything else.
//!
//! Functions that wait or touch pageable memory check this, and return [`Error::WrongIrql`]. The crate wakes wakers, calls completions and
//! [event handlers](events), and drops the buffers of dropped operations at up to `DISPATCH_LEVEL`. The guide lists the IRQL [function by
//! function](guide::irql).
//!
//! # Guarantees
//!
//! * The crate is `no_std` and needs no allocator. It allocates nonpaged pool only where its documentation says so, and returns an error when
//!   that runs out.
//! * Nothing in the crate panics. A panic in the driver's own completions and event handlers does not unwind: it aborts.
//! * A socket closes when its last handle is dropped. A [`Registration`] waits for every socket when it is dropped, so drop it
//!   last.
//! * A provider may break its contract and keep the IRP of a request that it rejected, or was asked to cancel. That costs memory
//!   ([`Error::Abandoned`]) and may keep the driver from being unloaded, but it is never unsafe.
//!
//! # Features
//!
//! None is on by default, and each adds little code. They are for protocol crates that run over any network, and for buffers from the global
//! allocator. [The guide](guide::no_std_network) shows which protocol crates run in a driver, and how.
//!
//! | feature | which types implement which traits | IRQL |
//! |---|---|---|
//! | `embedded-io` | [`ConnectedSocket`]: `Read` and `Write` of [`embedded-io`](https://docs.rs/embedded-io), which wait | `<= APC_LEVEL` |
//! | `embedded-io-async` | `buffered::BufferedConnection`: `Read`, `BufRead`, `Write`, `ReadReady` and `WriteReady` of [`embedded-io-async`](https://docs.rs/embedded-io-async) | `<= DISPATCH_LEVEL` |
//! | `embedded-nal-async` | `Network`: `TcpConnect`, `UdpStack` and `Dns` of [`embedded-nal-async`](https://docs.rs/embedded-nal-async) | `PASSIVE_LEVEL` to look names up, `<= APC_LEVEL` to connect and to bind, else `<= DISPATCH_LEVEL` |
//! | `futures-core` | `streams::DatagramStream` and `streams::ConnectionStream`: `Stream` of [`futures-core`](https://docs.rs/futures-core) | `<= DISPATCH_LEVEL` |
//! | `alloc` | `Vec<u8>` and `Box<[u8]>`: [`SendBuffer`] and [`ReceiveBuffer`]; their pages are locked for each operation, as those of a slice; the global allocator is the driver's to bring | `<= APC_LEVEL` to start |
//!
//! # Where to go on
//!
//! Start with [a driver without a WDK](guide::without_wdk), from an empty folder to a `.sys` that runs, or [beside
//! `wdk`](guide::beside_wdk). The [guide] also has [three drivers](guide::three_drivers), [from the C you know](guide::from_c),
//! [errors](guide::errors), [closing and unloading](guide::closing), [testing your driver](guide::testing) with `wsk-host`, and
//! [security](guide::security).

#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

mod address;
mod basic;
mod buffer;
#[cfg(feature = "embedded-io-async")]
pub mod buffered;
mod cancel;
mod connection;
mod controlling;
mod datagram;
mod driver_state;
mod endpoint;
mod error;
pub mod events;
mod family;
#[cfg(any(doc, doctest))]
pub mod guide;
#[cfg(feature = "embedded-io")]
mod io;
mod irp;
mod irql;
mod listening;
mod memory;
mod methods;
#[cfg(feature = "embedded-nal-async")]
mod network;
pub mod operation;
pub mod raw;
mod registration;
pub mod request;
mod resolution;
mod socket;
mod stream;
#[cfg(feature = "futures-core")]
pub mod streams;
mod system;
mod time;

// Stable rustdoc loses the aliases of items that are re-exported from private modules, so they are repeated here.
#[doc(alias("SOCKADDR", "SOCKADDR_IN", "SOCKADDR_IN6"))]
pub use address::RemoteAddress;
pub use address::{Destination, Family, Origin, ReadAddress, ToSocketAddr};
#[doc(alias("ExInitializeLookasideListEx"))]
pub use buffer::BufferPool;
#[doc(alias("CMSGHDR", "WSACMSGHDR"))]
pub use buffer::ControlMessage;
#[doc(alias("CMSGHDR", "WSACMSGHDR", "WSA_CMSG_NXTHDR"))]
pub use buffer::ControlMessages;
#[doc(alias("MDL"))]
pub use buffer::DriverChain;
#[doc(alias("WSK_BUF_LIST"))]
pub use buffer::DriverList;
#[doc(alias("IoAllocateMdl", "MDL", "NET_BUFFER_LIST", "WDFREQUEST"))]
pub use buffer::DriverMdl;
#[doc(alias("WSK_BUF"))]
pub use buffer::Extent;
#[doc(alias("MDL", "NET_BUFFER_LIST"))]
pub use buffer::Framed;
#[doc(alias("IN_RECVERR"))]
pub use buffer::IcmpError;
#[doc(alias("WSK_BUF_LIST"))]
pub use buffer::Messages;
#[doc(alias("ExAllocatePool2", "ExAllocatePoolWithTag", "IoAllocateMdl"))]
pub use buffer::NonPagedBuffer;
pub use buffer::{
    BufferSlice, ChainPart, Control, DriverMdlMut, Lock, MdlChain, PooledBuffer, ReceiveBuffer,
    SendBuffer, SendList, SliceChain, WithControl,
};
pub use cancel::Cancel;
pub use datagram::FixedDatagramSocket;
#[doc(alias("EX_RUNDOWN_REF", "ExAcquireRundownProtection"))]
pub use driver_state::DriverState;
pub use driver_state::DriverStateRef;
#[doc(alias("SOCKADDR", "SOCKADDR_STORAGE"))]
pub use endpoint::Endpoint;
#[doc(alias("AF_HYPERV", "SOCKADDR_HV"))]
pub use endpoint::HypervAddress;
#[doc(alias("AF_UNIX", "SOCKADDR_UN"))]
pub use endpoint::UnixAddress;
pub use error::{Call, Error, Memory};
pub use family::OtherFamily;
#[cfg(feature = "embedded-nal-async")]
pub use network::Network;
pub use operation::{Scope, scope};
#[doc(alias("WskReleaseProviderNPI", "WSK_PROVIDER_NPI", "PWSK_CLIENT"))]
pub use registration::Provider;
#[doc(alias("WSK_PROVIDER_CHARACTERISTICS"))]
pub use registration::ProviderCharacteristics;
#[doc(alias("WskDeregister", "WSK_REGISTRATION"))]
pub use registration::Registration;
#[doc(alias("WSK_CACHE_SD", "WSK_RELEASE_SD", "PSECURITY_DESCRIPTOR"))]
pub use registration::SecurityDescriptor;
#[doc(alias("WSK_TDI_MAP"))]
pub use registration::TdiDevice;
#[doc(alias("WSK_TRANSPORT"))]
pub use registration::Transport;
pub use registration::Wait;
#[doc(alias("WskFreeAddressInfo", "ADDRINFOEXW"))]
pub use request::AddressInfo;
#[doc(alias("ADDRINFOEXW"))]
pub use request::Lookup;
pub use request::{Addresses, Received};
#[doc(alias("WSK_FLAG_BASIC_SOCKET", "WSK_SOCKET"))]
pub use socket::BasicSocket;
#[doc(alias("WSK_FLAG_CONNECTION_SOCKET", "WSK_SOCKET"))]
pub use socket::ConnectedSocket;
#[doc(alias("WSK_FLAG_CONNECTION_SOCKET", "WSK_SOCKET"))]
pub use socket::ConnectionSocket;
#[doc(alias("WSK_FLAG_DATAGRAM_SOCKET", "WSK_SOCKET"))]
pub use socket::DatagramSocket;
#[doc(alias("WSK_FLAG_LISTEN_SOCKET", "WSK_SOCKET"))]
pub use socket::ListenSocket;
#[doc(alias("WSK_FLAG_STREAM_SOCKET", "WSK_SOCKET"))]
pub use socket::StreamSocket;
pub use socket::{ioctl, option};
pub use wsk_sys::NTSTATUS;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
