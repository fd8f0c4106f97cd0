//! Memory is asked for before it is taken: what will not fit is an error, never an abort.

use crate::{Error, Real, Result};
use ndarray::Array2;
use std::fs;

/// Requests below this are not worth a look at what is free.
const SMALL: u64 = 32 << 20;

/// Bytes that can be had: the least of free memory, the address space left to the process and what its control group
/// leaves. Unknown limits count as none.
pub fn available_bytes() -> u64 {
    [free_memory(), address_space_left(), control_group_left()]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(u64::MAX)
}

/// The number behind `label` in a file of lines "label number", in its unit.
fn entry(path: &str, label: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(label))?;
    line[label.len()..]
        .split_whitespace()
        .find_map(|word| word.parse().ok())
}

fn free_memory() -> Option<u64> {
    entry("/proc/meminfo", "MemAvailable:").map(|kibibytes| kibibytes * 1024)
}

fn address_space_left() -> Option<u64> {
    let limit = entry("/proc/self/limits", "Max address space")?;
    let used = entry("/proc/self/status", "VmSize:")? * 1024;
    Some(limit.saturating_sub(used))
}

fn control_group_left() -> Option<u64> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let (root, limit, used) = if controllers.is_empty() {
                ("/sys/fs/cgroup", "memory.max", "memory.current")
            } else if controllers.split(',').any(|name| name == "memory") {
                (
                    "/sys/fs/cgroup/memory",
                    "memory.limit_in_bytes",
                    "memory.usage_in_bytes",
                )
            } else {
                return None;
            };
            // Inside a container the group's own path is mounted as the root.
            [path, ""].iter().find_map(|path| {
                let limit = number(&format!("{root}{path}/{limit}"))?;
                let used = number(&format!("{root}{path}/{used}"))?;
                Some(limit.saturating_sub(used))
            })
        })
        .min()
}

/// Nothing if `bytes` for `what` can be had.
///
/// # Errors
/// [`Error::Resource`] that names need, supply and remedy.
pub fn require(bytes: u64, what: &str, remedy: &str) -> Result<()> {
    if bytes < SMALL {
        return Ok(());
    }
    let available = available_bytes();
    if bytes <= available {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Err(Error::Resource(format!(
        "{what} needs {:.3} GiB: only {:.3} GiB are available; {remedy}",
        gib(bytes),
        gib(available)
    )))
}

/// Bytes of `count` numbers of type `T`, as many as fit into the type.
pub const fn bytes_of<T>(count: usize) -> u64 {
    (count as u64).saturating_mul(size_of::<T>() as u64)
}

/// `count` copies of `value` in memory that was asked for.
///
/// # Errors
/// [`Error::Resource`] if it is not there.
pub fn filled<T: Clone>(value: T, count: usize, what: &str, remedy: &str) -> Result<Vec<T>> {
    let mut values = reserved(count, what, remedy)?;
    values.resize(count, value);
    Ok(values)
}

/// `count` zeros in memory that was asked for, given as the system has them: pages are not touched before their use.
///
/// # Errors
/// [`Error::Resource`] if it is not there.
pub fn zeros<T: Real>(count: usize, what: &str, remedy: &str) -> Result<Vec<T>> {
    // Where the address space is limited, asking is the only way to know; what was asked for goes back at once.
    drop(reserved::<T>(count, what, remedy)?);
    Ok(vec![T::ZERO; count])
}

/// A matrix of zeros, as [`zeros`].
///
/// # Errors
/// [`Error::Resource`] if it is not there, or its size is beyond any memory.
pub fn zero_matrix<T: Real>(
    (rows, columns): (usize, usize),
    what: &str,
    remedy: &str,
) -> Result<Array2<T>> {
    let values = zeros(rows.saturating_mul(columns), what, remedy)?;
    Array2::from_shape_vec((rows, columns), values)
        .map_err(|_| Error::Resource(format!("{what} is beyond any memory; {remedy}")))
}

/// Room for `count` values.
fn reserved<T>(count: usize, what: &str, remedy: &str) -> Result<Vec<T>> {
    require(bytes_of::<T>(count), what, remedy)?;
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| {
        Error::Resource(format!(
            "{what} needs {} bytes: the system refuses them; {remedy}",
            bytes_of::<T>(count)
        ))
    })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_given_and_what_does_not_is_refused() {
        assert_eq!(filled(1.5, 3, "a test", "ask for less").unwrap(), [1.5; 3]);
        for count in [1 << 50, usize::MAX] {
            let refused = filled(0.0_f64, count, "a test", "ask for less").unwrap_err();
            assert!(matches!(&refused, Error::Resource(text) if text.contains("ask for less")));
        }
        assert_eq!(zeros::<f32>(3, "a test", "ask for less").unwrap(), [0.0; 3]);
        for shape in [(1 << 40, 1 << 40), (1 << 25, 1 << 25)] {
            let refused = zero_matrix::<f64>(shape, "a test", "ask for less").unwrap_err();
            assert!(matches!(&refused, Error::Resource(text) if text.contains("ask for less")));
        }
        assert!(available_bytes() > SMALL);
    }
}
