//! The kind of an access that has caused a fault, as registers of the processor show it.

/// The kind of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    Read,
    Write,
    /// An instruction fetch: code called a function there.
    Call,
    /// The host doesn't report the kind.
    Some,
}

/// The kind of an access, by the error code of a page fault on x64.
#[cfg(any(test, all(unix, target_arch = "x86_64")))]
pub(super) fn by_error_code(code: u64) -> Access {
    const WRITE: u64 = 1 << 1;
    const INSTRUCTION_FETCH: u64 = 1 << 4;
    match code {
        code if code & INSTRUCTION_FETCH != 0 => Access::Call,
        code if code & WRITE != 0 => Access::Write,
        _ => Access::Read,
    }
}

/// The kind of an access, by the exception syndrome register of an Arm processor.
#[cfg(any(test, all(unix, target_arch = "aarch64")))]
pub(super) fn by_syndrome(syndrome: u64) -> Access {
    /// The class of an abort at an instruction fetch of the program. The next number is that of the kernel.
    const INSTRUCTION_ABORT: u64 = 0x20;
    const DATA_ABORT: u64 = 0x24;
    const WRITE_NOT_READ: u64 = 1 << 6;
    match (syndrome >> 26) & 0x3E {
        INSTRUCTION_ABORT => Access::Call,
        DATA_ABORT if syndrome & WRITE_NOT_READ != 0 => Access::Write,
        DATA_ABORT => Access::Read,
        _ => Access::Some,
    }
}

/// The exception syndrome among the records that Linux puts behind the registers of an Arm processor. Each record starts with
/// its kind and its length, and the last one is empty. Some faults have no syndrome.
#[cfg(any(test, all(target_os = "linux", target_arch = "aarch64")))]
pub(super) fn syndrome_among(mut records: &[u8]) -> Option<u64> {
    /// `ESR_MAGIC`
    const SYNDROME: u32 = 0x4553_5201;
    loop {
        let (kind, rest) = records.split_first_chunk()?;
        let (length, _) = rest.split_first_chunk()?;
        let length = u32::from_ne_bytes(*length) as usize;
        let (record, behind) = records.split_at_checked(length)?;
        match u32::from_ne_bytes(*kind) {
            SYNDROME => return Some(u64::from_ne_bytes(*record.get(8..)?.first_chunk()?)),
            _ if length == 0 => return None,
            _ => records = behind,
        }
    }
}

/// The kind of access of an Arm instruction, for faults without a syndrome, as in emulators of Linux.
#[cfg(any(test, all(target_os = "linux", target_arch = "aarch64")))]
pub(super) fn by_instruction(instruction: u32) -> Access {
    /// `DC ZVA`, without its register.
    const ZERO_A_LINE: u32 = 0xD50B_7420;
    let bits = |lowest: u32, count: u32| (instruction >> lowest) & ((1 << count) - 1);
    let bit = |number: u32| bits(number, 1) == 1;
    // Most instructions have a bit that tells loads. Instructions that read and write at once count as neither.
    let (loads, of_integers_loads) = (bit(22), bits(22, 2) != 0);
    let loads = match bits(24, 6) {
        // Compare and swap.
        0b00_1000 if bit(21) && (bit(23) || !bit(31)) => None,
        // Exclusive and ordered accesses; several vectors; pairs of registers; vectors.
        0b00_1000 | 0b00_1100 | 0b00_1101 | 0b10_1000 | 0b10_1001 | 0b10_1100 | 0b10_1101
        | 0b11_1100 | 0b11_1101 => Some(loads),
        // Loads relative to the instruction.
        0b01_1000 | 0b01_1100 => Some(true),
        // Ordered accesses with an offset.
        0b01_1001 if !bit(21) && bits(10, 2) == 0 => Some(of_integers_loads),
        // Loads by an authenticated pointer; ordered accesses; atomic additions, swaps and their like.
        0b11_1000 if bit(21) && bit(10) => Some(true),
        0b11_1000 if bit(21) && !bit(11) => (bits(12, 4) == 0b1100).then_some(true),
        0b11_1000 | 0b11_1001 => Some(of_integers_loads),
        _ => (instruction & !0x1F == ZERO_A_LINE).then_some(false),
    };
    match loads {
        Some(true) => Access::Read,
        Some(false) => Access::Write,
        None => Access::Some,
    }
}

#[cfg(test)]
mod tests {
    use super::{by_error_code, by_instruction, by_syndrome, syndrome_among};

    #[test]
    fn what_was_done_is_read_off_the_registers() {
        use super::Access::{Call, Read, Some as Unknown, Write};
        // Codes of user mode: not present, a write to a read-only page, not executable.
        assert_eq!([4, 7, 0x15].map(by_error_code), [Read, Write, Call]);
        // A translation fault of a load and of a store, a permission fault of a store, a missing instruction; a breakpoint.
        let syndromes = [
            0x9200_0007,
            0x9200_0047,
            0x9200_004F,
            0x8200_0006,
            0xF200_0000,
        ];
        assert_eq!(
            syndromes.map(by_syndrome),
            [Read, Write, Write, Call, Unknown]
        );
    }

    #[test]
    fn a_syndrome_is_found_among_other_records() {
        let record = |kind: u32, data: &[u8]| {
            let length = u32::try_from(8 + data.len()).unwrap();
            [&kind.to_ne_bytes(), &length.to_ne_bytes(), data].concat()
        };
        let floating_point = record(0x4650_8001, &[7; 520]);
        let syndrome = record(0x4553_5201, &0x9200_0047_u64.to_ne_bytes());
        let end = [0; 16];
        let records = [&floating_point, &syndrome, &end[..]].concat();
        assert_eq!(syndrome_among(&records), Some(0x9200_0047));
        assert_eq!(syndrome_among(&[&floating_point, &end[..]].concat()), None);
        // A truncated record ends the search.
        assert_eq!(syndrome_among(&records[..records.len() - 20]), None);
        assert_eq!(syndrome_among(&floating_point[..100]), None);
    }

    #[test]
    fn what_was_done_is_read_off_the_instruction() {
        use super::Access::{self, Read, Some as Unknown, Write};
        // The encodings come from an assembler.
        let instructions: [(&str, u32, Access); _] = [
            ("ldr x0, [x1]", 0xF940_0020, Read),
            ("str x0, [x1]", 0xF900_0020, Write),
            ("ldrb w0, [x1, #1]", 0x3940_0420, Read),
            ("strb w0, [x1], #1", 0x3800_1420, Write),
            ("ldrsw x0, [x1, x2]", 0xB8A2_6820, Read),
            ("ldrsb w0, [x1]", 0x39C0_0020, Read),
            ("strh w0, [x1, w2, uxtw #1]", 0x7822_5820, Write),
            ("ldur x0, [x1, #-3]", 0xF85F_D020, Read),
            ("stur w0, [x1, #-3]", 0xB81F_D020, Write),
            ("ldr x0, .", 0x5800_0000, Read),
            ("ldr d0, .", 0x5C00_0000, Read),
            ("ldp x0, x1, [x2]", 0xA940_0440, Read),
            ("stp x0, x1, [x2, #-16]!", 0xA9BF_0440, Write),
            ("ldpsw x0, x1, [x2]", 0x6940_0440, Read),
            ("stnp x0, x1, [x2]", 0xA800_0440, Write),
            ("ldp q0, q1, [x2]", 0xAD40_0440, Read),
            ("stp q0, q1, [x2]", 0xAD00_0440, Write),
            ("ldr q0, [x1]", 0x3DC0_0020, Read),
            ("str q0, [x1]", 0x3D80_0020, Write),
            ("ldr s0, [x1, #-1]!", 0xBC5F_FC20, Read),
            ("str b0, [x1, x2]", 0x3C22_6820, Write),
            ("stur q0, [x1, #1]", 0x3C80_1020, Write),
            ("ld1 {v0.16b, v1.16b}, [x0]", 0x4C40_A000, Read),
            ("st1 {v0.16b}, [x0], #16", 0x4C9F_7000, Write),
            ("ld1r {v0.4s}, [x0]", 0x4D40_C800, Read),
            ("st1 {v0.b}[1], [x0]", 0x0D00_0400, Write),
            ("ldxr x0, [x1]", 0xC85F_7C20, Read),
            ("stxr w0, x1, [x2]", 0xC800_7C41, Write),
            ("ldaxp x0, x1, [x2]", 0xC87F_8440, Read),
            ("stlxp w0, x1, x2, [x3]", 0xC820_8861, Write),
            ("ldar w0, [x1]", 0x88DF_FC20, Read),
            ("stlrb w0, [x1]", 0x089F_FC20, Write),
            ("ldapr x0, [x1]", 0xF8BF_C020, Read),
            ("ldapur x0, [x1, #1]", 0xD940_1020, Read),
            ("stlur w0, [x1, #1]", 0x9900_1020, Write),
            ("ldraa x0, [x1]", 0xF820_0420, Read),
            ("cas x0, x1, [x2]", 0xC8A0_7C41, Unknown),
            ("casp x0, x1, x2, x3, [x4]", 0x4820_7C82, Unknown),
            ("ldadd x0, x1, [x2]", 0xF820_0041, Unknown),
            ("swpal w0, w1, [x2]", 0xB8E0_8041, Unknown),
            ("dc zva, x3", 0xD50B_7423, Write),
            ("add x0, x1, x2", 0x8B02_0020, Unknown),
            ("ret", 0xD65F_03C0, Unknown),
        ];
        for (text, instruction, access) in instructions {
            assert_eq!(by_instruction(instruction), access, "{text}");
        }
    }
}
