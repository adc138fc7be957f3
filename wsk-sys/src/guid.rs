//! Interface identifiers, which C code links from a static library (`uuid.lib`, `netio.lib`) and `raw-dylib` cannot import.

use crate::GUID;

/// Identifies the WSK network programming interface: the `NpiId` of `SO_WSK_EVENT_CALLBACK` and
/// `WSK_SET_STATIC_EVENT_CALLBACKS` refers to it.
///
/// Header: `wsk.h`. [Microsoft's page](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback).
pub static NPI_WSK_INTERFACE_ID: GUID = GUID {
    Data1: 0x2227_E803,
    Data2: 0x8D8B,
    Data3: 0x11D4,
    Data4: [0xAB, 0xAD, 0x00, 0x90, 0x27, 0x71, 0x9E, 0x09],
};
