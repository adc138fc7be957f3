//! Control information from a provider or the network: whatever the bytes, iterating ends, reports only messages that are there,
//! and these can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsk::{Control, ControlMessage, ControlMessages};
use wsk_host as _;

fuzz_target!(|bytes: &[u8]| {
    let mut control = Control::<4096>::new();
    let mut data = 0;
    for message in ControlMessages::new(bytes) {
        if let ControlMessage::Other { data: inside, .. } = message {
            let (start, end) = (inside.as_ptr_range().start, inside.as_ptr_range().end);
            assert!(bytes.as_ptr_range().start <= start && end <= bytes.as_ptr_range().end);
            data += inside.len();
        }
        if control.push(message).is_err() {
            return;
        }
    }
    assert!(data <= bytes.len());
    assert!(control.messages().eq(ControlMessages::new(bytes)));
});
