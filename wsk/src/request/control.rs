//! [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket): options and I/O
//! control operations of a socket.

use core::marker::PhantomData;
use core::net::SocketAddr;
use core::ptr::NonNull;

use wsk_sys::{
    DispatchError, IRP, NPI_WSK_INTERFACE_ID, NTSTATUS, SIO_WSK_REGISTER_EXTENSION,
    SO_WSK_EVENT_CALLBACK, SOL_SOCKET, WSK_CONTROL_SOCKET_TYPE, WSK_EVENT_CALLBACK_CONTROL,
    WSK_EVENT_DISABLE, WSK_EXTENSION_CONTROL_IN, WSK_EXTENSION_CONTROL_OUT, WSK_SOCKET,
    WskProviderBasicDispatch,
};

use crate::buffer::Lock;
use crate::error::{Call, Error, Memory};
use crate::irp::{Aligned, Arguments, CONTROL_ROOM, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::{
    Function, InPlace, Nothing, Operation, Repeat, Request, Shown, Way, of_socket,
};
use crate::socket::ioctl::{
    Bytes, ControlRequest, Extension, ExtensionProvider, Input, Ioctl, Output,
};
use crate::socket::option::{self, ReadableOption, SocketOption};
use crate::socket::{
    BasicCategory, BasicSocket, Category, Committed, ConnectedSocket, ConnectionCategory,
    ConnectionSocket, DatagramCategory, DatagramSocket, Handle, ListenCategory, ListenSocket,
    StreamCategory, StreamSocket,
};

pub(super) const SET: WSK_CONTROL_SOCKET_TYPE = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
pub(super) const GET: WSK_CONTROL_SOCKET_TYPE = WSK_CONTROL_SOCKET_TYPE::WskGetOption;
pub(super) const IOCTL: WSK_CONTROL_SOCKET_TYPE = WSK_CONTROL_SOCKET_TYPE::WskIoctl;

/// The parameters of `WskControlSocket`.
#[derive(Clone, Copy)]
pub struct Parameters {
    table: WskProviderBasicDispatch,
    socket: NonNull<WSK_SOCKET>,
    kind: WSK_CONTROL_SOCKET_TYPE,
    code: u32,
    level: u32,
    pub(super) input: Option<NonNull<[u8]>>,
    pub(super) output: Option<NonNull<[u8]>>,
}

impl Parameters {
    pub(super) fn new<C: Category>(
        socket: &Handle<C>,
        kind: WSK_CONTROL_SOCKET_TYPE,
        code: u32,
        level: u32,
    ) -> Self {
        Self {
            table: C::basic(socket.dispatch()),
            socket: socket.as_ptr(),
            kind,
            code,
            level,
            input: None,
            output: None,
        }
    }

    /// # Safety
    ///
    /// As for [`Operation::submit`], or without an IRP where the code allows it.
    pub(super) unsafe fn submit(
        &self,
        irp: Option<NonNull<IRP>>,
    ) -> Result<NTSTATUS, DispatchError> {
        // SAFETY: the caller gives the IRP; the socket is open. Input and output are those that the code takes.
        unsafe {
            self.table.wsk_control_socket(
                self.socket,
                self.kind,
                self.code,
                self.level,
                self.input,
                self.output,
                None,
                irp,
            )
        }
    }
}

/// What all operations over `WskControlSocket` have in common.
macro_rules! control {
    ($C:ty, $B:ty, $output:ty) => {
        type Output = $output;
        type Parameters = Parameters;
        const CALL: Call = Call::WskControlSocket;
        const CANCEL_ON_DROP: bool = false;

        of_socket!($C, $B);

        unsafe fn submit(p: &Parameters, irp: NonNull<IRP>) -> Result<NTSTATUS, DispatchError> {
            // SAFETY: the caller keeps the same contract.
            unsafe { p.submit(Some(irp)) }
        }
    };
}

pub(super) use control;

/// What repeatable control operations have in common: nothing of them can be changed.
macro_rules! repeated_as_it_is {
    ($C:ident) => {
        type Held = Handle<$C>;

        fn hold(socket: &Self::Held) -> Self::Held {
            socket.clone()
        }

        fn target(socket: &Self::Held) -> &Self::Held {
            socket
        }

        fn renew(
            _: &mut Parameters,
            _: &Self::Held,
            (): (),
            _: &mut Arguments,
            _: Places,
        ) -> Result<(), Error> {
            Ok(())
        }
    };
}

pub(super) use repeated_as_it_is;

/// The request to set an option.
pub struct SetOption<C, O> {
    option: O,
    category: PhantomData<fn() -> C>,
}

/// The operation that sets an option, in the types of handles.
pub struct SettingOption<C>(PhantomData<fn() -> C>);

/// The request to read an option.
pub struct GetOption<C, O>(PhantomData<fn() -> (C, O)>);

/// The operation that reads an option, in the types of handles.
pub struct ReadingOption<C, O>(PhantomData<fn() -> (C, O)>);

pub(crate) fn set_option<C: Category, O: SocketOption>(
    socket: &Handle<C>,
    option: O,
) -> Request<'_, SetOption<C, O>, ()> {
    Request {
        target: socket,
        function: SetOption::new(option),
        carried: (),
    }
}

pub(crate) fn get_option<C: Category, O: ReadableOption + 'static>(
    socket: &Handle<C>,
) -> Request<'_, GetOption<C, O>, ()> {
    Request {
        target: socket,
        function: GetOption(PhantomData),
        carried: (),
    }
}

impl<C, O> SetOption<C, O> {
    pub(super) const fn new(option: O) -> Self {
        Self {
            option,
            category: PhantomData,
        }
    }
}

impl<C, O> Sealed for SetOption<C, O> {}

impl<C: Category, O: SocketOption> Function<()> for SetOption<C, O> {
    type Operation = SettingOption<C>;

    fn put(
        self,
        socket: &Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        let mut value = [0; option::LARGEST];
        let length = self.option.write(&mut value);
        arguments.set_value(&value);
        Ok(Parameters {
            input: Some(places.value(length)),
            ..Parameters::new(socket, SET, O::NAME, O::LEVEL)
        })
    }
}

impl<C> Sealed for SettingOption<C> {}

// SAFETY: one call is made, whose parameters point at the arguments; the socket is the target's. Options are plain values.
unsafe impl<C: Category> Operation<()> for SettingOption<C> {
    type Way = Nothing;
    type Run = InPlace;

    control!(C, (), ());

    unsafe fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

// SAFETY: the value is only read.
unsafe impl<C: Committed> Repeat<()> for SettingOption<C> {
    repeated_as_it_is!(C);

    type Seen<'a> = ();

    fn look<'a>(outcome: Outcome, _: &'a Arguments, _: Shown<'a, ()>) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

impl<C, O> Sealed for GetOption<C, O> {}

impl<C: Category, O: ReadableOption + 'static> Function<()> for GetOption<C, O> {
    type Operation = ReadingOption<C, O>;

    fn put(
        self,
        socket: &Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        arguments.set_value(&[0; option::LARGEST]);
        Ok(Parameters {
            output: Some(places.value(O::SIZE)),
            ..Parameters::new(socket, GET, O::NAME, O::LEVEL)
        })
    }
}

impl<C, O> Sealed for ReadingOption<C, O> {}

// SAFETY: one call is made, whose parameters point at the arguments; the socket is the target's. Options are plain values.
unsafe impl<C: Category, O: ReadableOption + 'static> Operation<()> for ReadingOption<C, O> {
    type Way = Nothing;
    type Run = InPlace;

    control!(C, (), O);

    unsafe fn read(outcome: Outcome, arguments: &mut Arguments, (): &mut ()) -> Result<O, Error> {
        outcome.check(Call::WskControlSocket)?;
        Ok(O::read(&arguments.value()))
    }
}

// SAFETY: the value is written anew by each run.
unsafe impl<C: Committed, O: ReadableOption + 'static> Repeat<()> for ReadingOption<C, O> {
    repeated_as_it_is!(C);

    type Seen<'a> = O;

    fn again(arguments: &mut Arguments, (): &()) {
        arguments.set_value(&[0; option::LARGEST]);
    }

    fn look<'a>(outcome: Outcome, arguments: &'a Arguments, _: Shown<'a, ()>) -> Result<O, Error> {
        outcome.check(Call::WskControlSocket)?;
        Ok(O::read(&arguments.value()))
    }
}

/// The request of an I/O control operation.
pub struct Control<C, O> {
    request: O,
    category: PhantomData<fn() -> C>,
}

/// An I/O control operation in flight, in the types of handles.
pub struct Controlling<C, O>(PhantomData<fn() -> (C, O)>);

pub(crate) fn ioctl<C: Category, O: Ioctl + 'static>(
    socket: &Handle<C>,
    request: O,
) -> Request<'_, Control<C, O>, ()> {
    Request {
        target: socket,
        function: Control {
            request,
            category: PhantomData,
        },
        carried: (),
    }
}

impl<C, O> Sealed for Control<C, O> {}

impl<C: Category, O: Ioctl + 'static> Function<()> for Control<C, O> {
    type Operation = Controlling<C, O>;

    fn put(
        self,
        socket: &Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        let mut parameters = Parameters::new(socket, IOCTL, O::CODE, 0);
        // What is given goes where control information would be, apart from what is asked with.
        const { assert!(O::GIVES <= CONTROL_ROOM, "there is room for what is given") };
        arguments.control = Aligned::ZERO;
        match self.request.input() {
            Input::Bytes(value, length) => {
                arguments.set_value(&value);
                let length = length.min(value.len());
                parameters.input = (length > 0).then(|| places.value(length));
                parameters.output = (O::GIVES > 0).then(|| places.control(O::GIVES));
            }
            Input::Address(address) => {
                let family = socket.family();
                family.check(&address)?;
                family.write(address, &mut arguments.address);
                let size = family.size();
                parameters.input = Some(places.address_bytes(size));
                parameters.output = Some(places.control(size));
            }
        }
        Ok(parameters)
    }
}

impl<C, O> Sealed for Controlling<C, O> {}

// SAFETY: one call is made, whose parameters point at the arguments; the socket is the target's. The operations of `ioctl` take and
// give plain values of these sizes, or addresses of the socket's family.
unsafe impl<C: Category, O: Ioctl + 'static> Operation<()> for Controlling<C, O> {
    type Way = Nothing;
    type Run = InPlace;

    control!(C, (), O::Output);

    unsafe fn read(
        outcome: Outcome,
        arguments: &mut Arguments,
        (): &mut (),
    ) -> Result<O::Output, Error> {
        given::<O>(outcome, arguments)
    }
}

/// What an I/O control operation has given.
fn given<O: Ioctl>(outcome: Outcome, arguments: &Arguments) -> Result<O::Output, Error> {
    outcome.check(Call::WskControlSocket)?;
    let mut address = [0; 4];
    let words = arguments.control.0.as_chunks().0;
    for (word, bytes) in address.iter_mut().zip(words) {
        *word = u64::from_ne_bytes(*bytes);
    }
    O::output(&Output {
        bytes: &arguments.control.0,
        address,
    })
}

// SAFETY: what is asked with is read, and what is given is written anew by each run.
unsafe impl<C: Committed, O: Ioctl + 'static> Repeat<()> for Controlling<C, O> {
    repeated_as_it_is!(C);

    type Seen<'a> = O::Output;

    fn again(arguments: &mut Arguments, (): &()) {
        arguments.control = Aligned::ZERO;
    }

    fn look<'a>(
        outcome: Outcome,
        arguments: &'a Arguments,
        _: Shown<'a, ()>,
    ) -> Result<O::Output, Error> {
        given::<O>(outcome, arguments)
    }
}

/// The request to fix the remote address, or the destination, of a datagram socket.
#[derive(Debug)]
pub struct Fix {
    code: u32,
    remote: SocketAddr,
}

/// The operation that fixes the remote address, or the destination, of a datagram socket, in the types of handles.
#[derive(Debug)]
pub struct Fixing;

pub(crate) fn fix(
    socket: &Handle<DatagramCategory>,
    code: u32,
    remote: SocketAddr,
) -> Request<'_, Fix, ()> {
    Request {
        target: socket,
        function: Fix { code, remote },
        carried: (),
    }
}

impl Sealed for Fix {}

impl Function<()> for Fix {
    type Operation = Fixing;

    fn put(
        self,
        socket: &Handle<DatagramCategory>,
        (): (),
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        socket.require_bound()?;
        let family = socket.family();
        family.check_remote(&self.remote)?;
        family.write(self.remote, &mut arguments.address);
        Ok(Parameters {
            input: Some(places.address_bytes(family.size())),
            ..Parameters::new(socket, IOCTL, self.code, 0)
        })
    }
}

impl Sealed for Fixing {}

// SAFETY: one call is made, whose parameters point at the arguments; the socket is the target's.
unsafe impl Operation<()> for Fixing {
    type Way = Nothing;
    type Run = InPlace;

    control!(DatagramCategory, (), ());

    unsafe fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

/// The request to disable events.
pub struct DisableEvents<C> {
    mask: u32,
    category: PhantomData<fn() -> C>,
}

/// The operation that disables events, in the types of handles.
pub struct DisablingEvents<C>(PhantomData<fn() -> C>);

pub(crate) fn disable_events<C: Category>(
    socket: &Handle<C>,
    mask: u32,
) -> Request<'_, DisableEvents<C>, ()> {
    Request {
        target: socket,
        function: DisableEvents {
            mask,
            category: PhantomData,
        },
        carried: (),
    }
}

/// Has WSK call back for the events in `mask`. IRQL: `<= DISPATCH_LEVEL`.
pub(crate) fn enable_events<C: Category>(socket: &Handle<C>, mask: u32) -> Result<(), Error> {
    may_have_events(socket)?;
    let mut control = WSK_EVENT_CALLBACK_CONTROL {
        NpiId: &raw const NPI_WSK_INTERFACE_ID,
        EventMask: mask,
    };
    let parameters = Parameters {
        input: Some(bytes_of(&mut control)),
        ..Parameters::new(socket, SET, SO_WSK_EVENT_CALLBACK, SOL_SOCKET)
    };
    // SAFETY: enabling takes no IRP, so the structure is used during the call only; the socket's context and table of events live until
    // its close has completed.
    done(unsafe { parameters.submit(None) }?)
}

/// Registers a socket for an extension interface. IRQL: `<= DISPATCH_LEVEL`.
#[expect(clippy::needless_pass_by_value, reason = "it is for one socket")]
pub(crate) fn register_extension<C: Category>(
    socket: &Handle<C>,
    extension: Extension,
) -> Result<ExtensionProvider, Error> {
    let Extension {
        interface,
        context,
        dispatch,
    } = extension;
    let mut input = WSK_EXTENSION_CONTROL_IN {
        NpiId: interface,
        ClientContext: context,
        ClientDispatch: dispatch,
    };
    let mut output = WSK_EXTENSION_CONTROL_OUT {
        ProviderContext: core::ptr::null_mut(),
        ProviderDispatch: core::ptr::null(),
    };
    let parameters = Parameters {
        input: Some(bytes_of(&mut input)),
        output: Some(bytes_of(&mut output)),
        ..Parameters::new(socket, IOCTL, SIO_WSK_REGISTER_EXTENSION, 0)
    };
    // SAFETY: registering takes no IRP, so the structures are used during the call only; by the invariant what they point at is as the
    // interface wants it, for this socket.
    let status = unsafe { parameters.submit(None) }?;
    done(status)?;
    Ok(ExtensionProvider {
        context: output.ProviderContext,
        dispatch: output.ProviderDispatch,
    })
}

/// The place of a value, in bytes.
fn bytes_of<T>(value: &mut T) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(NonNull::from(value).cast(), size_of::<T>())
}

/// What comes of a call without an IRP.
fn done(status: NTSTATUS) -> Result<(), Error> {
    if status.is_success() {
        return Ok(());
    }
    let call = Call::WskControlSocket;
    Err(Error::Call { call, status })
}

fn may_have_events<C: Category>(socket: &Handle<C>) -> Result<(), Error> {
    if !socket.has_events() {
        return Err(Error::NoEvents);
    }
    socket.require_bound()
}

impl<C> Sealed for DisableEvents<C> {}

impl<C: Category> Function<()> for DisableEvents<C> {
    type Operation = DisablingEvents<C>;

    fn put(
        self,
        socket: &Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        may_have_events(socket)?;
        arguments.events = WSK_EVENT_CALLBACK_CONTROL {
            NpiId: &raw const NPI_WSK_INTERFACE_ID,
            EventMask: self.mask | WSK_EVENT_DISABLE,
        };
        Ok(Parameters {
            input: Some(places.events()),
            ..Parameters::new(socket, SET, SO_WSK_EVENT_CALLBACK, SOL_SOCKET)
        })
    }
}

impl<C> Sealed for DisablingEvents<C> {}

// SAFETY: one call is made, whose parameters point at the arguments, and these at a static; the socket is the target's.
unsafe impl<C: Category> Operation<()> for DisablingEvents<C> {
    type Way = Nothing;
    type Run = InPlace;

    control!(C, (), ());

    unsafe fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

/// The request of a control code whose input and output the driver vouches for.
pub struct ControlRaw<C> {
    request: ControlRequest,
    category: PhantomData<fn() -> C>,
}

/// The operation of such a control code, in the types of handles.
pub struct ControllingRaw<C>(PhantomData<fn() -> C>);

/// The input of a request, and the room for its output, with copies in nonpaged pool.
#[derive(Debug)]
pub struct Raw<'b> {
    input: &'b [u8],
    output: &'b mut [u8],
    copies: Option<Bytes>,
}

pub(crate) fn control_raw<'s, 'b, C: Category>(
    socket: &'s Handle<C>,
    request: ControlRequest,
    input: &'b [u8],
    output: &'b mut [u8],
) -> Request<'s, ControlRaw<C>, Raw<'b>> {
    Request {
        target: socket,
        function: ControlRaw {
            request,
            category: PhantomData,
        },
        carried: Raw::new(input, output),
    }
}

/// Writes the method by which every socket is asked for what has no type here: its caller vouches for the code.
macro_rules! controlled_raw {
    ($Socket:ident, $Category:ident) => {
        impl $Socket {
            /// Sets or reads an option, or carries out an I/O control operation, that has no type here: the request gives the number
            /// of bytes of `output` that were written.
            ///
            /// Input and output are copied to and from nonpaged pool, aligned to 16 bytes, which is allocated for the request.
            ///
            /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
            ///
            /// # Errors
            ///
            /// Of the request: [`Error::NoMemory`](crate::Error::NoMemory), or the error of WSK.
            ///
            /// # Safety
            ///
            /// * WSK touches, for this request, no memory but the input, the output, and what pointers in the input lead to; the
            ///   last stays valid until the request is over, and for ever when it ends in
            ///   [`Error::Abandoned`](crate::Error::Abandoned) or WSK keeps such a pointer.
            /// * The input is what the request asks for. WSK is given an IRP, always.
            /// * The request changes nothing that this crate keeps account of: it enables or disables no event callback
            ///   (`SO_WSK_EVENT_CALLBACK`) and no conditional accept (`SO_CONDITIONAL_ACCEPT`), fixes no remote address or
            ///   destination (`SIO_WSK_SET_REMOTE_ADDRESS`, `SIO_WSK_SET_SENDTO_ADDRESS`), and registers no extension whose
            ///   callbacks would outlive the driver.
            #[doc(alias = "WskControlSocket")]
            pub unsafe fn control_raw<'s, 'b>(
                &'s self,
                request: ControlRequest,
                input: &'b [u8],
                output: &'b mut [u8],
            ) -> Request<'s, ControlRaw<$Category>, Raw<'b>> {
                control_raw(&self.handle, request, input, output)
            }
        }
    };
}

controlled_raw!(DatagramSocket, DatagramCategory);
controlled_raw!(ConnectionSocket, ConnectionCategory);
controlled_raw!(ConnectedSocket, ConnectionCategory);
controlled_raw!(ListenSocket, ListenCategory);
controlled_raw!(BasicSocket, BasicCategory);
controlled_raw!(StreamSocket, StreamCategory);

impl<'b> Raw<'b> {
    /// Nothing is copied yet.
    pub(super) fn new(input: &'b [u8], output: &'b mut [u8]) -> Self {
        Self {
            input,
            output,
            copies: None,
        }
    }

    /// Copies what came out, of a request that is over; how many bytes WSK says that it gave.
    pub(super) fn read(&mut self, outcome: Outcome, call: Call) -> Result<usize, Error> {
        if let Some(copies) = &self.copies {
            copies.read(self.output);
        }
        outcome.check(call)?;
        Ok(outcome.information.min(self.output.len()))
    }
}

/// Bytes are carried, of which copies are lent.
#[derive(Debug)]
pub struct Copied;

// SAFETY: the copies are in a block of their own, which stays until they are taken back, or for ever when they are forgotten.
unsafe impl<'b> Way<Raw<'b>> for Copied {
    type Lent = (Option<NonNull<[u8]>>, Option<NonNull<[u8]>>);
    type Waited<T> = Result<T, Error>;
    type Finished<T> = Result<T, Error>;
    type Scoped<T> = Result<T, Error>;
    type NotStarted = Error;

    unsafe fn lend(carried: NonNull<Raw<'b>>, _: &mut Lock) -> Result<Self::Lent, Error> {
        // SAFETY: the caller gives it, which nothing else uses.
        let raw = unsafe { &mut *carried.as_ptr() };
        let copies =
            Bytes::new(raw.input, raw.output.len()).ok_or(Error::NoMemory(Memory::Buffer))?;
        let lent = (copies.input(), copies.output());
        raw.copies = Some(copies);
        Ok(lent)
    }

    unsafe fn take_back(carried: NonNull<Raw<'b>>, _: &mut Lock) {
        // SAFETY: the caller gives it; the request is over, or was not begun.
        unsafe { (*carried.as_ptr()).copies = None };
    }

    unsafe fn abandon(_: NonNull<Raw<'b>>) -> bool {
        true
    }

    /// The copies.
    unsafe fn drop_part(carried: NonNull<Raw<'b>>) {
        // SAFETY: the caller gives what is carried away, whose IRP has completed; what it borrows is left alone.
        unsafe { (*carried.as_ptr()).copies = None };
    }

    fn waited<T>(result: Result<T, Error>, _: Raw<'b>) -> Result<T, Error> {
        result
    }

    fn finished<T>(result: Result<T, Error>, _: Option<Raw<'b>>) -> Result<T, Error> {
        result
    }

    fn scoped<T>(result: Result<T, Error>, _: Option<Raw<'b>>) -> Result<T, Error> {
        result
    }

    fn lost<T>(error: Error, carried: Raw<'b>) -> Result<T, Error> {
        core::mem::forget(carried);
        Err(error)
    }

    fn into_waited<T>(finished: Result<T, Error>) -> Result<T, Error> {
        finished
    }

    fn not_started(error: Error, _: Raw<'b>) -> Error {
        error
    }
}

impl<C> Sealed for ControlRaw<C> {}

impl<C: Category> Function<Raw<'_>> for ControlRaw<C> {
    type Operation = ControllingRaw<C>;

    fn put(
        self,
        socket: &Handle<C>,
        (input, output): (Option<NonNull<[u8]>>, Option<NonNull<[u8]>>),
        _: &mut Arguments,
        _: Places,
    ) -> Result<Parameters, Error> {
        let (kind, code, level) = self.request.parts();
        Ok(Parameters {
            input,
            output,
            ..Parameters::new(socket, kind, code, level)
        })
    }
}

impl<C> Sealed for ControllingRaw<C> {}

// SAFETY: one call is made, whose parameters point at copies that are carried; the socket is the target's. Who makes the request
// vouches for the code.
unsafe impl<'b, C: Category> Operation<Raw<'b>> for ControllingRaw<C> {
    type Way = Copied;
    type Run = InPlace;

    control!(C, Raw<'b>, usize);

    unsafe fn read(
        outcome: Outcome,
        _: &mut Arguments,
        carried: &mut Raw<'b>,
    ) -> Result<usize, Error> {
        carried.read(outcome, Call::WskControlSocket)
    }
}
