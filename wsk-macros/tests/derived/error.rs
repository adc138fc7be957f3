//! The messages of `DispatchError`.

use core::error::Error;

use wsk_sys::DispatchError;

#[test]
fn each_error_names_the_entry_what_is_wrong_and_what_to_do() {
    for (error, says) in [
        (
            DispatchError::Absent { entry: "WskSendTo" },
            &["WskSendTo", "NULL", "do without"][..],
        ),
        (
            DispatchError::TooNew {
                entry: "WskListen",
                since: 0x0A00_0003,
                running: 0x0602_0000,
            },
            &["WskListen", "0x0a000003", "0x06020000", "do without"],
        ),
        (
            DispatchError::TooLong {
                entry: "WskSendTo",
                parameter: "ControlInfo",
                length: 4_294_967_296,
            },
            &["WskSendTo", "ControlInfo", "4294967296", "shorter"],
        ),
    ] {
        let error: &dyn Error = &error;
        let message = error.to_string();
        for part in says {
            assert!(message.contains(part), "no {part:?} in {message:?}");
        }
    }
}
