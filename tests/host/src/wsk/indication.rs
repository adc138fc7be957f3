//! Data for a driver's `WskReceiveFromEvent` and `WskReceiveEvent`: lists of `WSK_DATAGRAM_INDICATION` and of
//! `WSK_DATA_INDICATION`, and their release.

use core::ffi::c_void;
use core::ptr;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use wsk_sys::{
    MDL, MDL_PAGES_LOCKED, MDL_SOURCE_IS_NONPAGED_POOL, NTSTATUS, SOCKADDR_IN6, WSK_BUF,
    WSK_DATA_INDICATION, WSK_DATAGRAM_INDICATION,
};

use super::address::{self, Family};
use crate::bugcheck::{bugcheck, violation};
use crate::origin::Origin;
use crate::pool::{self, PAGE_SIZE, Use};
use crate::table::Table;

/// A datagram that has arrived.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: SocketAddr,
    /// `CMSGHDR` objects.
    pub(crate) control: Vec<u8>,
    /// Whether no other datagram may be joined to this one: it joins several datagrams already, or reports an error.
    pub(crate) whole: bool,
}

/// The lists that drivers have, by the address of the first indication of each.
static LISTS: Table<List> = Table::new();
/// For each indication: the first indication of its list.
static FIRSTS: Table<usize> = Table::new();

struct List {
    socket: usize,
    /// The addresses of the blocks that the driver has not given back. There is one block for each datagram or piece of a stream,
    /// and each begins with an indication.
    blocks: Vec<usize>,
    /// Where the driver has retained the list; `None` before.
    retained: Option<Origin>,
}

/// The offsets of the parts of a block: an indication of either kind is at 0, then come its MDL, an address and the data.
const MDL_AT: usize = size_of::<WSK_DATAGRAM_INDICATION>();
/// The most pages that a datagram or a piece of a stream touches.
const NUMBERS: usize = 65_536 / PAGE_SIZE + 2;
const MDL_SIZE: usize = size_of::<MDL>() + NUMBERS * size_of::<usize>();
const ADDRESS_AT: usize = MDL_AT + MDL_SIZE;
const DATA_AT: usize = (ADDRESS_AT + size_of::<SOCKADDR_IN6>() + 15) & !15;
const _: () = assert!(size_of::<WSK_DATA_INDICATION>() <= MDL_AT);
/// The most bytes of a stream in one indication, as if each were a segment of the usual size.
const SEGMENT: usize = 1460;

/// An MDL for bytes at `start`, mapped or not.
fn mdl(start: *mut u8, length: usize, mapped: bool, next: *mut MDL) -> MDL {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a datagram has less than 65,536 bytes, and so has a segment"
    )]
    MDL {
        Next: next,
        Size: MDL_SIZE as i16,
        MdlFlags: if mapped {
            MDL_SOURCE_IS_NONPAGED_POOL
        } else {
            MDL_PAGES_LOCKED as i16
        },
        Process: ptr::null_mut(),
        MappedSystemVa: if mapped {
            start.cast()
        } else {
            ptr::null_mut()
        },
        StartVa: start.map_addr(|address| address & !(PAGE_SIZE - 1)).cast(),
        ByteCount: length as u32,
        ByteOffset: (start as usize % PAGE_SIZE) as u32,
    }
}

/// Allocates a block with `bytes`, an MDL for them, and the `CMSGHDR` objects in `control`. Returns the block, the buffer and the
/// address of the objects.
fn block(bytes: &[u8], control: &[u8]) -> Option<(*mut u8, WSK_BUF, *mut u8)> {
    if super::SCATTERED.load(Ordering::Relaxed) {
        return scattered_block(bytes, control);
    }
    let control_at = (DATA_AT + bytes.len().max(1)).next_multiple_of(8);
    let block = pool::allocate(
        control_at + control.len(),
        u32::from_le_bytes(*b"WskI"),
        Use::Indication,
        true,
        Origin::here("the provider"),
    )?;
    // SAFETY: the block has room for the parts at their offsets, which are aligned for them.
    let (chain, place) = unsafe {
        let data = block.add(DATA_AT);
        ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
        let place = block.add(control_at);
        ptr::copy_nonoverlapping(control.as_ptr(), place, control.len());
        let chain = block.add(MDL_AT).cast::<MDL>();
        chain.write(mdl(data, bytes.len(), true, ptr::null_mut()));
        (chain, place)
    };
    let buffer = WSK_BUF {
        Mdl: chain,
        Offset: 0,
        Length: bytes.len(),
    };
    Some((block, buffer, place))
}

/// As [`block`], but the bytes lie in three places with rubbish around them. Unmapped MDLs describe the places, and one more MDL
/// describes none of the bytes.
fn scattered_block(bytes: &[u8], control: &[u8]) -> Option<(*mut u8, WSK_BUF, *mut u8)> {
    const RUBBISH: usize = 5;
    let third = bytes.len().div_ceil(3);
    let (first, rest) = bytes.split_at(third);
    let (second, last) = rest.split_at(third.min(rest.len()));
    let pieces = [first, &[], second, last];
    let data_length = bytes.len() + 2 * RUBBISH * pieces.len();
    let control_at = (DATA_AT + data_length).next_multiple_of(8);
    let chain_at = (control_at + control.len()).next_multiple_of(16);
    let block = pool::allocate(
        chain_at + pieces.len() * MDL_SIZE,
        u32::from_le_bytes(*b"WskI"),
        Use::Indication,
        true,
        Origin::here("the provider"),
    )?;
    // SAFETY: the block has room for the parts at their offsets, which are aligned for them.
    unsafe {
        let place = block.add(control_at);
        ptr::copy_nonoverlapping(control.as_ptr(), place, control.len());
        ptr::write_bytes(block.add(DATA_AT), 0xAD, data_length);
        let mut data = block.add(DATA_AT);
        for (index, piece) in pieces.iter().enumerate() {
            ptr::copy_nonoverlapping(piece.as_ptr(), data.add(RUBBISH), piece.len());
            // The first MDL also covers the rubbish before its piece, and the last MDL twice the rubbish behind its piece.
            let before = if index == 0 { 0 } else { RUBBISH };
            let after = if index + 1 == pieces.len() {
                2 * RUBBISH
            } else {
                RUBBISH
            };
            let start = data.add(before);
            let here = block.add(chain_at + index * MDL_SIZE).cast::<MDL>();
            let next = if index + 1 == pieces.len() {
                ptr::null_mut()
            } else {
                here.byte_add(MDL_SIZE)
            };
            here.write(mdl(start, piece.len() + after - before, false, next));
            data = data.add(piece.len() + 2 * RUBBISH);
        }
        let buffer = WSK_BUF {
            Mdl: block.add(chain_at).cast(),
            Offset: RUBBISH as u32,
            Length: bytes.len(),
        };
        Some((block, buffer, place))
    }
}

fn given(socket: usize, first: usize, blocks: Vec<usize>) {
    if first != 0 {
        for &block in &blocks {
            let _ = FIRSTS.lock(block).insert(block, first);
        }
        let list = List {
            socket,
            blocks,
            retained: None,
        };
        let _ = LISTS.lock(first).insert(first, list);
    }
}

/// Builds a list of datagrams for a driver, in order.
pub(crate) fn build(
    socket: usize,
    family: Family,
    messages: &[Message],
) -> Option<*mut WSK_DATAGRAM_INDICATION> {
    let mut blocks = Vec::new();
    let mut next: *mut WSK_DATAGRAM_INDICATION = ptr::null_mut();
    for message in messages.iter().rev() {
        let (block, buffer, control) = block(&message.bytes, &message.control)?;
        let first = block.cast::<WSK_DATAGRAM_INDICATION>();
        // SAFETY: the block has room for the parts at their offsets, which are aligned for them.
        unsafe {
            let remote = block.add(ADDRESS_AT).cast();
            address::write(remote, message.from, family);
            first.write(WSK_DATAGRAM_INDICATION {
                Next: next,
                Buffer: buffer,
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
    given(socket, next as usize, blocks);
    Some(next)
}

/// Builds a list of the bytes of a stream for a driver, in order.
pub(crate) fn build_stream(socket: usize, bytes: &[u8]) -> Option<*mut WSK_DATA_INDICATION> {
    let mut blocks = Vec::new();
    let mut next: *mut WSK_DATA_INDICATION = ptr::null_mut();
    for segment in bytes.chunks(SEGMENT).rev() {
        let (block, buffer, _) = block(segment, &[])?;
        let first = block.cast::<WSK_DATA_INDICATION>();
        // SAFETY: the block has room for it at its start.
        unsafe {
            first.write(WSK_DATA_INDICATION {
                Next: next,
                Buffer: buffer,
            });
        }
        next = first;
        blocks.push(block as usize);
    }
    given(socket, next as usize, blocks);
    Some(next)
}

/// Records that the driver keeps a list until it calls `WskRelease`.
///
/// Another thread of the driver may have called `WskRelease` already.
pub(crate) fn retain(list: *mut c_void, callback: &'static str) {
    if let Some(list) = LISTS.lock(list as usize).get(list as usize) {
        list.retained = Some(Origin::here(callback));
    }
}

/// Takes a list back from the driver: an indication, and all that follow it by `Next`.
///
/// The documentation speaks of the whole list, but Windows also takes parts of it: some drivers use `Next` for their own purposes
/// while they keep a list, and give back one indication after the other.
///
/// # Safety
///
/// The driver doesn't change `Next` of what it gives back any more.
pub(crate) unsafe fn release(function: &'static str, socket: usize, list: *mut c_void) -> NTSTATUS {
    let mut blocks = Vec::new();
    let mut next = list.cast::<WSK_DATA_INDICATION>();
    while !next.is_null() || blocks.is_empty() {
        let address = next as usize;
        take(function, socket, address);
        blocks.push(address);
        // SAFETY: it was given out until now, so it is there; both kinds of indications begin with this member.
        next = unsafe { (*next).Next };
    }
    super::free(blocks, Use::Indication, function);
    wsk_sys::STATUS_SUCCESS
}

/// Takes back a list that the driver got and has not retained, even if the driver has changed the list.
pub(crate) fn take_back(function: &'static str, list: *mut c_void) {
    let blocks = LISTS
        .lock(list as usize)
        .get(list as usize)
        .map(|list| (list.socket, list.blocks.clone()));
    let Some((socket, blocks)) = blocks else {
        unknown(function, 0, list as usize)
    };
    for &block in &blocks {
        take(function, socket, block);
    }
    super::free(blocks, Use::Indication, function);
}

/// Takes one indication out of its list; stops the system when it isn't in a list of the socket.
fn take(function: &str, socket: usize, address: usize) {
    let first = FIRSTS.lock(address).get(address).copied();
    let Some(first) = first else {
        unknown(function, socket, address)
    };
    let mut locked = LISTS.lock(first);
    let Some(list) = locked.get(first).filter(|list| list.socket == socket) else {
        drop(locked);
        unknown(function, socket, address)
    };
    list.blocks.retain(|block| *block != address);
    if list.blocks.is_empty() {
        let _ = locked.remove(first);
    }
    drop(locked);
    let _ = FIRSTS.lock(address).remove(address);
}

fn unknown(function: &str, socket: usize, address: usize) -> ! {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, socket, address, 0),
        [pool::story(address)],
        "{function} was called for an indication that isn't one that this socket has retained (any more)"
    )
}

/// Describes a list that the driver has retained from a socket, for a report.
pub(crate) fn retained(socket: usize) -> Option<String> {
    LISTS.find(|address, list| {
        let retained = list.retained.as_ref().filter(|_| list.socket == socket)?;
        Some(format!(
            "{} indications at {address:#x}, retained by {retained}, which returned STATUS_PENDING",
            list.blocks.len()
        ))
    })
}

/// Forgets all lists.
pub(crate) fn reset() {
    LISTS.clear();
    FIRSTS.clear();
}
