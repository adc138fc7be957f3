//! Servers for tests of the driver, on the host kernel and in Wine: a time server, a web server, and a message broker.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::UdpSocket;

/// The seconds from 1900, the start of NTP's time, to 1970.
const EPOCH: u64 = 2_208_988_800;

fn keep(kept: bool, rule: &str) -> Result<()> {
    if kept {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::InvalidData, rule))
    }
}

/// Answers one client that asks for the time with `seconds`, counted from 1970.
#[allow(dead_code, reason = "Wine has no datagrams")]
pub(crate) fn tell_time(socket: &UdpSocket, seconds: u64) -> Result<()> {
    let mut question = [0; 48];
    let (length, client) = socket.recv_from(&mut question)?;
    keep(length == 48, "a question of SNTP has 48 bytes")?;
    keep(question[0] & 7 == 3, "the client's mode")?;
    // The low 32 bits of the seconds.
    let now = (seconds + EPOCH) << 32;
    let mut answer = [0; 48];
    // Version 4, mode server, stratum 1.
    answer[..4].copy_from_slice(&[0x24, 1, 6, 0xEC]);
    answer[12..16].copy_from_slice(b"TEST");
    answer[16..24].copy_from_slice(&now.to_be_bytes());
    // The time that the client sent, the time of its arrival, and the time of this answer.
    answer[24..32].copy_from_slice(&question[40..48]);
    answer[32..40].copy_from_slice(&now.to_be_bytes());
    answer[40..48].copy_from_slice(&now.to_be_bytes());
    socket.send_to(&answer, client)?;
    Ok(())
}

/// Answers one request for a page, in pieces. Returns the request.
pub(crate) fn give_page(mut client: impl Read + Write, pieces: &[&str]) -> Result<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let [byte] = read(&mut client)?;
        request.push(byte);
    }
    client.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    for piece in pieces {
        write!(client, "{:x}\r\n{piece}\r\n", piece.len())?;
        client.flush()?;
    }
    client.write_all(b"0\r\n\r\n")?;
    String::from_utf8(request).map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

/// A broker of MQTT 5 for one client, until the client disconnects. It sends published messages to the client if the client has
/// subscribed to their topic. Returns the messages.
pub(crate) fn broker(mut client: impl Read + Write) -> Result<Vec<(String, Vec<u8>)>> {
    let (mut topics, mut published) = (Vec::new(), Vec::new());
    let (kind, connect) = packet(&mut client)?;
    keep(kind == 0x10, "the first packet is CONNECT")?;
    keep(connect.starts_with(b"\0\x04MQTT\x05"), "MQTT 5")?;
    // CONNACK: no session, success, no properties.
    client.write_all(&[0x20, 3, 0, 0, 0])?;
    loop {
        let (kind, body) = packet(&mut client)?;
        let mut rest = &body[..];
        match kind {
            // SUBSCRIBE: its identifier, properties, one topic, options.
            0x82 => {
                let identifier: [u8; 2] = read(&mut rest)?;
                let _ = bytes(&mut rest)?;
                topics.push(string(&mut rest)?);
                keep(rest.len() == 1, "one topic at a time")?;
                client.write_all(&[0x90, 4, identifier[0], identifier[1], 0, 0])?;
            }
            // PUBLISH, to be acknowledged: topic, identifier, properties, message.
            0x32 => {
                let topic = string(&mut rest)?;
                let identifier: [u8; 2] = read(&mut rest)?;
                let _ = bytes(&mut rest)?;
                client.write_all(&[0x40, 2, identifier[0], identifier[1]])?;
                if topics.contains(&topic) {
                    // At most once, without properties.
                    let length = u8::try_from(3 + topic.len() + rest.len());
                    let length = length.ok().filter(|length| *length < 0x80);
                    let length = length.ok_or(ErrorKind::InvalidData)?;
                    client.write_all(&[0x30, length, 0, u8::try_from(topic.len()).unwrap_or(0)])?;
                    client.write_all(topic.as_bytes())?;
                    client.write_all(&[0])?;
                    client.write_all(rest)?;
                }
                published.push((topic, rest.to_vec()));
            }
            // DISCONNECT
            0xE0 => return Ok(published),
            _ => keep(false, "a packet that this broker does not know")?,
        }
    }
}

/// One packet: its kind with its flags, and the rest.
fn packet(client: &mut impl Read) -> Result<(u8, Vec<u8>)> {
    let [kind] = read(client)?;
    Ok((kind, bytes(client)?))
}

/// Bytes preceded by their number, which has seven bits per byte.
fn bytes(from: &mut impl Read) -> Result<Vec<u8>> {
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let [byte] = read(from)?;
        length |= usize::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
        keep(shift < 28, "a length has four bytes at most")?;
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn string(from: &mut &[u8]) -> Result<String> {
    let length = usize::from(u16::from_be_bytes(read(from)?));
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

fn read<const N: usize>(from: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
