//! A pool of functions that take any reference is used as a pool of functions that keep their reference.
//! Both kinds of function could come out of the pool anywhere: the type of its values is fixed.

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
