//! [`WskAccept`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept): a connection is accepted.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_sys::{
    SOCKADDR, SOCKADDR_STORAGE, WSK_CLIENT_CONNECTION_DISPATCH, WSK_SOCKET,
    WskProviderListenDispatch,
};

use crate::address::ReadAddress;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::memory::shared::Shared;
use crate::registration::Capture;
use crate::request::open::made;
use crate::request::sealed::Sealed;
use crate::request::submitted;
use crate::request::way::Loan;
use crate::request::{Function, Operation, Own, Owning, Request};
use crate::socket::{ConnectedSocket, ConnectionCategory, Handle, ListenCategory, Making};

/// The request of [`accept`](crate::ListenSocket::accept): the next connection, and the address of its peer as an `A`.
#[derive(Debug)]
pub struct Accept<A = SocketAddr>(PhantomData<fn() -> A>);

/// The operation of [`accept`](crate::ListenSocket::accept), in the types of handles.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # let listener = wsk::ListenSocket::open(&provider, wsk::Family::V4)?;
/// # listener.bind(([127, 0, 0, 1], 0))?;
/// use wsk::operation::InFlight;
/// use wsk::request::{Accepting, NewConnection};
///
/// let accepting: InFlight<Accepting, NewConnection> = listener.accept().start()?;
/// # let peer = std::net::TcpStream::connect(listener.local_address()?).unwrap();
/// let (socket, from) = accepting.wait().map_err(|(error, _)| error)??;
/// # assert_eq!(from, peer.local_addr().unwrap());
/// # drop((socket, listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct Accepting<A = SocketAddr>(PhantomData<fn() -> A>);

/// The parameters of `WskAccept`.
#[derive(Clone, Copy)]
pub struct Parameters {
    table: WskProviderListenDispatch,
    socket: NonNull<WSK_SOCKET>,
    remote: NonNull<SOCKADDR>,
    context: Option<NonNull<c_void>>,
    callbacks: Option<NonNull<WSK_CLIENT_CONNECTION_DISPATCH>>,
}

pub(crate) fn accept<A: ReadAddress>(
    listener: &Handle<ListenCategory>,
) -> Request<'_, Accept<A>, Making<ConnectionCategory>> {
    Request {
        target: listener,
        function: Accept(PhantomData),
        carried: Making::new(listener.capture(), listener.family(), true),
    }
}

impl<A> Sealed for Accept<A> {}

impl<A: ReadAddress> Function<Making<ConnectionCategory>> for Accept<A> {
    type Operation = Accepting<A>;

    fn put(
        self,
        listener: &Handle<ListenCategory>,
        lent: Loan<Making<ConnectionCategory>>,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        listener.require_bound()?;
        // All of it: what an operation before has left there is no part of this one's address.
        arguments.address = SOCKADDR_STORAGE::default();
        let (context, callbacks) = lent.get().callbacks();
        Ok(Parameters {
            table: listener.dispatch(),
            socket: listener.as_ptr(),
            remote: places.address(),
            context,
            callbacks,
        })
    }
}

impl<A> Sealed for Accepting<A> {}

// SAFETY: one call is made, whose parameters point at the arguments and at what the socket is made of, which is carried; the
// listening socket is the target's.
unsafe impl<A: ReadAddress> Operation<Making<ConnectionCategory>> for Accepting<A> {
    type Way = Own;
    type Output = (ConnectedSocket, A);
    type Target<'s> = &'s Handle<ListenCategory>;
    type Parameters = Parameters;
    const CALL: Call = Call::WskAccept;
    const CANCEL_ON_DROP: bool = true;
    type Run = Owning;

    fn capture<'a, 't: 'a>(
        listener: &'t Handle<ListenCategory>,
        _: &'a Making<ConnectionCategory>,
    ) -> &'a Shared<Capture> {
        listener.capture()
    }

    // Context and callbacks stay until the socket is closed: whoever takes it has them.
    submitted!(Parameters: p => p.table.wsk_accept(
        p.socket, p.context, p.callbacks, None, Some(p.remote)
    ));

    unsafe fn read(
        outcome: Outcome,
        arguments: &mut Arguments,
        making: &mut Making<ConnectionCategory>,
    ) -> Result<(ConnectedSocket, A), Error> {
        // SAFETY: the caller keeps the same contract.
        let handle = unsafe { made(Call::WskAccept, outcome, making) }?;
        // INVARIANT: WSK has accepted it.
        let socket = ConnectedSocket { handle };
        Ok((socket, A::read(&arguments.address)?))
    }

    /// A socket that nobody takes is closed.
    unsafe fn unread(outcome: Outcome, making: &mut Making<ConnectionCategory>) {
        // SAFETY: the caller keeps the same contract.
        drop(unsafe { made(Call::WskAccept, outcome, making) });
    }
}
