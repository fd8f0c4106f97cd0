//! Memory is asked for before it is taken: what will not fit is an error, never an abort.
//!
//! ```
//! use hmm_core::{Error, memory};
//! let refused = memory::require(1 << 60, "a matrix this large", "lower N").unwrap_err();
//! assert!(matches!(refused, Error::Resource(_)));
//! assert_eq!(memory::bytes_of::<f64>(1000), 8000);
//! ```

use crate::{Error, Real, Result};
use ndarray::Array2;
use std::fs;
use std::path::{Path, PathBuf};

/// Requests below this are not worth a look at what is free.
const SMALL: u64 = 32 << 20;

/// Limits from here on stand for none.
const UNLIMITED: u64 = 1 << 62;

/// Bytes that can be had without swapping: the least of what the machine has free, what the limits of the process leave,
/// and what its control groups leave. What a system does not tell counts as unlimited.
pub fn available_bytes() -> u64 {
    [
        machine_left(),
        process_left(),
        groups_left(Path::new("/sys/fs/cgroup"), Path::new("/proc/self/cgroup")),
    ]
    .into_iter()
    .flatten()
    .min()
    .unwrap_or(UNLIMITED)
}

/// The first number behind `label` in a file of lines "label number".
fn entry(path: impl AsRef<Path>, label: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(label))?;
    line[label.len()..]
        .split_whitespace()
        .find_map(|word| word.parse().ok())
}

fn machine_left() -> Option<u64> {
    entry("/proc/meminfo", "MemAvailable:").map(|kibibytes| kibibytes * 1024)
}

/// What `ulimit -v` and `ulimit -d` leave.
fn process_left() -> Option<u64> {
    let left = |limit: &str, used: &str| {
        let used = entry("/proc/self/status", used)? * 1024;
        Some(entry("/proc/self/limits", limit)?.saturating_sub(used))
    };
    [
        left("Max address space", "VmSize:"),
        left("Max data size", "VmData:"),
    ]
    .into_iter()
    .flatten()
    .min()
}

/// Where a version of control groups says what is allowed, used, and given back on demand.
struct Files {
    limit: &'static str,
    used: &'static str,
    reclaimable: &'static str,
}

const VERSION_1: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file ",
};
const VERSION_2: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    reclaimable: "inactive_file ",
};

impl Files {
    /// What the group of this folder leaves, if it has a limit.
    fn left(&self, folder: &Path) -> Option<u64> {
        let number = |name: &str| -> Option<u64> {
            let text = fs::read_to_string(folder.join(name)).ok()?;
            text.trim().parse().ok()
        };
        let limit = number(self.limit).filter(|limit| *limit < UNLIMITED)?;
        // The cache of files counts as used but is given back on demand.
        let cache = entry(folder.join("memory.stat"), self.reclaimable).unwrap_or(0);
        Some(limit.saturating_sub(number(self.used)?.saturating_sub(cache)))
    }
}

/// What the control groups listed in `membership` leave: each of them, and every one above it, has its own limit.
///
/// Inside a container the group's folder may not be visible; then the top one is the container's own.
fn groups_left(root: &Path, membership: &Path) -> Option<u64> {
    let listed = fs::read_to_string(membership).ok()?;
    listed
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, group) = (fields.next()?, fields.next()?);
            let (files, top) = if controllers.is_empty() {
                (VERSION_2, root.to_path_buf())
            } else if controllers.split(',').any(|name| name == "memory") {
                (VERSION_1, root.join("memory"))
            } else {
                return None;
            };
            let inside: PathBuf = group
                .split('/')
                .filter(|part| !part.is_empty() && *part != "..")
                .collect();
            inside
                .ancestors()
                .filter_map(|folder| files.left(&top.join(folder)))
                .min()
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

    /// A folder of control groups that is removed at the end.
    struct Groups(PathBuf);

    impl Groups {
        fn new(name: &str, membership: &str) -> Self {
            let top = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir_all(&top).unwrap();
            fs::write(top.join("membership"), membership).unwrap();
            Self(top)
        }

        fn group(&self, path: &str, files: &Files, limit: &str, used: u64, cache: u64) {
            let folder = self.0.join("cgroup").join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(files.limit), format!("{limit}\n")).unwrap();
            fs::write(folder.join(files.used), format!("{used}\n")).unwrap();
            let stat = format!("anon 1\n{}{cache}\nactive_file 7\n", files.reclaimable);
            fs::write(folder.join("memory.stat"), stat).unwrap();
        }

        fn left(&self) -> Option<u64> {
            groups_left(&self.0.join("cgroup"), &self.0.join("membership"))
        }
    }

    impl Drop for Groups {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_tightest_group_above_the_process_counts() {
        let groups = Groups::new("tightest", "0::/slice/job/step\n");
        assert_eq!(groups.left(), None);
        groups.group("slice/job/step", &VERSION_2, "max", 10, 0);
        groups.group("slice/job", &VERSION_2, "10000", 4_000, 1_500);
        groups.group("slice", &VERSION_2, "50000", 4_000, 0);
        assert_eq!(groups.left(), Some(7_500));
        groups.group("slice", &VERSION_2, "5000", 4_000, 0);
        assert_eq!(groups.left(), Some(1_000));
    }

    #[test]
    fn inside_a_container_the_top_group_counts() {
        let groups = Groups::new("container", "0::/../../elsewhere\n");
        groups.group("", &VERSION_2, "3000", 1_000, 0);
        assert_eq!(groups.left(), Some(2_000));
        groups.group("", &VERSION_2, "3000", 4_000, 0);
        assert_eq!(groups.left(), Some(0));
    }

    #[test]
    fn groups_of_version_one_count() {
        let membership = "9:name=systemd:/job\n5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n";
        let groups = Groups::new("version-one", membership);
        groups.group("memory/job", &VERSION_1, "9223372036854771712", 4, 0);
        groups.group("memory", &VERSION_1, "8000", 5_000, 500);
        assert_eq!(groups.left(), Some(3_500));
    }

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
