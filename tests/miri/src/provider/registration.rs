//! Registering, and capturing the provider.

use core::ffi::c_void;

use wsk_sys::{
    ADDRESS_FAMILY, EPROCESS, ETHREAD, IRP, NTSTATUS, SOCK_DGRAM, STATUS_SUCCESS, WSK_CLIENT_NPI,
    WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_STREAM_SOCKET, WSK_PROVIDER_CHARACTERISTICS,
    WSK_PROVIDER_DISPATCH, WSK_PROVIDER_NPI, WSK_REGISTRATION,
};

use crate::provider::request::{complete, take_on_always};
use crate::provider::{Kind, Place, basic, connection, resolution, world};

static DISPATCH: WSK_PROVIDER_DISPATCH = WSK_PROVIDER_DISPATCH {
    Version: 0x0100,
    Reserved: 0,
    WskSocket: Some(socket),
    WskSocketConnect: Some(connection::socket_connect),
    WskControlClient: None,
    WskGetAddressInfo: Some(resolution::get),
    WskFreeAddressInfo: Some(resolution::free),
    WskGetNameInfo: None,
};

/// `WskRegister`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn WskRegister(
    npi: *mut WSK_CLIENT_NPI,
    registration: *mut WSK_REGISTRATION,
) -> NTSTATUS {
    // SAFETY: the caller passes both.
    unsafe {
        assert!(!(*npi).Dispatch.is_null());
        (*registration).ReservedRegistrationState = 1;
    }
    world().registered += 1;
    STATUS_SUCCESS
}

/// `WskQueryProviderCharacteristics`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn WskQueryProviderCharacteristics(
    registration: *mut WSK_REGISTRATION,
    told: *mut WSK_PROVIDER_CHARACTERISTICS,
) -> NTSTATUS {
    // SAFETY: the caller passes a registration and the place.
    unsafe {
        assert_eq!((*registration).ReservedRegistrationState, 1);
        told.write(WSK_PROVIDER_CHARACTERISTICS {
            HighestVersion: 0x0100,
            LowestVersion: 0x0100,
        });
    }
    STATUS_SUCCESS
}

/// `WskDeregister`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn WskDeregister(registration: *mut WSK_REGISTRATION) {
    // SAFETY: the caller returns the registration.
    unsafe { (*registration).ReservedRegistrationState = 0 };
    world().registered -= 1;
}

/// `WskCaptureProviderNPI`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn WskCaptureProviderNPI(
    registration: *mut WSK_REGISTRATION,
    _: u32,
    npi: *mut WSK_PROVIDER_NPI,
) -> NTSTATUS {
    // SAFETY: the caller is registered, and has a place for the table.
    unsafe {
        assert_eq!((*registration).ReservedRegistrationState, 1);
        npi.write(WSK_PROVIDER_NPI {
            Client: registration.cast(),
            Dispatch: &raw const DISPATCH,
        });
    }
    world().captured += 1;
    STATUS_SUCCESS
}

/// `WskReleaseProviderNPI`.
///
/// # Safety
///
/// The contract of the kernel's function.
#[unsafe(no_mangle)]
unsafe extern "system" fn WskReleaseProviderNPI(registration: *mut WSK_REGISTRATION) {
    // SAFETY: the caller is registered.
    unsafe { assert_eq!((*registration).ReservedRegistrationState, 1) };
    world().captured -= 1;
}

/// `WskSocket`.
unsafe extern "system" fn socket(
    _: *mut c_void,
    _: ADDRESS_FAMILY,
    kind: u16,
    _: u32,
    flags: u32,
    context: *mut c_void,
    callbacks: *const c_void,
    _: *mut EPROCESS,
    _: *mut ETHREAD,
    _: *mut c_void,
    irp: *mut IRP,
) -> NTSTATUS {
    let kind = match (kind, flags) {
        (SOCK_DGRAM, _) => Kind::Datagram,
        (_, WSK_FLAG_LISTEN_SOCKET) => Kind::Listening,
        (_, WSK_FLAG_STREAM_SOCKET) => Kind::Stream,
        _ => Kind::Connection,
    };
    let (context, callbacks) = (Place(context), Place(callbacks.cast_mut()));
    take_on_always(0, irp, move |irp| {
        let number = basic::open(&mut world(), kind, context, callbacks);
        complete(irp, 0, STATUS_SUCCESS, number);
    })
}
