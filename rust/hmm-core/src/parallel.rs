//! Our own rayon pool, rebuilt after a fork, and reductions in a fixed order.

use crate::{Error, Result};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Threads asked for with [`set_num_threads`]; 0 means all cores.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Pools by thread count, with the process that made them: a forked child has the table but not
/// the threads.
struct Pools {
    process: u32,
    pools: Vec<(usize, Arc<ThreadPool>)>,
}

static POOLS: Mutex<Pools> = Mutex::new(Pools {
    process: 0,
    pools: Vec::new(),
});

/// Set the default number of threads (0: all cores).
pub fn set_num_threads(threads: usize) {
    THREADS.store(threads, Ordering::Relaxed);
}

/// The default number of threads.
pub fn num_threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// The pool with `threads` threads (the default number if `None`).
pub fn pool(threads: Option<usize>) -> Result<Arc<ThreadPool>> {
    let threads = threads.unwrap_or_else(num_threads).max(1);
    let mut table = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if table.process != process {
        // Dropping a pool whose threads did not survive the fork would wait for them for ever.
        std::mem::forget(std::mem::take(&mut table.pools));
        table.process = process;
    }
    if let Some((_, pool)) = table.pools.iter().find(|(count, _)| *count == threads) {
        return Ok(Arc::clone(pool));
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("hmm-rs-{i}"))
        .build()
        .map_err(|error| Error::Resource(format!("cannot start {threads} threads: {error}")))?;
    let pool = Arc::new(pool);
    table.pools.push((threads, Arc::clone(&pool)));
    Ok(pool)
}

/// Map the chunk numbers `0..chunks` in parallel and add up the results in chunk order.
///
/// The sum is the same on any number of threads because its order is.
pub fn sum_chunks<A: Send>(
    chunks: usize,
    zero: A,
    map: impl Fn(usize) -> Result<A> + Sync + Send,
    mut add: impl FnMut(&mut A, A),
) -> Result<A> {
    let parts: Result<Vec<A>> = (0..chunks).into_par_iter().map(map).collect();
    let mut total = zero;
    for part in parts? {
        add(&mut total, part);
    }
    Ok(total)
}
