//! Events and their handlers: WSK calls a driver's handler when something happens to a socket.
//!
//! A handler that panics aborts. In a driver, which is built with `panic = "abort"`, its panic handler decides what follows, which should be
//! a bug check. On the host kernel the process ends.
//!
//! # A handler and its socket
//!
//! A socket owns its handler. Each event gives the handler a handle of the socket: [`Indication::socket`],
//! [`StreamIndication::socket`], [`Disconnection::socket`], [`SendBacklog::socket`], [`Incoming::listener`] and [`Inspection::listener`]. So
//! the handler must not keep a handle of its own socket: that would be a reference cycle, and keep the socket open for ever.
//!
//! The other way round, the method `handler` of a socket gives its handler, if you name the right type. So put what the handler and the
//! rest of the driver share into the handler. It lies in nonpaged pool that belongs to the socket, and needs neither an allocator nor a
//! static.
//!
//! ```
//! # let kernel = wsk_host::Kernel::boot();
//! # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
//! # let registration = wsk::Registration::new()?;
//! # let provider = registration.capture(wsk::Wait::Forever)?;
//! use core::sync::atomic::{AtomicUsize, Ordering};
//! use wsk::events::{Indication, ReceiveFromEvent, Verdict};
//! use wsk::{DatagramSocket, Family, NonPagedBuffer};
//!
//! /// Thanks whoever sends something, and counts.
//! #[derive(Default)]
//! struct Counter {
//!     datagrams: AtomicUsize,
//! }
//!
//! impl ReceiveFromEvent for Counter {
//!     fn received(&self, indication: &mut Indication<'_>) -> Verdict {
//!         let socket = indication.socket();
//!         for datagram in indication.datagrams() {
//!             self.datagrams.fetch_add(1, Ordering::Relaxed);
//!             if let (Some(socket), Ok(from)) = (&socket, datagram.remote_address())
//!                 && let Ok(thanks) = NonPagedBuffer::copy_of(b"thanks")
//!             {
//!                 drop(socket.send_to(thanks, from).start());
//!             }
//!         }
//!         Verdict::Consumed
//!     }
//! }
//!
//! let socket = DatagramSocket::open_with_events(&provider, Family::V4, Counter::default())?;
//! socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
//! socket.enable_receive_events()?;
//! # peer.send_to(b"hello", socket.local_address()?).unwrap();
//! # let mut answer = [0; 16];
//! # assert_eq!(peer.recv(&mut answer).unwrap(), 6);
//! if let Some(counter) = socket.handler::<Counter>() {
//!     assert_eq!(counter.datagrams.load(Ordering::Relaxed), 1);
//! }
//! # drop((socket, provider, registration));
//! # kernel.shutdown();
//! # Ok::<(), wsk::Error>(())
//! ```
//!
//! # A closure as a handler
//!
//! For a single event a closure can be the handler. Write out the type of its argument:
//!
//! ```
//! # let kernel = wsk_host::Kernel::boot();
//! # let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
//! # let registration = wsk::Registration::new()?;
//! # let provider = registration.capture(wsk::Wait::Forever)?;
//! use wsk::events::{Indication, Verdict};
//! use wsk::{DatagramSocket, Family};
//!
//! let (told, heard) = std::sync::mpsc::sync_channel(8);
//! let handler = move |indication: &mut Indication<'_>| {
//!     for datagram in indication.datagrams() {
//!         let _ = told.try_send(datagram.len());
//!     }
//!     Verdict::Consumed
//! };
//! let socket = DatagramSocket::open_with_events(&provider, Family::V4, handler)?;
//! # socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
//! # socket.enable_receive_events()?;
//! # peer.send_to(b"hello", socket.local_address()?).unwrap();
//! # assert_eq!(heard.recv().unwrap(), 5);
//! # drop((socket, provider, registration));
//! # kernel.shutdown();
//! # Ok::<(), wsk::Error>(())
//! ```

#![forbid(unsafe_code)]

mod datagram;
mod enabled;
mod handler;
mod listen;
mod stream;

pub use crate::buffer::{Pieces, Segment, Segments};
pub use crate::socket::indicated::{Datagram, Datagrams};
#[doc(alias("WSK_INSPECT_ID"))]
pub use crate::socket::inspection::InspectId;
#[doc(alias("WskInspectComplete"))]
pub use crate::socket::inspection::Pended;
#[doc(alias("WskRelease"))]
pub use crate::socket::retained::Retained;
#[doc(alias("WskRelease", "WSK_DATAGRAM_INDICATION"))]
pub use crate::socket::retained::RetainedDatagram;
pub use crate::socket::retained::RetainedDatagrams;
#[doc(alias("WSK_DATAGRAM_INDICATION"))]
pub use datagram::Indication;
#[doc(alias("WskReceiveFromEvent", "WSK_CLIENT_DATAGRAM_DISPATCH"))]
pub use datagram::ReceiveFromEvent;
pub use datagram::Verdict;
pub(crate) use datagram::of_datagrams;
pub use enabled::ConnectionEvents;
#[doc(alias("WskAcceptEvent", "WSK_CLIENT_LISTEN_DISPATCH"))]
pub use listen::AcceptEvent;
pub use listen::Incoming;
#[doc(alias("WskInspectEvent", "WSK_INSPECT_ACTION"))]
pub use listen::Inspection;
pub(crate) use listen::{of_listener, of_stream};
#[doc(alias("WSK_CLIENT_CONNECTION_DISPATCH"))]
pub use stream::ConnectionEvent;
#[doc(alias("WskRelease"))]
pub use stream::RetainedBytes;
#[doc(alias("WskSendBacklogEvent"))]
pub use stream::SendBacklog;
#[doc(alias("WSK_DATA_INDICATION"))]
pub use stream::StreamIndication;
pub(crate) use stream::of_connection;
pub use stream::{Disconnection, StreamPieces, StreamVerdict};
