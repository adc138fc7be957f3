//! The protocol of network block devices: the bytes on the connection, in network order.
//! <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>

/// The start of a server's greeting, and the start of each option.
pub(crate) const GREETING: [u8; 8] = *b"NBDMAGIC";
pub(crate) const OPTION: [u8; 8] = *b"IHAVEOPT";
/// Flags of a greeting and of the client's answer: options are negotiated one by one, and optional zeros are left out.
const FIXED_NEWSTYLE: u16 = 1;
const NO_ZEROES: u16 = 2;
/// The option that selects a device, and the most zeros in the server's answer.
const EXPORT_NAME: u32 = 1;
pub(crate) const ZEROES: usize = 124;

/// The length of a request and of its reply.
pub(crate) const REQUEST: usize = 28;
pub(crate) const REPLY: usize = 16;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;

/// A request to a device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Read = 0,
    Write = 1,
    Flush = 3,
}

/// The client's answer to a greeting, and whether the server then leaves out the zeros. `None` if it is not a greeting.
pub(crate) fn answer(greeting: &[u8; 18]) -> Option<([u8; 4], bool)> {
    let rest = greeting.strip_prefix(&GREETING)?.strip_prefix(&OPTION)?;
    let flags = u16::from_be_bytes(*rest.first_chunk()?);
    if flags & FIXED_NEWSTYLE == 0 {
        return None;
    }
    let answer = u32::from(flags & (FIXED_NEWSTYLE | NO_ZEROES));
    Some((answer.to_be_bytes(), flags & NO_ZEROES != 0))
}

/// The option that selects the default device, whose name is empty.
pub(crate) fn export() -> [u8; 16] {
    together([&OPTION, &EXPORT_NAME.to_be_bytes(), &[0; 4]])
}

/// A request in the form in which it is sent.
pub(crate) fn request(command: Command, cookie: u64, offset: u64, length: u32) -> [u8; REQUEST] {
    together([
        &REQUEST_MAGIC.to_be_bytes(),
        &[0; 2],
        &(command as u16).to_be_bytes(),
        &cookie.to_be_bytes(),
        &offset.to_be_bytes(),
        &length.to_be_bytes(),
    ])
}

/// Concatenates fields.
fn together<const LENGTH: usize, const FIELDS: usize>(fields: [&[u8]; FIELDS]) -> [u8; LENGTH] {
    let mut all = [0; LENGTH];
    let bytes = fields.into_iter().flatten();
    all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    all
}

/// The error in a reply, 0 for success. `None` if it is not a reply to this request.
pub(crate) fn error(reply: &[u8; REPLY], cookie: u64) -> Option<u32> {
    let rest = reply.strip_prefix(&REPLY_MAGIC.to_be_bytes())?;
    let (error, rest) = rest.split_first_chunk()?;
    (rest == cookie.to_be_bytes()).then(|| u32::from_be_bytes(*error))
}
