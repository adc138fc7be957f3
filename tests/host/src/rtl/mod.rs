//! The run-time library. Stands for the `Rtl…` functions of `ntoskrnl.exe` for strings, addresses, trees and initialisation that
//! runs once.

mod address;
mod run_once;
mod string;
mod tree;
