//! Tables of values by address: one in shards, so that processors seldom wait for each other, and one that forgets old values.

use core::hash::{BuildHasherDefault, Hasher};
use std::collections::{BTreeMap, HashMap};

use parking_lot::{Mutex, MutexGuard};

const SHARDS: usize = 32;

/// Hashes one address: a multiplication spreads it well enough.
#[derive(Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte) ^ self.0.rotate_left(8) as usize);
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = spread(address);
    }
}

const fn spread(address: usize) -> u64 {
    let mixed = (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

type Shard<T> = HashMap<usize, T, BuildHasherDefault<AddressHasher>>;

/// Values by address.
pub(crate) struct Table<T> {
    shards: [Mutex<Option<Shard<T>>>; SHARDS],
}

/// A locked shard. It may only be asked for the address that [`Table::lock`] got.
pub(crate) struct Locked<'t, T>(MutexGuard<'t, Option<Shard<T>>>);

impl<T> Table<T> {
    /// An empty table.
    pub(crate) const fn new() -> Self {
        Self {
            shards: [const { Mutex::new(None) }; SHARDS],
        }
    }

    /// Locks the shard of `address`.
    #[inline]
    pub(crate) fn lock(&self, address: usize) -> Locked<'_, T> {
        Locked(self.shards[(spread(address) >> 16) as usize % SHARDS].lock())
    }

    /// Calls `visit` with every entry, one shard locked at a time, until it returns `Some`.
    pub(crate) fn find<R>(&self, mut visit: impl FnMut(usize, &mut T) -> Option<R>) -> Option<R> {
        self.shards.iter().find_map(|shard| {
            shard.lock().as_mut().and_then(|shard| {
                shard
                    .iter_mut()
                    .find_map(|(&address, value)| visit(address, value))
            })
        })
    }

    /// Calls `visit` with every entry.
    pub(crate) fn each(&self, mut visit: impl FnMut(usize, &mut T)) {
        self.find(|address, value| -> Option<()> {
            visit(address, value);
            None
        });
    }

    /// Takes out the entries that `choose` accepts.
    pub(crate) fn extract(&self, mut choose: impl FnMut(usize, &T) -> bool) -> Vec<(usize, T)> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            if let Some(shard) = shard.lock().as_mut() {
                taken.extend(shard.extract_if(|&address, value| choose(address, value)));
            }
        }
        taken
    }

    /// Removes all entries.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            *shard.lock() = None;
        }
    }
}

impl<T> Locked<'_, T> {
    #[inline]
    pub(crate) fn get(&mut self, address: usize) -> Option<&mut T> {
        self.0.as_mut()?.get_mut(&address)
    }

    pub(crate) fn insert(&mut self, address: usize, value: T) -> Option<T> {
        self.0
            .get_or_insert_with(Shard::default)
            .insert(address, value)
    }

    pub(crate) fn remove(&mut self, address: usize) -> Option<T> {
        self.0.as_mut()?.remove(&address)
    }

    pub(crate) fn get_or_insert_with(
        &mut self,
        address: usize,
        value: impl FnOnce() -> T,
    ) -> &mut T {
        self.0
            .get_or_insert_with(Shard::default)
            .entry(address)
            .or_insert_with(value)
    }
}

/// The last `N` values that were put in, by address.
pub(crate) struct Recent<T, const N: usize> {
    /// The values, each with its number.
    by_address: BTreeMap<usize, (u64, T)>,
    /// The addresses, by the numbers of their values: the oldest first.
    by_age: BTreeMap<u64, usize>,
    next: u64,
}

impl<T, const N: usize> Recent<T, N> {
    pub(crate) const fn new() -> Self {
        Self {
            by_address: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
        }
    }

    pub(crate) fn get(&self, address: usize) -> Option<&T> {
        self.by_address.get(&address).map(|(_, value)| value)
    }

    /// Puts a value in. Returns the values that this replaces: the one at the same address, and the oldest of too many.
    #[must_use = "the caller drops the values once it holds no lock"]
    pub(crate) fn insert(&mut self, address: usize, value: T) -> [Option<T>; 2] {
        let same = self.remove(address);
        self.by_age.insert(self.next, address);
        self.by_address.insert(address, (self.next, value));
        self.next += 1;
        let oldest = (self.by_age.len() > N)
            .then(|| self.by_age.pop_first())
            .flatten()
            .and_then(|(_, address)| self.by_address.remove(&address));
        [same, oldest.map(|(_, value)| value)]
    }

    pub(crate) fn remove(&mut self, address: usize) -> Option<T> {
        let (number, value) = self.by_address.remove(&address)?;
        self.by_age.remove(&number);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::{Recent, Table};

    #[test]
    fn the_oldest_is_forgotten() {
        let mut recent = Recent::<&str, 2>::new();
        assert_eq!(recent.insert(30, "first"), [None; 2]);
        assert_eq!(recent.insert(10, "second"), [None; 2]);
        assert_eq!(recent.insert(20, "third"), [None, Some("first")]);
        assert_eq!(recent.insert(10, "fourth"), [Some("second"), None]);
        assert_eq!(recent.insert(40, "fifth"), [None, Some("third")]);
        assert_eq!(recent.remove(40), Some("fifth"));
        assert_eq!((recent.get(10), recent.get(40)), (Some(&"fourth"), None));
    }

    #[test]
    fn entries_come_and_go() {
        let table = Table::new();
        for address in (0..10_000_usize).step_by(16) {
            assert!(table.lock(address).insert(address, address * 2).is_none());
        }
        assert_eq!(table.lock(160).get(160).copied(), Some(320));
        assert_eq!(table.lock(161).get(161), None);
        assert_eq!(table.lock(160).remove(160), Some(320));
        let mut seen = 0;
        table.each(|_, _| seen += 1);
        assert_eq!(seen, 624);
        assert_eq!(table.extract(|address, _| address < 1600).len(), 99);
        table.clear();
        assert!(table.find(|_, _| Some(())).is_none());
    }
}
