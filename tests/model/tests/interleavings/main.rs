//! Every interleaving of what `wsk` does with operations and pools: the protocol holds in all of them, and each of its rules is
//! needed.

mod mistakes;
mod protocol;
mod scenarios;
