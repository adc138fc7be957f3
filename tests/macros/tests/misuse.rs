//! Misuse of the macros: each file in `misuse` is a mistake, and the `.stderr` next to it what the compiler says of it.

#[test]
fn misuse_is_an_error_where_it_is_written() {
    trybuild::TestCases::new().compile_fail("misuse/*.rs");
}
