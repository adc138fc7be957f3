//! Many threads look up names and then drop the lookups, while their driver unloads.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use wsk::operation::InFlight;
use wsk::request::{Looking, Resolving};
use wsk::{AddressInfo, Error, Provider};
use wsk_host::{DISPATCH_LEVEL, at_irql};
use wsk_schedules::{Dice, client};

use crate::underway::{act, anywhere, at_once};

enum Held {
    Resolve(InFlight<Resolving, Looking>),
    Found(AddressInfo),
}

pub(crate) fn schedule(dice: &mut Dice) {
    let (registration, provider) = client().unwrap();
    let table: Mutex<Vec<Held>> = Mutex::default();
    let threads = 2 + dice.index(2);
    let actor = |_| (provider.clone(), Dice::new(dice.throw()));
    let actors = (0..threads).map(actor).collect();
    at_once(
        actors,
        |(provider, dice)| run(provider, dice, &table),
        || drop(provider),
    );
    // Dropped where they cannot be released at once. The registration waits for them.
    let rest = table.into_inner().unwrap();
    at_irql(DISPATCH_LEVEL, || drop(rest));
    drop(registration);
}

fn run(provider: Provider, dice: Dice, table: &Mutex<Vec<Held>>) {
    let mut dice = dice;
    let mut held = Vec::new();
    for _ in 0..3 + dice.below(6) {
        match dice.below(8) {
            0..=2 => held.push(Held::Resolve(
                provider.resolve(("127.0.0.1", "80")).start().unwrap(),
            )),
            3 => {
                let limit = Duration::from_micros(dice.below(400));
                match provider.resolve(("127.0.0.1", "80")).wait_timeout(limit) {
                    Ok(found) => held.push(Held::Found(found)),
                    Err(Error::TimedOut { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            4 => {
                let mut table = table.lock().unwrap();
                let others = table.pop();
                table.extend(held.pop());
                drop(table);
                held.extend(others);
            }
            _ => {
                let left = held.pop().and_then(|one| one_step(&mut dice, one));
                held.extend(left);
            }
        }
    }
    if dice.toss() {
        anywhere(&mut dice, || drop(provider));
    }
    for one in held {
        anywhere(&mut dice, || drop(one));
    }
}

fn one_step(dice: &mut Dice, one: Held) -> Option<Held> {
    match one {
        Held::Resolve(resolve) => match act(dice, resolve, true) {
            Ok(end) => match end? {
                Ok(found) => Some(Held::Found(found)),
                Err(Error::Call { .. }) => None,
                Err(error) => panic!("{error}"),
            },
            Err(resolve) => Some(Held::Resolve(resolve)),
        },
        Held::Found(found) => {
            let expected: SocketAddr = "127.0.0.1:80".parse().unwrap();
            assert!(found.iter().eq([expected]), "{found:?}");
            anywhere(dice, || drop(found));
            None
        }
    }
}
