//! What a process has used, as Linux tells it.

use crate::Result;
use std::{fs, time::Duration};

/// CPU time of all threads of a process so far.
///
/// From `schedstat`, which counts nanoseconds. The proxies under test keep their threads.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let running = text.split(' ').next().unwrap_or_default();
        total += running.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

/// KiB of user memory: each page divided by the number of processes that share it (PSS).
pub(crate) fn memory(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let value = line.and_then(|line| line.trim().strip_suffix("kB"));
    let value = value.ok_or("no Pss in smaps_rollup")?;
    Ok(value.trim().parse()?)
}
