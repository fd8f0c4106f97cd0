//! Our own rayon pool, rebuilt after a fork, and reductions in a fixed order.
//!
//! ```
//! use hmm_core::parallel::{in_worker, pool};
//! let workers = pool(Some(2))?;
//! assert_eq!(workers.current_num_threads(), 2);
//! assert!(workers.install(in_worker) && !in_worker());
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::{Error, Result};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Threads asked for with [`set_num_threads`]; 0 means all cores.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Pools kept for later; the ones least recently used go first.
const KEPT: usize = 4;

/// Key of a pool: its threads, and how many pools its callers are workers of.
type Key = (usize, usize);

/// Pools, the most recently used one last, with the process that made them: a forked child has the table but not
/// the threads.
struct Pools {
    process: u32,
    pools: Vec<(Key, Arc<ThreadPool>)>,
}

static POOLS: Mutex<Pools> = Mutex::new(Pools {
    process: 0,
    pools: Vec::new(),
});

thread_local! {
    /// How many pools deep this thread works: 0 for the caller's own threads.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Set the default number of threads (0: all cores).
///
/// # Errors
/// More than [`most_threads`].
pub fn set_num_threads(threads: usize) -> Result<()> {
    check_threads(threads)?;
    THREADS.store(threads, Ordering::Relaxed);
    Ok(())
}

/// The default number of threads.
pub fn num_threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => cores(),
        threads => threads,
    }
}

/// Cores this process may use, asked once: the answer is read from files of the system.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// The largest number of threads that can be asked for: four times the cores, at least 64, at most 1024.
pub fn most_threads() -> usize {
    (4 * cores()).clamp(64, 1024)
}

/// Whether this thread is a worker of one of the package's pools.
pub fn in_worker() -> bool {
    DEPTH.get() > 0
}

fn check_threads(threads: usize) -> Result<()> {
    let most = most_threads();
    if threads > most {
        return Err(Error::invalid(
            "threads",
            threads,
            format!("must be at most {most} on this machine"),
            "leave it out to use all cores",
        ));
    }
    Ok(())
}

/// The pool with `threads` threads (the default number if `None` or 0), made on first use.
///
/// A caller that is itself a worker of a pool (a user's function called back from one, say) gets a pool of one thread of
/// its own depth: waiting for the pool it works in would be waiting for itself.
///
/// # Errors
/// More threads than [`most_threads`]; [`Error::Resource`] if the system refuses them.
pub fn pool(threads: Option<usize>) -> Result<Arc<ThreadPool>> {
    let threads = threads
        .filter(|&threads| threads > 0)
        .unwrap_or_else(num_threads);
    check_threads(threads)?;
    let depth = DEPTH.get();
    let key = (if depth == 0 { threads } else { 1 }, depth);
    let mut table = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if table.process != process {
        // Dropping a pool whose threads did not survive the fork would wait for them for ever.
        std::mem::forget(std::mem::take(&mut table.pools));
        table.process = process;
    }
    if let Some(place) = table.pools.iter().position(|(known, _)| *known == key) {
        let used = table.pools.remove(place);
        let pool = Arc::clone(&used.1);
        table.pools.push(used);
        return Ok(pool);
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(key.0)
        .thread_name(|i| format!("hmm-rs-{i}"))
        .start_handler(move |_| DEPTH.set(depth + 1))
        .build()
        .map_err(|error| Error::Resource(format!("cannot start {threads} threads: {error}")))?;
    let pool = Arc::new(pool);
    if table.pools.len() >= KEPT {
        table.pools.remove(0);
    }
    table.pools.push((key, Arc::clone(&pool)));
    Ok(pool)
}

/// Chunks per thread that [`sum_chunks`] holds results of: enough for the last ones of a wave to
/// cost little waiting.
const WAVE: usize = 8;

/// Map the chunk numbers `0..chunks` in parallel, on the pool this is called in, and add up the
/// results in chunk order.
///
/// The sum is the same on any number of threads because its order is. At most eight results per
/// thread are held at a time, however many chunks there are.
///
/// # Errors
/// The error of the first chunk, in chunk order, that fails; chunks far behind it are not begun.
pub fn sum_chunks<A: Send>(
    chunks: usize,
    zero: A,
    map: impl Fn(usize) -> Result<A> + Sync + Send,
    mut add: impl FnMut(&mut A, A),
) -> Result<A> {
    let wave = WAVE * rayon::current_num_threads();
    let mut total = zero;
    for start in (0..chunks).step_by(wave) {
        let numbers = start..chunks.min(start.saturating_add(wave));
        let parts: Vec<Result<A>> = numbers.into_par_iter().with_max_len(1).map(&map).collect();
        for part in parts {
            add(&mut total, part?);
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cancel;

    const THREADS: [usize; 4] = [1, 2, 3, 7];

    fn on<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
        pool(Some(threads)).unwrap().install(work)
    }

    /// Terms of very different size, whose sum depends on the order of the additions.
    fn term(chunk: usize) -> f64 {
        (0.7 * chunk as f64).sin() * 10_f64.powi((chunk * 7 % 23) as i32 - 11)
    }

    #[test]
    fn a_pool_is_made_once_and_has_its_threads() {
        for threads in THREADS {
            let first = pool(Some(threads)).unwrap();
            assert_eq!(first.current_num_threads(), threads);
            assert!(Arc::ptr_eq(&first, &pool(Some(threads)).unwrap()));
        }
    }

    #[test]
    fn threads_asking_at_once_share_one_pool() {
        let pools: Vec<_> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| pool(Some(5)).unwrap()))
                .collect();
            asking.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(pools.iter().all(|one| Arc::ptr_eq(one, &pools[0])));
    }

    #[test]
    fn a_worker_that_asks_for_a_pool_does_not_wait_for_itself() {
        for threads in THREADS {
            let inner: Vec<usize> = on(threads, || {
                (0..20)
                    .into_par_iter()
                    .map(|_| {
                        let nested = pool(Some(threads)).unwrap();
                        nested.install(|| pool(None).unwrap().install(rayon::current_num_threads))
                    })
                    .collect()
            });
            assert_eq!(inner, [1; 20]);
        }
    }

    #[test]
    fn pools_are_given_back() {
        let first = Arc::downgrade(&pool(Some(11)).unwrap());
        for threads in 12..12 + KEPT {
            pool(Some(threads)).unwrap();
        }
        assert!(first.upgrade().is_none());
    }

    #[test]
    fn the_default_number_of_threads_can_be_set() {
        // The only test that changes the process-wide default.
        set_num_threads(3).unwrap();
        assert_eq!(num_threads(), 3);
        assert_eq!(pool(None).unwrap().current_num_threads(), 3);
        assert_eq!(pool(Some(0)).unwrap().current_num_threads(), 3);
        set_num_threads(0).unwrap();
        assert!(num_threads() >= 1);
        assert!(set_num_threads(usize::MAX).is_err() && pool(Some(1025)).is_err());
    }

    #[test]
    fn sums_have_the_same_bits_on_any_number_of_threads() {
        for chunks in [0, 1, 7, 8, 9, 56, 57, 1000] {
            let serial = (0..chunks).fold(0.0, |sum, chunk| sum + term(chunk));
            for threads in THREADS {
                let sum = on(threads, || {
                    sum_chunks(
                        chunks,
                        0.0,
                        |chunk| Ok(term(chunk)),
                        |sum, part| *sum += part,
                    )
                });
                assert_eq!(
                    sum.unwrap().to_bits(),
                    f64::to_bits(serial),
                    "{chunks} {threads}"
                );
            }
        }
    }

    #[test]
    fn parts_arrive_in_chunk_order_and_never_pile_up() {
        let held = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let order = on(3, || {
            sum_chunks(
                500,
                Vec::new(),
                |chunk| {
                    let now = held.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    Ok(vec![chunk])
                },
                |order: &mut Vec<usize>, part| {
                    held.fetch_sub(1, Ordering::SeqCst);
                    order.extend(part);
                },
            )
        });
        assert_eq!(order.unwrap(), (0..500).collect::<Vec<_>>());
        assert!(most.into_inner() <= 3 * WAVE);
    }

    #[test]
    fn the_first_failing_chunk_is_the_one_reported() {
        for threads in THREADS {
            for first in [0, 5, 100] {
                let begun = AtomicUsize::new(0);
                let outcome = on(threads, || {
                    sum_chunks(
                        100_000,
                        0.0,
                        |chunk| {
                            begun.fetch_add(1, Ordering::Relaxed);
                            if chunk >= first {
                                return Err(Error::Divergence(format!("chunk {chunk}")));
                            }
                            Ok(1.0)
                        },
                        |sum, part| *sum += part,
                    )
                });
                assert_eq!(outcome.unwrap_err().to_string(), format!("chunk {first}"));
                assert!(begun.into_inner() <= first + 1 + WAVE * threads);
            }
        }
    }

    #[test]
    fn a_raised_flag_stops_the_sum() {
        for threads in THREADS {
            let cancel = Cancel::new();
            let outcome = on(threads, || {
                sum_chunks(
                    100_000,
                    0,
                    |chunk| {
                        cancel.check()?;
                        if chunk == 17 {
                            cancel.raise();
                        }
                        Ok(1)
                    },
                    |sum, part| *sum += part,
                )
            });
            assert!(matches!(outcome, Err(Error::Interrupted)));
        }
    }
}
