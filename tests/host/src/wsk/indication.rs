//! Datagrams on their way to a driver's `WskReceiveFromEvent`: lists of `WSK_DATAGRAM_INDICATION`, and their release.

use core::ptr;
use std::net::SocketAddr;

use wsk_sys::{
    MDL, MDL_SOURCE_IS_NONPAGED_POOL, NTSTATUS, SOCKADDR_IN6, WSK_BUF, WSK_DATAGRAM_INDICATION,
};

use super::address::{self, Family};
use crate::bugcheck::{bugcheck, violation};
use crate::origin::Origin;
use crate::pool::{self, PAGE_SIZE, Use};
use crate::table::Table;

/// A datagram that has arrived.
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: SocketAddr,
    /// `CMSGHDR` objects.
    pub(crate) control: Vec<u8>,
}

/// What the provider has given out, by the address of the first indication of each list.
static LISTS: Table<List> = Table::new();

struct List {
    socket: usize,
    /// Addresses of the blocks, one for each datagram, each with an indication at its start.
    blocks: Vec<usize>,
    /// Whether the driver has said that it keeps the list.
    retained: Option<Origin>,
}

const MDL_AT: usize = size_of::<WSK_DATAGRAM_INDICATION>();
/// The most bytes and so the most pages that a datagram touches.
const NUMBERS: usize = 65_536 / PAGE_SIZE + 2;
const ADDRESS_AT: usize = MDL_AT + size_of::<MDL>() + NUMBERS * size_of::<usize>();
const DATA_AT: usize = (ADDRESS_AT + size_of::<SOCKADDR_IN6>() + 15) & !15;

/// Builds a list for a driver, in order.
pub(crate) fn build(
    socket: usize,
    family: Family,
    messages: &[Message],
) -> Option<*mut WSK_DATAGRAM_INDICATION> {
    let mut blocks = Vec::new();
    let mut next: *mut WSK_DATAGRAM_INDICATION = ptr::null_mut();
    for message in messages.iter().rev() {
        let control_at = (DATA_AT + message.bytes.len().max(1)).next_multiple_of(8);
        let length = control_at + message.control.len();
        let block = pool::allocate(
            length,
            u32::from_le_bytes(*b"WskI"),
            Use::Indication,
            true,
            Origin::here("the provider"),
        )?;
        let first = block.cast::<WSK_DATAGRAM_INDICATION>();
        // SAFETY: the block has room for the parts at their offsets, which are aligned for them.
        unsafe {
            let data = block.add(DATA_AT);
            ptr::copy_nonoverlapping(message.bytes.as_ptr(), data, message.bytes.len());
            let mdl = block.add(MDL_AT).cast::<MDL>();
            #[allow(
                clippy::cast_possible_truncation,
                reason = "a datagram has less than 65,536 bytes"
            )]
            mdl.write(MDL {
                Next: ptr::null_mut(),
                Size: (size_of::<MDL>() + NUMBERS * size_of::<usize>()) as i16,
                MdlFlags: MDL_SOURCE_IS_NONPAGED_POOL,
                Process: ptr::null_mut(),
                MappedSystemVa: data.cast(),
                StartVa: data.map_addr(|address| address & !(PAGE_SIZE - 1)).cast(),
                ByteCount: message.bytes.len() as u32,
                ByteOffset: (data as usize % PAGE_SIZE) as u32,
            });
            let remote = block.add(ADDRESS_AT).cast();
            address::write(remote, message.from, family);
            let control = block.add(control_at);
            ptr::copy_nonoverlapping(message.control.as_ptr(), control, message.control.len());
            first.write(WSK_DATAGRAM_INDICATION {
                Next: next,
                Buffer: WSK_BUF {
                    Mdl: mdl,
                    Offset: 0,
                    Length: message.bytes.len(),
                },
                ControlInfo: if message.control.is_empty() {
                    ptr::null_mut()
                } else {
                    control.cast()
                },
                ControlInfoLength: message.control.len() as u32,
                RemoteAddress: remote,
            });
        }
        next = first;
        blocks.push(block as usize);
    }
    if !next.is_null() {
        let _ = LISTS.lock(next as usize).insert(
            next as usize,
            List {
                socket,
                blocks,
                retained: None,
            },
        );
    }
    Some(next)
}

/// The driver keeps a list until it calls `WskRelease`.
///
/// It may have called that already, on another thread.
pub(crate) fn retain(list: *mut WSK_DATAGRAM_INDICATION) {
    if let Some(list) = LISTS.lock(list as usize).get(list as usize) {
        list.retained = Some(Origin::here(
            "WskReceiveFromEvent, which returned STATUS_PENDING",
        ));
    }
}

/// Takes a list back.
pub(crate) fn release(
    function: &'static str,
    socket: usize,
    list: *mut WSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    let address = list as usize;
    let mut locked = LISTS.lock(address);
    let known = locked
        .get(address)
        .is_some_and(|list| list.socket == socket);
    if !known {
        drop(locked);
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, socket, address, 0),
            [pool::story(address)],
            "{function} was called for a datagram indication that isn't one that this socket has retained (any more)"
        )
    }
    let list = locked.remove(address);
    drop(locked);
    for block in list.into_iter().flat_map(|list| list.blocks) {
        if let Some(block) = pool::take(block, |block| block.usage() == Use::Indication) {
            crate::irp::memory_freed(&block);
            pool::release(block, function);
        }
    }
    wsk_sys::STATUS_SUCCESS
}

/// A list that is retained from a socket, for a report.
pub(crate) fn retained(socket: usize) -> Option<String> {
    LISTS.find(|address, list| {
        let retained = list.retained.as_ref().filter(|_| list.socket == socket)?;
        Some(format!(
            "{} datagrams at {address:#x}, retained by {retained}",
            list.blocks.len()
        ))
    })
}

/// Forgets everything.
pub(crate) fn reset() {
    LISTS.clear();
}
