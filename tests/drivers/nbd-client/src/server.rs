//! A server of a network block device in memory, for tests of the driver on the host kernel and in Wine.

use std::io::{ErrorKind, Read, Result, Write};

/// The number of each kind of request from a client.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Served {
    /// Reads.
    pub(crate) reads: u32,
    /// Writes.
    pub(crate) writes: u32,
    /// Flushes.
    pub(crate) flushes: u32,
}

/// Serves a client until it ends the connection. `zeros` are sent where the protocol has them, even if the client does not need
/// them.
///
/// # Errors
///
/// The error of the connection, or a violation of the protocol by the client.
pub(crate) fn serve(mut client: impl Read + Write, disk: &mut [u8], zeros: bool) -> Result<Served> {
    let mut served = Served::default();
    client.write_all(b"NBDMAGICIHAVEOPT")?;
    client.write_all(&[0, if zeros { 1 } else { 3 }])?;
    let flags: [u8; 4] = read(&mut client)?;
    keep(flags == [0, 0, 0, if zeros { 1 } else { 3 }])?;
    let option: [u8; 16] = read(&mut client)?;
    keep(option == *b"IHAVEOPT\0\0\0\x01\0\0\0\0")?;
    client.write_all(&(disk.len() as u64).to_be_bytes())?;
    // The flags field is valid, and flushes are supported.
    client.write_all(&[0, 0b101])?;
    if zeros {
        client.write_all(&[0; 124])?;
    }
    loop {
        let request: [u8; 28] = match read(&mut client) {
            Ok(request) => request,
            Err(error) if ENDED.contains(&error.kind()) => return Ok(served),
            Err(error) => return Err(error),
        };
        keep(request.starts_with(&[0x25, 0x60, 0x95, 0x13, 0, 0, 0]))?;
        let offset = u64::from_be_bytes(request[16..24].try_into().unwrap());
        let length = u32::from_be_bytes(request[24..].try_into().unwrap());
        let place = usize::try_from(offset)
            .ok()
            .and_then(|offset| disk.get_mut(offset..)?.get_mut(..length as usize));
        let mut reply = [&[0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0], &request[8..16]].concat();
        match (request[7], place) {
            (0, Some(place)) => {
                served.reads += 1;
                reply.extend_from_slice(place);
            }
            (1, Some(place)) => {
                served.writes += 1;
                client.read_exact(place)?;
            }
            (3, _) => served.flushes += 1,
            // EINVAL.
            _ => reply[7] = 22,
        }
        // In pieces, because TCP does not keep bytes together.
        let (first, rest) = reply.split_at(7);
        client.write_all(first)?;
        client.flush()?;
        client.write_all(rest)?;
    }
}

/// The result for a connection that ended.
const ENDED: [ErrorKind; 3] = [
    ErrorKind::UnexpectedEof,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
];

fn read<const LENGTH: usize>(client: &mut impl Read) -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn keep(kept: bool) -> Result<()> {
    if kept {
        Ok(())
    } else {
        Err(ErrorKind::InvalidData.into())
    }
}
