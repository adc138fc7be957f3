//! All parts of the generator that read text: directives and conditions of headers, SAL, bodies of macros, versions, and
//! generated files.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| wsk_codegen::fuzz::text(data));
