//! Methods that sockets of several categories share.

#![forbid(unsafe_code)]

use crate::address::Family;
use crate::error::Error;
use crate::request::{open, set_both_families};
use crate::socket::{Category, Handle, Making};

/// Opens a socket and waits for it. Opens a socket of `Family::Dual` to both families.
pub(crate) fn open_socket<C: Category>(making: Making<C>) -> Result<Handle<C>, Error> {
    let handle = open(making).wait()?;
    if handle.family() == Family::Dual {
        set_both_families(&handle)?;
    }
    Ok(handle)
}

/// Writes the methods of a socket that is bound to an address. The caller's documentation comments are added to `bind`.
macro_rules! bound_by_address {
    ($(#[$binding:meta])* $Socket:ident) => {
        impl $Socket {
            /// Gives the socket a local address; port 0 lets WSK choose one. IRQL: `<= APC_LEVEL`; waits.
            ///
            $(#[$binding])*
            ///
            /// [`WskBind`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_bind).
            ///
            /// # Errors
            ///
            /// [`Error::WrongIrql`], [`Error::NoMemory`], [`Error::WrongFamily`], or the error of WSK, such as
            /// `STATUS_SHARING_VIOLATION` or `STATUS_ADDRESS_ALREADY_EXISTS` for an address in use.
            #[doc(alias = "WskBind")]
            pub fn bind(&self, local: impl $crate::ToSocketAddr) -> Result<(), Error> {
                let local: SocketAddr = local.decoded()?;
                $crate::request::bind(&self.handle, &local)
            }

            /// [`bind`](Self::bind) to an address of any family, such as [`UnixAddress`](crate::UnixAddress). IRQL: `<= APC_LEVEL`;
            /// waits.
            ///
            /// # Errors
            ///
            /// As for [`bind`](Self::bind).
            #[doc(alias = "WskBind")]
            pub fn bind_to(&self, local: impl Into<$crate::Endpoint>) -> Result<(), Error> {
                let local: $crate::Endpoint = local.into();
                $crate::request::bind(&self.handle, &local)
            }

            /// The local address of a socket of any family. IRQL: `<= APC_LEVEL`; waits.
            ///
            /// # Errors
            ///
            /// As for [`local_address`](Self::local_address).
            #[doc(alias = "WskGetLocalAddress")]
            pub fn local_endpoint(&self) -> Result<$crate::Endpoint, Error> {
                $crate::request::local_address(&self.handle).wait()
            }

            /// The local address that the socket is bound to. IRQL: `<= APC_LEVEL`; waits.
            ///
            /// [`WskGetLocalAddress`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_local_address).
            ///
            /// # Errors
            ///
            /// [`Error::WrongIrql`], [`Error::NoMemory`], [`Error::NotBound`], or the error of WSK.
            #[doc(alias = "WskGetLocalAddress")]
            pub fn local_address(&self) -> Result<SocketAddr, Error> {
                $crate::request::local_address(&self.handle).wait()
            }
        }
    };
}

/// Writes the methods of `WskControlSocket`, which every socket has.
macro_rules! controlled {
    ($Socket:ident, $Category:ty) => {
        impl $Socket {
            /// The `WSK_SOCKET`, for functions in its dispatch table that this crate does not offer. IRQL: `<= DISPATCH_LEVEL`.
            ///
            /// Getting the pointer is safe; using it is unsafe. Code that uses it:
            ///
            /// * uses it only while this handle, or a clone of it, exists, and never closes the socket;
            /// * calls no entry beyond the end of the table, which may be shorter on an older Windows;
            /// * releases no indication that a [handler](crate::events) was given;
            /// * keeps the rules of [`RawControl::new`](crate::raw::RawControl::new), because the crate remembers whether the socket is bound, connected
            ///   or fixed to an address, and which events are enabled.
            ///
            /// A request of its own, with an IRP of its own, may be in flight when the last handle is dropped: closing cancels it.
            ///
            /// [`WSK_SOCKET`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_socket).
            #[doc(alias("WSK_SOCKET", "PWSK_SOCKET"))]
            #[must_use]
            pub fn as_wsk_socket(&self) -> core::ptr::NonNull<wsk_sys::WSK_SOCKET> {
                self.handle.as_ptr()
            }

            /// Sets or reads an option, or runs an I/O control operation, that has no type in this crate. The result is the number of
            /// bytes written to `output`.
            ///
            /// Input and output are copied to and from nonpaged pool, aligned to 16 bytes, which is allocated for the request. There is an
            /// example at [`RawControl`](crate::raw::RawControl).
            ///
            /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
            ///
            /// # Errors
            ///
            /// Of the request: [`Error::NoMemory`](crate::Error::NoMemory), or the error of WSK.
            #[doc(alias = "WskControlSocket")]
            pub fn control_raw<'s, 'b>(
                &'s self,
                control: $crate::raw::RawControl<'b>,
                output: &'b mut [u8],
            ) -> $crate::request::Request<
                's,
                $crate::request::ControlRaw<$Category>,
                $crate::request::Raw<'b>,
            > {
                $crate::request::control_raw(&self.handle, control, output)
            }

            /// Sets an option.
            ///
            /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
            ///
            /// # Errors
            ///
            /// Of the request: the error of WSK.
            #[doc(alias = "WskControlSocket")]
            pub fn set_option<O: $crate::option::SocketOption>(
                &self,
                option: O,
            ) -> Request<'_, $crate::request::SetOption<$Category, O>, ()> {
                $crate::request::set_option(&self.handle, option)
            }

            /// Reads an option.
            ///
            /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
            ///
            /// # Errors
            ///
            /// Of the request: the error of WSK.
            #[doc(alias = "WskControlSocket")]
            pub fn option<O: $crate::option::ReadableOption + 'static>(
                &self,
            ) -> Request<'_, $crate::request::GetOption<$Category, O>, ()> {
                $crate::request::get_option(&self.handle)
            }

            /// Runs an I/O control operation.
            ///
            /// [`WskControlSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket).
            ///
            /// # Errors
            ///
            /// Of the request: [`Error::WrongFamily`](crate::Error::WrongFamily), or the error of WSK.
            #[doc(alias = "WskControlSocket")]
            pub fn ioctl<O: $crate::ioctl::Ioctl + 'static>(
                &self,
                request: O,
            ) -> Request<'_, $crate::request::IoControl<$Category, O>, ()> {
                $crate::request::ioctl(&self.handle, request)
            }

            /// Registers the socket for an extension interface, and returns the functions that WSK implements. The
            /// constructor of an [extension](crate::ioctl::Extension::new) is unsafe, and lists the duties of the driver.
            /// IRQL: `<= DISPATCH_LEVEL`.
            ///
            /// [`SIO_WSK_REGISTER_EXTENSION`](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-register-extension).
            ///
            /// # Errors
            ///
            /// The error of WSK, such as `STATUS_NOT_SUPPORTED` for an interface that it does not know.
            #[doc(alias = "SIO_WSK_REGISTER_EXTENSION")]
            pub fn register_extension(
                &self,
                extension: $crate::ioctl::Extension,
            ) -> Result<$crate::ioctl::ExtensionProvider, $crate::Error> {
                $crate::request::register_extension(&self.handle, extension)
            }
        }
    };
}

/// Writes the methods for the security descriptor of a socket: a method to read it, and with `set` a method to set it before the
/// socket is bound.
macro_rules! secured {
    ($Socket:ident, $Category:ty) => {
        impl $Socket {
            /// Reads the security descriptor of the socket. The result is a copy, which WSK has cached. A socket without a
            /// descriptor of its own has that of the system, which lets nobody share its local address. Allocates room for the
            /// copy.
            ///
            /// [`SO_WSK_SECURITY`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-security).
            ///
            /// # Errors
            ///
            /// Of the request: [`Error::NoMemory`](crate::Error::NoMemory), or the error of WSK.
            #[doc(alias = "SO_WSK_SECURITY")]
            pub fn security_descriptor(
                &self,
            ) -> Request<'_, $crate::request::GetSecurity<$Category>, $crate::request::DescriptorRoom>
            {
                $crate::request::get_security(&self.handle)
            }
        }
    };
    ($Socket:ident, $Category:ty, set) => {
        $crate::methods::secured!($Socket, $Category);

        impl $Socket {
            /// Sets the security descriptor of the socket before it is bound: it determines who may share the local address.
            ///
            /// A socket [has it from the start](crate::Provider::secured_by) where it is opened so.
            ///
            /// [`SO_WSK_SECURITY`](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-security).
            ///
            /// # Errors
            ///
            /// Of the request: the error of WSK, as when the socket is bound.
            #[doc(alias = "SO_WSK_SECURITY")]
            pub fn set_security_descriptor(
                &self,
                descriptor: &$crate::SecurityDescriptor,
            ) -> Request<'_, $crate::request::SetSecurity<$Category>, $crate::SecurityDescriptor>
            {
                $crate::request::set_security(&self.handle, descriptor.clone())
            }
        }
    };
}

/// Writes the method that closes a socket. The caller's documentation comments are added to it.
macro_rules! closed {
    ($(#[$closing:meta])* $Socket:ident) => {
        impl $Socket {
            /// Closes the socket and waits until WSK is done with it, and so until event handlers have returned: it must not be called
            /// from one. IRQL: `<= APC_LEVEL`.
            ///
            $(#[$closing])*
            ///
            /// [`WskCloseSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket).
            ///
            /// # Errors
            ///
            /// [`Error::WrongIrql`]: it closes without being waited for. [`Error::InUse`] when there are other handles: the socket
            /// closes when the last is dropped. Else the error of WSK; the socket is gone in any case.
            #[doc(alias = "WskCloseSocket")]
            pub fn close(self) -> Result<(), Error> {
                $crate::request::close(self.handle)
            }
        }
    };
}

pub(crate) use {bound_by_address, closed, controlled, secured};
