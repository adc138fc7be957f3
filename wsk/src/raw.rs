//! Values that a driver vouches for, because this crate has no type for what it asks: they are made with unsafe code, and safe methods take
//! them.
//!
//! | value | method |
//! |---|---|
//! | [`RawControl`]: an option or an I/O control operation of a socket | [`control_raw`](crate::DatagramSocket::control_raw) of every socket |
//! | [`RawClientControl`]: an operation on the client | [`Provider::control_client_raw`](crate::Provider::control_client_raw), [`control_client_raw_request`](crate::Provider::control_client_raw_request) |
//! | [`RawDescriptor`]: a security descriptor | [`Provider::cache_security_descriptor`](crate::Provider::cache_security_descriptor) |
//! | [`StaticEvents`]: events of every socket of a client | [`Provider::enable_static_event_callbacks`](crate::Provider::enable_static_event_callbacks) |
//!
//! Other such values are where the types are that they go with: an [`Extent`](crate::Extent) for a [`DriverMdl`](crate::DriverMdl), an
//! [`Extension`](crate::ioctl::Extension), a [`SilentMode`](crate::ioctl::SilentMode).

#![forbid(unsafe_code)]

#[doc(alias("WskControlClient"))]
pub use crate::registration::RawClientControl;
#[doc(alias("PSECURITY_DESCRIPTOR"))]
pub use crate::registration::RawDescriptor;
#[doc(alias("WSK_SET_STATIC_EVENT_CALLBACKS", "WSK_EVENT_CALLBACK_CONTROL"))]
pub use crate::registration::StaticEvents;
#[doc(alias("WskControlSocket"))]
pub use crate::socket::calls::RawControl;
