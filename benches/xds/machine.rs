//! What the operating system knows: the time that all processes share, cores, and what a process has used.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the clock that is the same in every process.
pub(crate) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let nanos = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    u64::try_from(nanos).expect("the machine runs for less than 500 years")
}

/// Two cores that this process may use: one for the server, one for the load. On a machine with
/// one, both are that one.
pub(crate) fn two_cores() -> io::Result<[usize; 2]> {
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let first = cores.next().unwrap_or_default();
    Ok([first, cores.next().unwrap_or(first)])
}

/// Does `work` on one core; what it spawns stays there.
pub(crate) fn on_core<T>(core: usize, work: impl FnOnce() -> T) -> io::Result<T> {
    let before = sched_getaffinity(None)?;
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only)?;
    let done = work();
    sched_setaffinity(None, &before)?;
    Ok(done)
}

/// As many open files as this user may have.
pub(crate) fn raise_file_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Nanoseconds on a core that the threads of a process have had since they began.
pub(crate) fn cpu_nanos(pid: u32) -> io::Result<u64> {
    let mut nanos = 0;
    for thread in fs_err::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end in between.
        if let Ok(text) = fs_err::read_to_string(thread?.path().join("schedstat")) {
            let on_core = text.split_whitespace().next();
            nanos += on_core
                .and_then(|word| word.parse::<u64>().ok())
                .unwrap_or_default();
        }
    }
    Ok(nanos)
}

/// The same with threads that have ended, but to no more than 10 ms.
pub(crate) fn cpu_nanos_of_all(pid: u32) -> io::Result<u64> {
    const TICK_NANOS: u64 = 10_000_000;
    /// The fields `utime` and `stime`, counted from behind the name, which may hold blanks.
    const TIMES: std::ops::Range<usize> = 11..13;
    let text = fs_err::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind_name = text.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let times = fields.get(TIMES).unwrap_or_default();
    let ticks = times.iter().filter_map(|word| word.parse::<u64>().ok());
    Ok(ticks.sum::<u64>() * TICK_NANOS)
}

/// KiB of memory that a process holds now, and the most that it has held.
pub(crate) fn rss_kib(pid: u32) -> io::Result<(u64, u64)> {
    let text = fs_err::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_default()
    };
    Ok((field("VmRSS:"), field("VmHWM:")))
}
