//! [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket): options and
//! I/O control operations of a socket.

use core::marker::PhantomData;
use core::net::SocketAddr;

use crate::address::UnknownFamily;
use crate::buffer::carry::{Beside, Lending, Untouched, With};
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::way::nothing_comes_back;
use crate::request::{Function, InPlace, Nothing, Operation, Repeat, Request, Shown, Takes, Way};
use crate::socket::calls::{Bound, ControlCall, LentControlCall, RawControl, RawRequest};
pub(crate) use crate::socket::calls::{enable_events, register_extension};
use crate::socket::ioctl::{Copies, Ioctl, Output};
use crate::socket::option::{self, ReadableOption, SocketOption};
use crate::socket::{Category, Committed, DatagramCategory, Handle};

/// The items that all operations of `WskControlSocket` share.
macro_rules! control {
    ($C:ty, $Parameters:ty, $output:ty) => {
        type Output = $output;
        type Asked = $crate::socket::calls::OfSocket<$C>;
        type Parameters = $Parameters;
        const CALL: Call = Call::WskControlSocket;
        const CANCEL_ON_DROP: bool = false;
    };
}

pub(super) use control;

/// The method `renew` of control operations whose parameters stay the same in every run.
macro_rules! repeated_as_it_is {
    ($C:ident, $Parameters:ty) => {
        fn renew<'x>(
            _: &$Parameters,
            _: &'x Handle<$C>,
            (): (),
            _: &mut Arguments,
            _: Places<'x>,
        ) -> Result<$crate::socket::calls::Renewed<'x, $Parameters>, Error> {
            Ok($crate::socket::calls::Renewed::same())
        }
    };
}

pub(super) use repeated_as_it_is;

/// The request to set an option.
pub struct SetOption<C, O> {
    option: O,
    category: PhantomData<fn() -> C>,
}

/// The operation that sets an option, which the types of handles name.
pub struct SettingOption<C>(PhantomData<fn() -> C>);

/// The request to read an option.
pub struct GetOption<C, O>(PhantomData<fn() -> (C, O)>);

/// The operation that reads an option, which the types of handles name.
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

    fn put<'x>(
        self,
        socket: &'x Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ControlCall>, Error> {
        Ok(ControlCall::set_option(
            socket,
            &self.option,
            arguments,
            places,
        ))
    }
}

impl<C> Sealed for SettingOption<C> {}

impl<C: Category> Operation<()> for SettingOption<C> {
    type Way = Nothing;
    type Run = InPlace;

    control!(C, ControlCall, ());

    fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

impl<C: Committed> Repeat<()> for SettingOption<C> {
    repeated_as_it_is!(C, ControlCall);

    type Seen<'a> = ();

    fn look<'a>(outcome: Outcome, _: &'a Arguments, _: Shown<'a, ()>) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

impl<C: Committed, O: SocketOption> Takes<O> for SettingOption<C> {
    fn take<'x>(
        option: O,
        socket: &'x Handle<C>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ControlCall>, Error> {
        SetOption::new(option).put(socket, (), arguments, places)
    }
}

impl<C, O> Sealed for GetOption<C, O> {}

impl<C: Category, O: ReadableOption + 'static> Function<()> for GetOption<C, O> {
    type Operation = ReadingOption<C, O>;

    fn put<'x>(
        self,
        socket: &'x Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ControlCall>, Error> {
        arguments.set_value(&[0; option::LARGEST]);
        Ok(ControlCall::get_option::<C, O>(socket, places))
    }
}

impl<C, O> Sealed for ReadingOption<C, O> {}

impl<C: Category, O: ReadableOption + 'static> Operation<()> for ReadingOption<C, O> {
    type Way = Nothing;
    type Run = InPlace;

    control!(C, ControlCall, O);

    fn read(outcome: Outcome, arguments: &mut Arguments, (): &mut ()) -> Result<O, Error> {
        outcome.check(Call::WskControlSocket)?;
        Ok(O::read(&arguments.value()))
    }
}

impl<C: Committed, O: ReadableOption + 'static> Repeat<()> for ReadingOption<C, O> {
    repeated_as_it_is!(C, ControlCall);

    type Seen<'a> = O;

    fn again(arguments: &mut Arguments) {
        arguments.set_value(&[0; option::LARGEST]);
    }

    fn look<'a>(outcome: Outcome, arguments: &'a Arguments, _: Shown<'a, ()>) -> Result<O, Error> {
        outcome.check(Call::WskControlSocket)?;
        Ok(O::read(&arguments.value()))
    }
}

/// The request of an I/O control operation.
pub struct IoControl<C, O> {
    request: O,
    category: PhantomData<fn() -> C>,
}

/// An I/O control operation in flight, which the types of handles name.
pub struct IoControlling<C, O>(PhantomData<fn() -> (C, O)>);

pub(crate) fn ioctl<C: Category, O: Ioctl + 'static>(
    socket: &Handle<C>,
    request: O,
) -> Request<'_, IoControl<C, O>, ()> {
    Request {
        target: socket,
        function: IoControl::new(request),
        carried: (),
    }
}

impl<C, O> IoControl<C, O> {
    const fn new(request: O) -> Self {
        Self {
            request,
            category: PhantomData,
        }
    }
}

impl<C, O> Sealed for IoControl<C, O> {}

impl<C: Category, O: Ioctl + 'static> Function<()> for IoControl<C, O> {
    type Operation = IoControlling<C, O>;

    fn put<'x>(
        self,
        socket: &'x Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ControlCall>, Error> {
        ControlCall::ioctl(socket, &self.request, arguments, places)
    }
}

impl<C, O> Sealed for IoControlling<C, O> {}

impl<C: Category, O: Ioctl + 'static> Operation<()> for IoControlling<C, O> {
    type Way = Nothing;
    type Run = InPlace;

    control!(C, ControlCall, O::Output);

    fn read(outcome: Outcome, arguments: &mut Arguments, (): &mut ()) -> Result<O::Output, Error> {
        given::<O>(outcome, arguments)
    }
}

/// The output of a completed I/O control operation.
fn given<O: Ioctl>(outcome: Outcome, arguments: &Arguments) -> Result<O::Output, Error> {
    outcome.check(Call::WskControlSocket)?;
    O::output(&Output {
        bytes: arguments.output(),
    })
}

impl<C: Committed, O: Ioctl + 'static> Repeat<()> for IoControlling<C, O> {
    repeated_as_it_is!(C, ControlCall);

    type Seen<'a> = O::Output;

    fn again(arguments: &mut Arguments) {
        arguments.make_output_ready();
    }

    fn look<'a>(
        outcome: Outcome,
        arguments: &'a Arguments,
        _: Shown<'a, ()>,
    ) -> Result<O::Output, Error> {
        given::<O>(outcome, arguments)
    }
}

impl<C: Committed, O: Ioctl + 'static> Takes<O> for IoControlling<C, O> {
    fn take<'x>(
        request: O,
        socket: &'x Handle<C>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ControlCall>, Error> {
        IoControl::new(request).put(socket, (), arguments, places)
    }
}

/// The request to fix the remote address, or the destination, of a datagram socket.
#[derive(Debug)]
pub struct Fix {
    destination: bool,
    remote: Result<SocketAddr, UnknownFamily>,
}

/// The operation that fixes the remote address, or the destination, of a datagram socket, which the types of handles name.
#[derive(Debug)]
pub struct Fixing;

pub(crate) fn fix(
    socket: &Handle<DatagramCategory>,
    destination: bool,
    remote: Result<SocketAddr, UnknownFamily>,
) -> Request<'_, Fix, ()> {
    Request {
        target: socket,
        function: Fix {
            destination,
            remote,
        },
        carried: (),
    }
}

impl Sealed for Fix {}

impl Function<()> for Fix {
    type Operation = Fixing;

    fn put<'x>(
        self,
        socket: &'x Handle<DatagramCategory>,
        (): (),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ControlCall>, Error> {
        socket.require_bound()?;
        let family = socket.family();
        let remote = self.remote?;
        family.check_remote(&remote)?;
        family.write(remote, &mut arguments.address);
        Ok(ControlCall::fix(socket, self.destination, places))
    }
}

impl Sealed for Fixing {}

impl Operation<()> for Fixing {
    type Way = Nothing;
    type Run = InPlace;

    control!(DatagramCategory, ControlCall, ());

    fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

/// The request to disable events.
pub struct DisableEvents<C> {
    mask: u32,
    category: PhantomData<fn() -> C>,
}

/// The operation that disables events, which the types of handles name.
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

impl<C> Sealed for DisableEvents<C> {}

impl<C: Category> Function<()> for DisableEvents<C> {
    type Operation = DisablingEvents<C>;

    fn put<'x>(
        self,
        socket: &'x Handle<C>,
        (): (),
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, ControlCall>, Error> {
        ControlCall::disable_events(socket, self.mask, arguments, places)
    }
}

impl<C> Sealed for DisablingEvents<C> {}

impl<C: Category> Operation<()> for DisablingEvents<C> {
    type Way = Nothing;
    type Run = InPlace;

    control!(C, ControlCall, ());

    fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

/// The request to send a control code for whose input and output the driver vouches.
pub struct ControlRaw<C> {
    request: RawRequest,
    category: PhantomData<fn() -> C>,
}

/// The operation that sends such a control code.
pub struct ControllingRaw<C>(PhantomData<fn() -> C>);

/// The input of a request, and the room for its output, with copies in nonpaged pool.
pub type Raw<'b> = Beside<Copies, Borrowed<'b>>;

/// The input of a request, and the room for its output.
#[derive(Debug)]
pub struct Borrowed<'b> {
    input: &'b [u8],
    output: &'b mut [u8],
}

pub(crate) fn control_raw<'s, 'b, C: Category>(
    socket: &'s Handle<C>,
    control: RawControl<'b>,
    output: &'b mut [u8],
) -> Request<'s, ControlRaw<C>, Raw<'b>> {
    let (request, input) = control.into_parts();
    Request {
        target: socket,
        function: ControlRaw {
            request,
            category: PhantomData,
        },
        carried: raw(input, output),
    }
}

/// Carries the input and output without copying yet.
pub(super) fn raw<'b>(input: &'b [u8], output: &'b mut [u8]) -> Raw<'b> {
    Beside {
        ingredient: Copies::default(),
        buffer: Borrowed { input, output },
    }
}

impl Borrowed<'_> {
    /// Copies the input, and makes room for the output, in nonpaged pool.
    pub(super) fn copy_to(&self, copies: &mut Copies) -> Result<(), Error> {
        copies.make(self.input, self.output.len())
    }
}

impl Raw<'_> {
    /// Copies the output of a completed request. Returns the number of bytes that WSK reports.
    pub(super) fn read(&mut self, outcome: Outcome, call: Call) -> Result<usize, Error> {
        let output = &mut self.buffer.output;
        self.ingredient.read(output);
        outcome.check(call)?;
        Ok(outcome.information.min(output.len()))
    }
}

/// Carries bytes, and lends copies of them.
#[derive(Debug)]
pub struct Copied;

impl<'b> Way<Raw<'b>> for Copied {
    type Carry = With<Untouched>;

    nothing_comes_back!(Raw<'b>, core::mem::forget);
}

impl<C> Sealed for ControlRaw<C> {}

impl<C: Category> Function<Raw<'_>> for ControlRaw<C> {
    type Operation = ControllingRaw<C>;

    fn put<'x>(
        self,
        socket: &'x Handle<C>,
        (mut copies, borrowed): (Lending<'x, Copies>, Lending<'x, Borrowed<'_>>),
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Bound<'x, LentControlCall>, Error> {
        borrowed.copy_to(&mut copies)?;
        Ok(LentControlCall::raw(socket, self.request, copies.lend()))
    }
}

impl<C> Sealed for ControllingRaw<C> {}

impl<'b, C: Category> Operation<Raw<'b>> for ControllingRaw<C> {
    type Way = Copied;
    type Run = InPlace;

    control!(C, LentControlCall, usize);

    fn read(outcome: Outcome, _: &mut Arguments, carried: &mut Raw<'b>) -> Result<usize, Error> {
        carried.read(outcome, Call::WskControlSocket)
    }
}
