//! What the system knows of this process, read from `/proc/self` at a scrape. What cannot be read
//! is left out.

use super::series::{self, Exposition, Shape};
use std::{fs, time::Duration};

/// Milliseconds of a clock tick in `/proc/self/stat`; Linux has reported 100 ticks a second to
/// programs on every architecture that Rust's standard library runs on.
const TICK: u64 = 10;

/// The families of the process; `started` is in Unix time.
pub(super) fn collect(started: u64, out: &mut Exposition) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |field| Some(field_of(&status, field)? * 1024);
    let samples: [(&'static Shape, Option<u64>); 6] = [
        (series::PROCESS_START, Some(started)),
        (series::PROCESS_FDS, open_descriptors()),
        (series::PROCESS_MAX_FDS, descriptor_limit()),
        (series::PROCESS_RESIDENT, bytes("VmRSS:")),
        (series::PROCESS_VIRTUAL, bytes("VmSize:")),
        (series::PROCESS_THREADS, field_of(&status, "Threads:")),
    ];
    for (shape, value) in samples {
        if let Some(value) = value {
            out.single(shape, value);
        }
    }
    if let Some(seconds) = cpu_seconds() {
        out.single(series::PROCESS_CPU, seconds);
    }
}

/// The number in a line `field number …`.
fn field_of(text: &str, field: &str) -> Option<u64> {
    let mut lines = text.lines();
    let rest = lines.find_map(|line| line.strip_prefix(field))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of `proc_pid_stat(5)`; the command's name, field 2, may hold blanks.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let times = after_name.split_whitespace().skip(11).take(2);
    let ticks = times.map(str::parse::<u64>).sum::<Result<u64, _>>().ok()?;
    Some(Duration::from_millis(ticks * TICK).as_secs_f64())
}

/// Since Linux 6.2 the folder's size is the count, which spares listing it.
fn open_descriptors() -> Option<u64> {
    let counted = fs::metadata("/proc/self/fd").ok()?.len();
    if counted > 0 {
        return Some(counted);
    }
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

fn descriptor_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    field_of(&limits, "Max open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_figures_are_read_from_the_system() {
        let mut out = Exposition::default();
        collect(1, &mut out);
        assert_eq!(out.into_text().matches("# TYPE process_").count(), 7);
        assert!(open_descriptors().unwrap() >= 3);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }

    #[test]
    fn a_field_that_is_missing_or_no_number_is_left_out() {
        assert_eq!(field_of("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(field_of("Max open files unlimited", "Max open files"), None);
        assert_eq!(field_of("", "VmRSS:"), None);
    }
}
