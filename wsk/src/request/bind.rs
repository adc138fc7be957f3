//! [`WskBind`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_bind),
//! [`WskGetLocalAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_local_address) and
//! [`WskGetRemoteAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_remote_address): set
//! and read the addresses of a socket.

use core::marker::PhantomData;
use core::net::SocketAddr;

use crate::address::{Local, ReadAddress, Storage};
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::control::SetOption;
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, Nothing, Operation, Request};
use crate::socket::calls::{Bound, LocalAddressCall, OfSocket, RemoteAddressCall, SetUpCall};
use crate::socket::option::V6Only;
use crate::socket::{Category, ConnectionCategory, Handle};

/// The request to bind a socket to a local address.
pub struct Bind<'l, C> {
    function: SetUp<'l>,
    category: PhantomData<fn() -> C>,
}

/// The operation that binds a socket.
pub struct Binding<C>(PhantomData<fn() -> C>);

/// The request to read the address that a socket is bound to, as an `A`.
pub struct LocalAddress<C, A = SocketAddr>(PhantomData<fn() -> (C, A)>);

/// The operation that reads a local address.
pub struct ReadingLocalAddress<C, A = SocketAddr>(PhantomData<fn() -> (C, A)>);

/// The request to read the address of the peer of a connection, as an `A`.
#[derive(Debug)]
pub struct PeerAddress<A = SocketAddr>(PhantomData<fn() -> A>);

/// The operation that reads the address of a peer.
#[derive(Debug)]
pub struct ReadingRemoteAddress<A = SocketAddr>(PhantomData<fn() -> A>);

/// A step that makes a new socket ready for use.
enum SetUp<'l> {
    /// Binds it to this address. By way of a trait object, so that a driver contains the code for those kinds of addresses that it uses.
    Bind(&'l dyn Local),
    /// Sets [`V6Only`] to false.
    BothFamilies,
}

/// Binds a socket to a local address. IRQL: `<= APC_LEVEL`; waits.
pub(crate) fn bind<C: Category>(socket: &Handle<C>, local: &dyn Local) -> Result<(), Error> {
    let bound = set_up(socket, SetUp::Bind(local));
    if bound.is_ok() {
        socket.set_bound();
    }
    bound
}

/// Opens a new IPv6 socket to IPv4, too. IRQL: `<= APC_LEVEL`; waits.
pub(crate) fn set_both_families<C: Category>(socket: &Handle<C>) -> Result<(), Error> {
    let mut done = set_up(socket, SetUp::BothFamilies);
    if let Err(error) = &mut done {
        error.set_call(Call::WskControlSocket);
    }
    done
}

/// One function for both steps, so that a driver contains the code that runs an operation only once.
fn set_up<C: Category>(socket: &Handle<C>, function: SetUp<'_>) -> Result<(), Error> {
    let request = Request {
        target: socket,
        function: Bind {
            function,
            category: PhantomData,
        },
        carried: (),
    };
    request.wait()
}

pub(crate) fn local_address<C: Category, A: ReadAddress>(
    socket: &Handle<C>,
) -> Request<'_, LocalAddress<C, A>, ()> {
    Request {
        target: socket,
        function: LocalAddress(PhantomData),
        carried: (),
    }
}

pub(crate) fn remote_address<A: ReadAddress>(
    socket: &Handle<ConnectionCategory>,
) -> Request<'_, PeerAddress<A>, ()> {
    Request {
        target: socket,
        function: PeerAddress(PhantomData),
        carried: (),
    }
}

impl<C> Sealed for Bind<'_, C> {}

impl<C: Category> Function<()> for Bind<'_, C> {
    type Operation = Binding<C>;

    fn put<'x>(
        self,
        socket: &'x Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, SetUpCall<C>>, Error> {
        Ok(match self.function {
            SetUp::Bind(local) => {
                local.put(socket.family(), &mut arguments.address)?;
                SetUpCall::bind(socket, places)
            }
            SetUp::BothFamilies => SetUpCall::control(SetOption::new(V6Only(false)).put(
                socket,
                (),
                arguments,
                places,
            )?),
        })
    }
}

impl<C> Sealed for Binding<C> {}

impl<C: Category> Operation<()> for Binding<C> {
    type Way = Nothing;
    type Run = InPlace;
    type Output = ();
    type Asked = OfSocket<C>;
    type Parameters = SetUpCall<C>;
    const CALL: Call = Call::WskBind;
    const CANCEL_ON_DROP: bool = false;

    fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskBind)
    }
}

impl<C, A> Sealed for LocalAddress<C, A> {}

impl<C: Category, A: ReadAddress> Function<()> for LocalAddress<C, A> {
    type Operation = ReadingLocalAddress<C, A>;

    fn put<'x>(
        self,
        socket: &'x Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, LocalAddressCall<C>>, Error> {
        socket.require_bound()?;
        // An operation may be used again. Nothing of an earlier address may remain.
        arguments.address = Storage::default();
        Ok(LocalAddressCall::new(socket, places))
    }
}

impl<C, A> Sealed for ReadingLocalAddress<C, A> {}

impl<C: Category, A: ReadAddress> Operation<()> for ReadingLocalAddress<C, A> {
    type Way = Nothing;
    type Run = InPlace;
    type Output = A;
    type Asked = OfSocket<C>;
    type Parameters = LocalAddressCall<C>;
    const CALL: Call = Call::WskGetLocalAddress;
    const CANCEL_ON_DROP: bool = false;

    fn read(outcome: Outcome, arguments: &mut Arguments, (): &mut ()) -> Result<A, Error> {
        outcome.check(Call::WskGetLocalAddress)?;
        A::read(&arguments.address)
    }
}

impl<A> Sealed for PeerAddress<A> {}

impl<A: ReadAddress> Function<()> for PeerAddress<A> {
    type Operation = ReadingRemoteAddress<A>;

    fn put<'x>(
        self,
        socket: &'x Handle<ConnectionCategory>,
        (): (),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, RemoteAddressCall>, Error> {
        // An operation may be used again. Nothing of an earlier address may remain.
        arguments.address = Storage::default();
        Ok(RemoteAddressCall::new(socket, places))
    }
}

impl<A> Sealed for ReadingRemoteAddress<A> {}

impl<A: ReadAddress> Operation<()> for ReadingRemoteAddress<A> {
    type Way = Nothing;
    type Run = InPlace;
    type Output = A;
    type Asked = OfSocket<ConnectionCategory>;
    type Parameters = RemoteAddressCall;
    const CALL: Call = Call::WskGetRemoteAddress;
    const CANCEL_ON_DROP: bool = false;

    fn read(outcome: Outcome, arguments: &mut Arguments, (): &mut ()) -> Result<A, Error> {
        outcome.check(Call::WskGetRemoteAddress)?;
        A::read(&arguments.address)
    }
}
