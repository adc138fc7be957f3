//! [`WskAccept`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept): accepts a connection.

use core::marker::PhantomData;
use core::net::SocketAddr;

use crate::address::{ReadAddress, Storage};
use crate::buffer::carry::Lending;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::open::made;
use crate::request::sealed::Sealed;
use crate::request::{Function, Operation, Own, Owning, Request};
use crate::socket::calls::{AcceptCall, Bound, OfSocket};
use crate::socket::{ConnectedSocket, ConnectionCategory, Handle, ListenCategory, Making};

/// The request of [`accept`](crate::ListenSocket::accept): the next connection, and the address of its peer as an `A`.
#[derive(Debug)]
pub struct Accept<A = SocketAddr>(PhantomData<fn() -> A>);

/// The operation of [`accept`](crate::ListenSocket::accept), which the types of handles name.
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

pub(crate) fn accept<A: ReadAddress>(
    listener: &Handle<ListenCategory>,
) -> Request<'_, Accept<A>, Making<ConnectionCategory>> {
    Request {
        target: listener,
        function: Accept(PhantomData),
        carried: Making::new(listener.capture(), listener.family(), true, None),
    }
}

impl<A> Sealed for Accept<A> {}

impl<A: ReadAddress> Function<Making<ConnectionCategory>> for Accept<A> {
    type Operation = Accepting<A>;

    fn put<'x>(
        self,
        listener: &'x Handle<ListenCategory>,
        lent: Lending<'x, Making<ConnectionCategory>>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, AcceptCall>, Error> {
        listener.require_bound()?;
        // An operation may be used again. Nothing of an earlier address may remain.
        arguments.address = Storage::default();
        Ok(AcceptCall::new(listener, lent.lend(), places))
    }
}

impl<A> Sealed for Accepting<A> {}

impl<A: ReadAddress> Operation<Making<ConnectionCategory>> for Accepting<A> {
    type Way = Own;
    type Output = (ConnectedSocket, A);
    type Asked = OfSocket<ListenCategory>;
    type Parameters = AcceptCall;
    const CALL: Call = Call::WskAccept;
    const CANCEL_ON_DROP: bool = true;
    type Run = Owning;

    fn read(
        outcome: Outcome,
        arguments: &mut Arguments,
        making: &mut Making<ConnectionCategory>,
    ) -> Result<(ConnectedSocket, A), Error> {
        let handle = made(Call::WskAccept, outcome, making)?;
        // INVARIANT: WSK has accepted the connection.
        let socket = ConnectedSocket { handle };
        Ok((socket, A::read(&arguments.address)?))
    }
}
