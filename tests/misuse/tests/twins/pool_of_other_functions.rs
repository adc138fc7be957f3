//! The right form of `pool_of_other_functions`.

use std::net::SocketAddr;
use wsk::{BufferPool, Error, Provider};

type Looks = for<'a> fn(&'a u8) -> bool;
type Keeps = fn(&'static u8) -> bool;

const LOOKS: Looks = |byte| *byte == 0;
const KEEPS: Keeps = |byte| std::thread::spawn(move || *byte == 0).join().is_ok();

pub(crate) fn program(_: &Provider, _: SocketAddr) -> Result<(), Error> {
    let pool = BufferPool::new(1, |_| Ok(LOOKS as Keeps))?;
    let others: &BufferPool<Keeps> = &pool;
    if let Some(mut taken) = others.take() {
        *taken = KEEPS;
    }
    Ok(())
}
