//! A function in a pool, which takes any reference, is replaced by one that keeps its reference.
//! Somebody else would take that function from the pool: the type of its values is fixed.

use std::net::SocketAddr;
use wsk::{BufferPool, Error, PooledBuffer, Provider};

type Looks = for<'a> fn(&'a u8) -> bool;
type Keeps = fn(&'static u8) -> bool;

const LOOKS: Looks = |byte| *byte == 0;
const KEEPS: Keeps = |byte| std::thread::spawn(move || *byte == 0).join().is_ok();

pub(crate) fn program(_: &Provider, _: SocketAddr) -> Result<(), Error> {
    let pool = BufferPool::new(1, |_| Ok(LOOKS))?;
    let other: Option<PooledBuffer<Keeps>> = pool.take();
    if let Some(mut taken) = other {
        *taken = KEEPS;
    }
    Ok(())
}

fn main() {
    let _: fn(&_, _) -> _ = program;
}
