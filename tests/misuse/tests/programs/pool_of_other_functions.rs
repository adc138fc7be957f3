//! A pool of functions that take any reference is used as one of functions that keep theirs, which it would give to others.
//! What is put into a pool comes out of it elsewhere: its type is the same everywhere.

use std::net::SocketAddr;
use wsk::{BufferPool, Error, Provider};

type Looks = for<'a> fn(&'a u8) -> bool;
type Keeps = fn(&'static u8) -> bool;

const LOOKS: Looks = |byte| *byte == 0;
const KEEPS: Keeps = |byte| std::thread::spawn(move || *byte == 0).join().is_ok();

pub(crate) fn program(_: &Provider, _: SocketAddr) -> Result<(), Error> {
    let pool = BufferPool::new(1, |_| Ok(LOOKS))?;
    let others: &BufferPool<Keeps> = &pool;
    if let Some(mut taken) = others.take() {
        *taken = KEEPS;
    }
    Ok(())
}

fn main() {
    let _: fn(&_, _) -> _ = program;
}
