//! Lines on their way to stderr: a bounded queue, so that the caller never waits for what reads stderr.

use std::{
    io::{ErrorKind, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

/// Lines that may wait; more are dropped and counted.
const WAITING: usize = 8 * 1024;
/// How much is written at once where lines come faster than they are taken.
const BATCH: usize = 64 * 1024;

/// Between two tries to put something into a full queue, where that may take its time.
const FULL: Duration = Duration::from_millis(1);

enum Entry {
    Line(String),
    Flush(SyncSender<()>),
}

/// Where lines are appended. Clones share the queue.
#[derive(Clone, Debug)]
pub struct LogQueue {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

/// Where lines come out: to be run on a thread of its own.
pub struct LogPump {
    entries: Receiver<Entry>,
    dropped: Arc<AtomicU64>,
    out: Box<dyn Write + Send>,
    /// Whether the last thing written broke off in mid-line.
    torn: bool,
}

/// A queue, and the pump that empties it into `out`.
pub(super) fn queue(out: Box<dyn Write + Send>) -> (LogQueue, LogPump) {
    let (sender, receiver) = mpsc::sync_channel(WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    let queue = LogQueue {
        entries: sender,
        dropped: Arc::clone(&dropped),
    };
    let pump = LogPump {
        entries: receiver,
        dropped,
        out,
        torn: false,
    };
    (queue, pump)
}

impl LogQueue {
    /// Puts a line in, its line feed included; drops and counts it where the queue is full.
    pub(super) fn put(&self, line: String) {
        if self.entries.try_send(Entry::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The count of lost lines, for the metrics.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Waits until all that was appended before is written, `limit` at most; returns true if it is.
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let (done, wait) = mpsc::sync_channel(1);
        if !self.ask_until(deadline, done) {
            return false;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        !matches!(wait.recv_timeout(left), Err(RecvTimeoutError::Timeout))
    }

    /// Asks for an answer when all before is written; while the queue is full, again and again.
    fn ask_until(&self, deadline: Instant, done: SyncSender<()>) -> bool {
        let mut question = Entry::Flush(done);
        loop {
            match self.entries.try_send(question) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => question = back,
                Err(_) => return false,
            }
            thread::sleep(FULL);
        }
    }
}

impl LogPump {
    /// Writes lines as they come; returns when every [`LogQueue`] is dropped. Errors of writing (a
    /// closed pipe, a full disk) cost the lines they hit, which are counted, and nothing else:
    /// each line is tried once, so that a broken output is not a busy loop.
    pub fn run(mut self) {
        while let Ok(entry) = self.entries.recv() {
            self.take(entry);
        }
    }

    fn take(&mut self, first: Entry) {
        let mut batch = String::new();
        let mut next = Ok(first);
        while let Ok(Entry::Line(line)) = next {
            batch.push_str(&line);
            next = match batch.len() {
                0..BATCH => self.entries.try_recv(),
                _ => Err(TryRecvError::Empty),
            };
        }
        self.write(batch.as_bytes());
        if let Ok(Entry::Flush(done)) = next {
            // The caller may have stopped waiting; that does not concern the log.
            let _ = done.send(());
        }
    }

    fn write(&mut self, batch: &[u8]) {
        if self.torn && !batch.is_empty() {
            self.torn = !matches!(self.out.write(b"\n"), Ok(1));
        }
        let mut rest = batch;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(count @ 1..) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return self.lose(batch.len() - rest.len(), batch),
            }
        }
        // A failure to flush is met again by the next write.
        let _ = self.out.flush();
    }

    /// Counts what is left of `batch` after `written` of its bytes.
    fn lose(&mut self, written: usize, batch: &[u8]) {
        let (before, rest) = batch.split_at_checked(written).unwrap_or((batch, &[]));
        self.torn |= before.last().is_some_and(|last| *last != b'\n');
        let lines = rest.split(|byte| *byte == b'\n').count().saturating_sub(1);
        self.dropped.fetch_add(lines as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        sync::{Mutex, mpsc::channel},
    };

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes some bytes, then fails as a full disk does until it is made to recover.
    struct Full {
        room: usize,
        tries: Arc<AtomicU64>,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.tries.fetch_add(1, Ordering::Relaxed);
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Never takes anything until its channel is closed, as a pipe that nobody reads.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lost(queue: &LogQueue) -> u64 {
        queue.dropped().load(Ordering::Relaxed)
    }

    #[test]
    fn lines_come_out_in_order_and_flush_waits_for_them() {
        let out = Shared::default();
        let (queue, pump) = queue(Box::new(out.clone()));
        let pump = thread::spawn(|| pump.run());
        (0..100).for_each(|line| queue.put(format!("{line}\n")));
        assert!(queue.flush(Duration::from_secs(10)));
        let written = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(
            written
                .lines()
                .map(|line| line.parse::<i32>().unwrap())
                .eq(0..100)
        );
        drop(queue);
        pump.join().unwrap();
    }

    #[test]
    fn an_output_that_nobody_reads_holds_up_nobody_who_logs() {
        let (release, stuck) = channel();
        let (queue, pump) = queue(Box::new(Stuck(stuck)));
        let pump = thread::spawn(|| pump.run());
        (0..3 * WAITING).for_each(|_| queue.put("line\n".to_owned()));
        assert!(lost(&queue) > 0);
        assert!(!queue.flush(Duration::ZERO));
        drop((release, queue));
        pump.join().unwrap();
    }

    #[test]
    fn flush_of_a_full_queue_waits_for_all_its_lines() {
        let out = Shared::default();
        let (queue, pump) = queue(Box::new(out.clone()));
        (0..WAITING).for_each(|_| queue.put("line\n".to_owned()));
        let pump = thread::spawn(|| pump.run());
        assert!(queue.flush(Duration::from_secs(10)));
        assert_eq!(out.0.lock().unwrap().len(), WAITING * "line\n".len());
        drop(queue);
        pump.join().unwrap();
    }

    #[test]
    fn a_full_disk_costs_the_lines_it_hits_and_one_try_each() {
        let tries = Arc::new(AtomicU64::new(0));
        let out = Full {
            room: 3,
            tries: Arc::clone(&tries),
        };
        let (queue, mut pump) = queue(Box::new(out));
        (0..4).for_each(|_| pump.write(b"abcd\n"));
        assert_eq!(lost(&queue), 4);
        assert!(tries.load(Ordering::Relaxed) <= 9);
    }

    #[test]
    fn a_line_after_a_torn_one_begins_afresh() {
        let out = Shared::default();
        let (_queue, mut pump) = queue(Box::new(Full {
            room: 3,
            tries: Arc::default(),
        }));
        pump.write(b"abcd\n");
        pump.out = Box::new(out.clone());
        pump.write(b"next\n");
        assert_eq!(out.0.lock().unwrap().as_slice(), b"\nnext\n");
    }
}
