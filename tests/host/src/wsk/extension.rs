//! Extension interfaces, which a test offers. Stands for the providers behind `SIO_WSK_REGISTER_EXTENSION`.

use core::ffi::c_void;
use std::collections::BTreeMap;

use parking_lot::Mutex;
use wsk_sys::GUID;

/// Returns the provider's context and table of an extension interface in exchange for those of a client.
type Extension = dyn FnMut(*mut c_void, *const c_void) -> (*mut c_void, *const c_void) + Send;

/// The extension interfaces that the test offers, by the fields of their identifiers.
static EXTENSIONS: Mutex<BTreeMap<ExtensionId, Box<Extension>>> = Mutex::new(BTreeMap::new());

type ExtensionId = (u32, u16, u16, [u8; 8]);

fn extension_id(id: GUID) -> ExtensionId {
    (id.Data1, id.Data2, id.Data3, id.Data4)
}

/// Offers an extension interface.
pub(crate) fn offer(id: GUID, register: Box<Extension>) {
    EXTENSIONS.lock().insert(extension_id(id), register);
}

/// Registers a client for an extension interface, if there is one with this identifier.
pub(crate) fn register(
    id: GUID,
    context: *mut c_void,
    dispatch: *const c_void,
) -> Option<(*mut c_void, *const c_void)> {
    let mut extensions = EXTENSIONS.lock();
    let register = extensions.get_mut(&extension_id(id))?;
    Some(register(context, dispatch))
}

/// Forgets all extension interfaces.
pub(crate) fn reset() {
    EXTENSIONS.lock().clear();
}
