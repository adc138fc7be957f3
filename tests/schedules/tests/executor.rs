//! Thousands of operations on an executor for systems without `std`: embassy's, as `no_std` and without an allocator, as in a
//! driver. It is the best maintained of its kind, and lets its user decide what to do until a task is woken.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use embassy_executor::raw::Executor;
use wsk::{BufferPool, DatagramSocket, NonPagedBuffer};
use wsk_schedules::{Driver, PATIENCE, bound, kernels};

/// The number of tasks.
const TASKS: usize = 64;
/// The number of datagrams that each of them sends and receives.
const ROUNDS: usize = 50;

/// The object on which the executor's thread sleeps.
#[derive(Default)]
struct Pend {
    pended: AtomicBool,
    lock: Mutex<()>,
    woken: Condvar,
}

impl Pend {
    fn sleep(&self) {
        let guard = self.lock.lock().unwrap();
        let (guard, timeout) = self
            .woken
            .wait_timeout_while(guard, PATIENCE, |()| {
                !self.pended.swap(false, Ordering::SeqCst)
            })
            .unwrap();
        drop(guard);
        assert!(!timeout.timed_out(), "no task was woken");
    }
}

/// Embassy calls this when a task is woken, here from completion routines at up to `DISPATCH_LEVEL`.
#[unsafe(export_name = "__pender")]
fn pender(context: *mut ()) {
    // SAFETY: the executor below has a leaked `Pend` as its context.
    let pend = unsafe { &*context.cast::<Pend>() };
    pend.pended.store(true, Ordering::SeqCst);
    drop(pend.lock.lock());
    pend.woken.notify_one();
}

/// The data of a task.
#[derive(Clone)]
struct Work {
    from: DatagramSocket,
    to: DatagramSocket,
    address: SocketAddr,
    pool: BufferPool<NonPagedBuffer>,
    done: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

/// Sends and receives at the same time, again and again. Half of the operations do not allocate.
#[embassy_executor::task(pool_size = TASKS)]
async fn task(work: Work) {
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            let message = NonPagedBuffer::copy_of(&[7; 32]).unwrap();
            let room = NonPagedBuffer::new(32).unwrap();
            let receive = work.to.receive_from(room).start().unwrap();
            let send = work.from.send_to(message, work.address).start().unwrap();
            let received = receive.await;
            assert_eq!(send.await.result, Ok(32));
            assert_eq!(received.result.unwrap().length(), 32);
            assert_eq!(received.buffer.unwrap().as_slice(), [7; 32]);
        } else {
            let mut message = work.pool.take().unwrap();
            message.as_mut_slice().fill(7);
            let receive = work
                .to
                .receive_from(work.pool.take().unwrap())
                .start()
                .unwrap();
            let send = work.from.send_to(message, work.address).start().unwrap();
            assert_eq!(send.await.result, Ok(32));
            let received = receive.await;
            assert_eq!(received.result.unwrap().length(), 32);
            assert_eq!(received.buffer.unwrap().as_slice(), [7; 32]);
        }
        work.done.fetch_add(2, Ordering::Relaxed);
    }
    drop(work.from);
    drop(work.to);
    drop(work.pool);
    work.ended.fetch_add(1, Ordering::Release);
}

#[test]
fn an_executor_without_std_drives_thousands_of_operations() {
    for kernel in kernels(3) {
        let driver = Driver::load().unwrap();
        let (to, address) = bound(&driver.provider).unwrap();
        let work = Work {
            from: driver.socket.clone(),
            to,
            address,
            pool: BufferPool::new(2 * u32::try_from(TASKS).unwrap(), |_| {
                NonPagedBuffer::new(32)
            })
            .unwrap(),
            done: Arc::default(),
            ended: Arc::default(),
        };
        let (done, ended) = (work.done.clone(), work.ended.clone());
        let pend: &'static Pend = Box::leak(Box::default());
        let executor: &'static Executor = Box::leak(Box::new(Executor::new(
            std::ptr::from_ref(pend).cast_mut().cast(),
        )));
        for _ in 0..TASKS {
            executor.spawner().spawn(task(work.clone()).unwrap());
        }
        drop(work);
        let start = Instant::now();
        loop {
            // SAFETY: this thread is the only one that polls, and nothing polls from within.
            unsafe { executor.poll() };
            if ended.load(Ordering::Acquire) == TASKS {
                break;
            }
            pend.sleep();
        }
        let operations = done.load(Ordering::Relaxed);
        assert_eq!(operations, 2 * TASKS * ROUNDS);
        println!("{operations} operations in {:?}", start.elapsed());
        drop(driver);
        kernel.shutdown();
    }
}
