//! A stand-in for wdk-sys, which needs a WDK to build. It has only the items that the template uses.

#![no_std]
#![allow(non_camel_case_types, non_snake_case, reason = "the names are those of C")]

use core::ffi::c_void;

pub type NTSTATUS = i32;
pub const STATUS_SUCCESS: NTSTATUS = 0;
pub const STATUS_DEVICE_BUSY: NTSTATUS = 0x8000_0011_u32.cast_signed();
pub const STATUS_DEVICE_NOT_READY: NTSTATUS = 0xC000_00A3_u32.cast_signed();

#[repr(C)]
pub struct _MDL {
    pub Next: *mut _MDL,
}
pub type MDL = _MDL;
pub type PMDL = *mut MDL;

#[repr(C)]
pub struct _IRP {
    pub MdlAddress: PMDL,
}
pub type IRP = _IRP;
pub type PIRP = *mut IRP;

pub type PDRIVER_UNLOAD = Option<unsafe extern "C" fn(DriverObject: *mut _DRIVER_OBJECT)>;

#[repr(C)]
pub struct _DRIVER_OBJECT {
    pub DriverUnload: PDRIVER_UNLOAD,
}
pub type DRIVER_OBJECT = _DRIVER_OBJECT;

#[repr(C)]
pub struct _DEVICE_OBJECT {
    pub DeviceExtension: *mut c_void,
}
pub type DEVICE_OBJECT = _DEVICE_OBJECT;
pub type PDEVICE_OBJECT = *mut DEVICE_OBJECT;

#[repr(C)]
pub struct _UNICODE_STRING {
    pub Length: u16,
    pub MaximumLength: u16,
    pub Buffer: *mut u16,
}
pub type UNICODE_STRING = _UNICODE_STRING;
pub type PCUNICODE_STRING = *const UNICODE_STRING;
