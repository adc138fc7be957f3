//! The run-time library. Stands for the `Rtl…` functions of `ntoskrnl.exe` on strings, addresses, trees and what runs once.

mod address;
mod run_once;
mod string;
mod tree;
