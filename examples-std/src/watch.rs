//! Looks on while the storm blows: draws the progress bar, and notes the memory.
//!
//! In a thread that wakes up a few times a second, so that the sleeps need not report anything.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::shot::Board;
use crate::usage;

const PERIOD: Duration = Duration::from_millis(50);
const DRAWN_PER_SECOND: u8 = 5;
const STYLE: &str = "{prefix:8} {bar:40} {human_pos} of {human_len} sleeps, {elapsed}";

/// The thread that looks on.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Seen>,
}

/// What it saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// The most sleeps that were waiting at once.
    pub(crate) most_at_once: usize,
    /// By how many bytes the resident memory grew at most.
    pub(crate) memory_growth: Option<usize>,
}

impl Watch {
    /// Starts looking; what happens from now on counts.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn start(name: &'static str, board: Arc<Board>) -> io::Result<Watch> {
        // Hidden by itself where stderr is no terminal.
        let target = ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND);
        let bar = ProgressBar::with_draw_target(Some(board.len() as u64), target);
        bar.set_style(ProgressStyle::with_template(STYLE).expect("the template is well-formed"));
        bar.set_prefix(name);
        let (stop, stopped) = mpsc::channel();
        let (ready, start) = mpsc::channel();
        let thread = thread::Builder::new().name("watch".into()).spawn(move || {
            let before = usage::resident_memory();
            let _ = ready.send(());
            let mut seen = Seen::default();
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                seen.look(&board, before);
                bar.set_position(board.done() as u64);
            }
            bar.finish_and_clear();
            seen
        })?;
        // The first look at the memory comes before the first sleep.
        let _ = start.recv();
        Ok(Watch { stop, thread })
    }

    /// Ends it, with what it saw.
    pub(crate) fn stop(self) -> Seen {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

impl Seen {
    fn look(&mut self, board: &Board, before: Option<usize>) {
        let done = board.done();
        self.most_at_once = self.most_at_once.max(board.begun().saturating_sub(done));
        if let Some((before, now)) = before.zip(usage::resident_memory()) {
            self.memory_growth = self.memory_growth.max(Some(now.saturating_sub(before)));
        }
    }
}
