//! Every interleaving of operations and pools of `wsk`: the protocol holds in all of them, and each of its rules is necessary.

mod mistakes;
mod protocol;
mod scenarios;
