//! [`WskBind`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_bind),
//! [`WskGetLocalAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_local_address) and
//! [`WskGetRemoteAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_remote_address): the
//! addresses of a socket.

use core::marker::PhantomData;
use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_sys::{DispatchError, IRP, NTSTATUS, SOCKADDR, SOCKADDR_STORAGE, WSK_SOCKET};

use crate::address::ReadAddress;
use crate::endpoint::Endpoint;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::control::{self, SetOption};
use crate::request::sealed::Sealed;
use crate::request::submitted;
use crate::request::{Function, InPlace, Nothing, Operation, Request, of_socket};
use crate::socket::option::V6Only;
use crate::socket::{Category, ConnectionCategory, Handle};

/// The request to bind a socket to a local address.
pub struct Bind<C> {
    function: SetUp,
    category: PhantomData<fn() -> C>,
}

/// The operation that binds a socket, in the types of handles.
pub struct Binding<C>(PhantomData<fn() -> C>);

/// The request to read the address that a socket is bound to, as an `A`.
pub struct LocalAddress<C, A = SocketAddr>(PhantomData<fn() -> (C, A)>);

/// The operation that reads a local address, in the types of handles.
pub struct ReadingLocalAddress<C, A = SocketAddr>(PhantomData<fn() -> (C, A)>);

/// The request to read the address of the peer of a connection, as an `A`.
#[derive(Debug)]
pub struct PeerAddress<A = SocketAddr>(PhantomData<fn() -> A>);

/// The operation that reads the address of a peer, in the types of handles.
#[derive(Debug)]
pub struct ReadingRemoteAddress<A = SocketAddr>(PhantomData<fn() -> A>);

/// What is done to a socket before it can be used.
enum SetUp {
    Bind(Endpoint),
    /// [`V6Only`] is set to false.
    BothFamilies,
}

/// The parameters of what is done to a socket before it can be used.
#[derive(Clone, Copy)]
pub enum SetUpParameters<T> {
    #[doc(hidden)]
    Bind(Parameters<T>),
    #[doc(hidden)]
    BothFamilies(control::Parameters),
}

/// The parameters of a function that takes an address.
#[derive(Clone, Copy)]
pub struct Parameters<T> {
    table: T,
    socket: NonNull<WSK_SOCKET>,
    address: NonNull<SOCKADDR>,
}

impl<T> Parameters<T> {
    fn new<C: Category<Dispatch = T>>(socket: &Handle<C>, places: Places) -> Self {
        Self {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
            address: places.address(),
        }
    }
}

/// Binds a socket to a local address. IRQL: `<= APC_LEVEL`; waits.
pub(crate) fn bind<C: Category>(socket: &Handle<C>, local: Endpoint) -> Result<(), Error> {
    set_up(socket, SetUp::Bind(local))
}

/// Has a new socket be one of both families. IRQL: `<= APC_LEVEL`; waits.
pub(crate) fn set_both_families<C: Category>(socket: &Handle<C>) -> Result<(), Error> {
    let done = set_up(socket, SetUp::BothFamilies);
    done.map_err(|error| error.of_call(Call::WskControlSocket))
}

/// A function of its own, so that a driver has the way through an operation once for both.
fn set_up<C: Category>(socket: &Handle<C>, function: SetUp) -> Result<(), Error> {
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

impl<C> Sealed for Bind<C> {}

impl<C: Category> Function<()> for Bind<C> {
    type Operation = Binding<C>;

    fn put(
        self,
        socket: &Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<SetUpParameters<C::Dispatch>, Error> {
        Ok(match self.function {
            SetUp::Bind(local) => {
                local.put(socket.family(), false, &mut arguments.address)?;
                SetUpParameters::Bind(Parameters::new(socket, places))
            }
            SetUp::BothFamilies => SetUpParameters::BothFamilies(
                SetOption::new(V6Only(false)).put(socket, (), arguments, places)?,
            ),
        })
    }
}

impl<C> Sealed for Binding<C> {}

// SAFETY: one call is made, whose parameters point at the arguments; the socket is the target's.
unsafe impl<C: Category> Operation<()> for Binding<C> {
    type Way = Nothing;
    type Run = InPlace;
    type Output = ();
    type Parameters = SetUpParameters<C::Dispatch>;
    const CALL: Call = Call::WskBind;
    const CANCEL_ON_DROP: bool = false;

    of_socket!(C, ());

    unsafe fn submit(
        p: &SetUpParameters<C::Dispatch>,
        irp: NonNull<IRP>,
    ) -> Result<NTSTATUS, DispatchError> {
        // SAFETY: the caller gives the IRP; the socket is open, and the address, or the option's value, is in the arguments.
        unsafe {
            match p {
                SetUpParameters::Bind(p) => C::bind(p.table, p.socket, p.address, irp),
                SetUpParameters::BothFamilies(p) => p.submit(Some(irp)),
            }
        }
    }

    unsafe fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskBind)
    }
}

impl<C, A> Sealed for LocalAddress<C, A> {}

impl<C: Category, A: ReadAddress> Function<()> for LocalAddress<C, A> {
    type Operation = ReadingLocalAddress<C, A>;

    fn put(
        self,
        socket: &Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters<C::Dispatch>, Error> {
        socket.require_bound()?;
        // All of it: what an operation before has left there is no part of this one's address.
        arguments.address = SOCKADDR_STORAGE::default();
        Ok(Parameters::new(socket, places))
    }
}

impl<C, A> Sealed for ReadingLocalAddress<C, A> {}

// SAFETY: one call is made, whose parameters point at the arguments; the socket is the target's.
unsafe impl<C: Category, A: ReadAddress> Operation<()> for ReadingLocalAddress<C, A> {
    type Way = Nothing;
    type Run = InPlace;
    type Output = A;
    type Parameters = Parameters<C::Dispatch>;
    const CALL: Call = Call::WskGetLocalAddress;
    const CANCEL_ON_DROP: bool = false;

    of_socket!(C, ());

    // The place of the address is in the arguments.
    submitted!(Parameters<C::Dispatch>: p => C::local_address(p.table, p.socket, p.address));

    unsafe fn read(outcome: Outcome, arguments: &mut Arguments, (): &mut ()) -> Result<A, Error> {
        outcome.check(Call::WskGetLocalAddress)?;
        A::read(&arguments.address)
    }
}

impl<A> Sealed for PeerAddress<A> {}

impl<A: ReadAddress> Function<()> for PeerAddress<A> {
    type Operation = ReadingRemoteAddress<A>;

    fn put(
        self,
        socket: &Handle<ConnectionCategory>,
        (): (),
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters<<ConnectionCategory as Category>::Dispatch>, Error> {
        // All of it: what an operation before has left there is no part of this one's address.
        arguments.address = SOCKADDR_STORAGE::default();
        Ok(Parameters::new(socket, places))
    }
}

impl<A> Sealed for ReadingRemoteAddress<A> {}

// SAFETY: one call is made, whose parameters point at the arguments; the socket is the target's.
unsafe impl<A: ReadAddress> Operation<()> for ReadingRemoteAddress<A> {
    type Way = Nothing;
    type Run = InPlace;
    type Output = A;
    type Parameters = Parameters<<ConnectionCategory as Category>::Dispatch>;
    const CALL: Call = Call::WskGetRemoteAddress;
    const CANCEL_ON_DROP: bool = false;

    of_socket!(ConnectionCategory, ());

    // As above.
    submitted!(Parameters<<ConnectionCategory as Category>::Dispatch>: p => p.table.wsk_get_remote_address(
        p.socket, p.address
    ));

    unsafe fn read(outcome: Outcome, arguments: &mut Arguments, (): &mut ()) -> Result<A, Error> {
        outcome.check(Call::WskGetRemoteAddress)?;
        A::read(&arguments.address)
    }
}
