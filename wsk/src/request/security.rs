//! `SO_WSK_SECURITY` of
//! [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket): the security
//! descriptor of a socket, which is a pointer to one that WSK has cached.

use core::marker::PhantomData;
use core::ptr::NonNull;

use wsk_sys::{DispatchError, IRP, NTSTATUS, SO_WSK_SECURITY, SOL_SOCKET};

use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::registration::{DescriptorRoom, SecurityDescriptor};
use crate::request::control::{GET, Parameters, SET, control};
use crate::request::sealed::Sealed;
use crate::request::way::{Ingredient, Loan};
use crate::request::{Function, Operation, Own, Owning, Request, of_socket};
use crate::socket::{Category, Handle};

/// A pointer, as a number.
const POINTER: usize = size_of::<usize>();

/// The request to set the security descriptor of a socket.
pub struct SetSecurity<C>(PhantomData<fn() -> C>);

/// The operation that sets the security descriptor of a socket, in the types of handles.
pub struct SettingSecurity<C>(PhantomData<fn() -> C>);

/// The request to read the security descriptor of a socket.
pub struct GetSecurity<C>(PhantomData<fn() -> C>);

/// The operation that reads the security descriptor of a socket, in the types of handles.
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

/// It is carried so that WSK does not release it before the request is over.
impl Ingredient for SecurityDescriptor {}

impl Ingredient for DescriptorRoom {
    fn get_ready(&mut self) -> Result<(), Error> {
        self.reserve()
    }
}

impl<C> Sealed for SetSecurity<C> {}

impl<C: Category> Function<SecurityDescriptor> for SetSecurity<C> {
    type Operation = SettingSecurity<C>;

    fn put(
        self,
        socket: &Handle<C>,
        lent: Loan<SecurityDescriptor>,
        arguments: &mut Arguments,
        places: Places,
    ) -> Result<Parameters, Error> {
        let descriptor: [u8; POINTER] = lent.get().as_ptr().expose_provenance().to_ne_bytes();
        arguments.set_value(&descriptor);
        let mut parameters = Parameters::new(socket, SET, SO_WSK_SECURITY, SOL_SOCKET);
        parameters.input = Some(places.value(POINTER));
        Ok(parameters)
    }
}

/// What both operations have in common.
macro_rules! security {
    ($C:ty, $B:ty, $output:ty) => {
        type Way = Own;
        type Run = Owning;

        control!($C, $B, $output);
    };
}

impl<C> Sealed for SettingSecurity<C> {}

// SAFETY: one call is made, whose parameters point at the arguments, with a pointer to the cached descriptor that is carried; the
// socket is the target's.
unsafe impl<C: Category> Operation<SecurityDescriptor> for SettingSecurity<C> {
    security!(C, SecurityDescriptor, ());

    unsafe fn read(
        outcome: Outcome,
        _: &mut Arguments,
        _: &mut SecurityDescriptor,
    ) -> Result<(), Error> {
        outcome.check(Call::WskControlSocket)
    }
}

impl<C> Sealed for GetSecurity<C> {}

impl<C: Category> Function<DescriptorRoom> for GetSecurity<C> {
    type Operation = ReadingSecurity<C>;

    fn put(
        self,
        socket: &Handle<C>,
        lent: Loan<DescriptorRoom>,
        _: &mut Arguments,
        _: Places,
    ) -> Result<Parameters, Error> {
        let mut parameters = Parameters::new(socket, GET, SO_WSK_SECURITY, SOL_SOCKET);
        parameters.output = lent.get().place();
        Ok(parameters)
    }
}

/// What a request that has failed has written is no descriptor.
fn clear_unless_given(outcome: Outcome, room: &mut DescriptorRoom) {
    if !outcome.status.is_success() {
        room.clear();
    }
}

impl<C> Sealed for ReadingSecurity<C> {}

// SAFETY: one call is made, whose parameters point at what is carried; the socket is the target's.
unsafe impl<C: Category> Operation<DescriptorRoom> for ReadingSecurity<C> {
    security!(C, DescriptorRoom, SecurityDescriptor);

    unsafe fn read(
        outcome: Outcome,
        _: &mut Arguments,
        room: &mut DescriptorRoom,
    ) -> Result<SecurityDescriptor, Error> {
        clear_unless_given(outcome, room);
        outcome.check(Call::WskControlSocket)?;
        room.take().ok_or(Error::Taken)
    }

    /// What nobody takes is released with the room.
    unsafe fn unread(outcome: Outcome, room: &mut DescriptorRoom) {
        clear_unless_given(outcome, room);
    }
}
