//! Runs one scenario of the driver on the host kernel, under callgrind: `wsk-cost-run KERNEL DRIVER LANGUAGE SCENARIO DEPTH
//! OPERATIONS COMPLETION`.
//!
//! It warms up, and then calls [`wsk_cost_mark`] before and after `OPERATIONS` operations, and again after twice as many.

use std::error::Error;
use std::ffi::{OsStr, c_void};
use std::hint::black_box;
use std::process::ExitCode;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};

type Open = unsafe extern "C" fn(u32, u32, u16) -> *mut c_void;
type Run = unsafe extern "C" fn(*mut c_void, usize, Option<extern "C" fn()>) -> usize;
type Close = unsafe extern "C" fn(*mut c_void);

/// The peer's port. Nothing is really sent there.
const PORT: u16 = 9;

/// Here callgrind writes its counts, and starts again from zero.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn wsk_cost_mark() {
    black_box(());
}

fn main() -> ExitCode {
    match run() {
        Ok(allocations) => {
            println!("{allocations}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The number of allocations between the marks.
fn run() -> Result<u64, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [
        kernel,
        driver,
        language,
        scenario,
        depth,
        operations,
        completion,
    ] = arguments.as_slice()
    else {
        return Err("expected KERNEL DRIVER LANGUAGE SCENARIO DEPTH OPERATIONS COMPLETION".into());
    };
    let language = language.to_str().ok_or("no such language")?;
    let operations: usize = number(operations)?;
    let deferred = completion == "deferred";

    // SAFETY: both libraries are built for this program, with functions of these types, and stay loaded as long as they are
    // called. The state is only passed between functions of one language, and closed once.
    unsafe {
        let kernel = Library::open(Some(kernel), RTLD_NOW | RTLD_GLOBAL)?;
        let boot: Symbol<unsafe extern "C" fn(bool)> = kernel.get(b"wsk_cost_boot")?;
        let settle: Symbol<extern "C" fn()> = kernel.get(b"wsk_cost_settle")?;
        let allocations: Symbol<unsafe extern "C" fn() -> u64> =
            kernel.get(b"wsk_cost_allocations")?;
        let shutdown: Symbol<unsafe extern "C" fn() -> bool> = kernel.get(b"wsk_cost_shutdown")?;

        // This library takes the kernel's functions from the one above.
        let driver = Library::open(Some(driver), RTLD_NOW)?;
        let function = |name: &str| format!("wsk_cost_{language}_{name}");
        let open: Symbol<Open> = driver.get(function("open").as_bytes())?;
        let run: Symbol<Run> = driver.get(function("run").as_bytes())?;
        let close: Symbol<Close> = driver.get(function("close").as_bytes())?;

        boot(deferred);
        let state = open(number(scenario)?, number(depth)?, PORT);
        if state.is_null() {
            return Err("the driver could not be opened".into());
        }
        // Waits for what opening the driver has started.
        settle();
        let settle = deferred.then_some(*settle);
        let carry_out = |operations: usize| match black_box(run(state, operations, settle)) {
            0 => Err("an operation failed"),
            _ => Ok(()),
        };
        carry_out(operations)?;
        let before = allocations();
        wsk_cost_mark();
        carry_out(operations)?;
        wsk_cost_mark();
        carry_out(2 * operations)?;
        wsk_cost_mark();
        let after = allocations();
        close(state);
        if !shutdown() {
            return Err("something was left behind".into());
        }
        Ok(after - before)
    }
}

fn number<N>(text: &OsStr) -> Result<N, Box<dyn Error>>
where
    N: std::str::FromStr<Err: Error + 'static>,
{
    Ok(text.to_str().ok_or("not a number")?.parse()?)
}
