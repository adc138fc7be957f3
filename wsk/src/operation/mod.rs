//! Finishers, which run a [request](crate::request), and the operation that it is until it has completed. There is one file for each finisher.

mod blocking;
mod callback;
mod carried;
mod in_flight;
mod pool;
mod prepared;
mod scope;

pub use crate::request::{
    Arrival, Finished, NotConnected, NotConnectedWithData, NotStarted, Request, StreamArrival,
};
pub use blocking::{Blocking, InPlace, Owning};
pub use in_flight::{InFlight, Run};
#[doc(alias("IoAllocateIrp"))]
pub use pool::Operations;
pub use pool::{PooledOperation, RequestFrom, Source};
pub use prepared::{Ended, Prepared, PreparedPool, Started};
pub use scope::{Scope, Scoped, scope};
