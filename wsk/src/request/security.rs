//! `SO_WSK_SECURITY` of
//! [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket): the security
//! descriptor of a socket. Its value is a pointer to a descriptor that WSK has cached.

use core::marker::PhantomData;

use crate::buffer::carry::{Ingredient, Lending};
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::registration::{DescriptorRoom, SecurityDescriptor};
use crate::request::control::control;
use crate::request::sealed::Sealed;
use crate::request::{Function, Operation, Own, Owning, Repeat, Request, Shown};
use crate::socket::calls::{Bound, LentControlCall, Renewed};
use crate::socket::{Category, Committed, Handle};

/// The request to set the security descriptor of a socket.
pub struct SetSecurity<C>(PhantomData<fn() -> C>);

/// The operation that sets the security descriptor of a socket, which the types of handles name.
pub struct SettingSecurity<C>(PhantomData<fn() -> C>);

/// The request to read the security descriptor of a socket.
pub struct GetSecurity<C>(PhantomData<fn() -> C>);

/// The operation that reads the security descriptor of a socket, which the types of handles name.
pub struct ReadingSecurity<C>(PhantomData<fn() -> C>);

pub(crate) fn set_security<C: Category>(
    socket: &Handle<C>,
    descriptor: SecurityDescriptor,
) -> Request<'_, SetSecurity<C>, SecurityDescriptor> {
    Request {
        target: socket,
        function: SetSecurity(PhantomData),
        carried: descriptor,
    }
}

pub(crate) fn get_security<C: Category>(
    socket: &Handle<C>,
) -> Request<'_, GetSecurity<C>, DescriptorRoom> {
    Request {
        target: socket,
        function: GetSecurity(PhantomData),
        carried: DescriptorRoom::new(socket.capture()),
    }
}

/// The request carries the descriptor, so that WSK does not release it before the request is over.
impl Ingredient for SecurityDescriptor {}

impl Ingredient for DescriptorRoom {
    fn get_ready(&mut self) -> Result<(), Error> {
        self.reserve()
    }
}

impl<C> Sealed for SetSecurity<C> {}

impl<C: Category> Function<SecurityDescriptor> for SetSecurity<C> {
    type Operation = SettingSecurity<C>;

    fn put<'x>(
        self,
        socket: &'x Handle<C>,
        lent: Lending<'x, SecurityDescriptor>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, LentControlCall>, Error> {
        Ok(LentControlCall::set_security(
            socket,
            lent.lend(),
            arguments,
            places,
        ))
    }
}

/// The items that both operations share.
macro_rules! security {
    ($C:ty, $output:ty) => {
        type Way = Own;
        type Run = Owning;

        control!($C, LentControlCall, $output);
    };
}

impl<C> Sealed for SettingSecurity<C> {}

impl<C: Category> Operation<SecurityDescriptor> for SettingSecurity<C> {
    security!(C, ());

    fn read(outcome: Outcome, _: &mut Arguments, _: &mut SecurityDescriptor) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

impl<C: Committed> Repeat<SecurityDescriptor> for SettingSecurity<C> {
    type Seen<'a> = ();

    fn renew<'x>(
        _: &LentControlCall,
        socket: &'x Handle<C>,
        lent: Lending<'x, SecurityDescriptor>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Renewed<'x, LentControlCall>, Error> {
        SetSecurity(PhantomData)
            .put(socket, lent, arguments, places)
            .map(Renewed::from)
    }

    fn look<'a>(
        outcome: Outcome,
        _: &'a Arguments,
        _: Shown<'a, SecurityDescriptor>,
    ) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

impl<C> Sealed for GetSecurity<C> {}

impl<C: Category> Function<DescriptorRoom> for GetSecurity<C> {
    type Operation = ReadingSecurity<C>;

    fn put<'x>(
        self,
        socket: &'x Handle<C>,
        lent: Lending<'x, DescriptorRoom>,
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Bound<'x, LentControlCall>, Error> {
        Ok(LentControlCall::get_security(socket, lent.lend()))
    }
}

/// Clears the room unless the request succeeded: after a failure its contents are not a descriptor.
fn clear_unless_given(outcome: Outcome, room: &mut DescriptorRoom) {
    if !outcome.status.is_success() {
        room.clear();
    }
}

impl<C> Sealed for ReadingSecurity<C> {}

impl<C: Category> Operation<DescriptorRoom> for ReadingSecurity<C> {
    security!(C, SecurityDescriptor);

    fn read(
        outcome: Outcome,
        _: &mut Arguments,
        room: &mut DescriptorRoom,
    ) -> Result<SecurityDescriptor, Error> {
        clear_unless_given(outcome, room);
        outcome.check(Call::WskControlSocket)?;
        room.take().ok_or(Error::Taken)
    }

    /// If nobody takes the descriptor, it is released with the room.
    fn unread(outcome: Outcome, room: &mut DescriptorRoom) {
        clear_unless_given(outcome, room);
    }
}
