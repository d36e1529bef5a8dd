//! Functions that are called later.
//!
//! A callback is a task of one poll. When it is due, its waker, which the timer's thread calls, puts
//! it into a channel and does nothing else; the thread at the other end runs it. So a function that
//! takes long delays other functions, and no timer.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_std::{Sleep, Timer};

type Function = Box<dyn FnOnce() + Send>;

/// Calls functions at their time, on a thread of its own: one after the other, in the order in which
/// they come due.
///
/// A handle; clones refer to the same thread. It ends when the last handle is gone, and every
/// callback has been called or cancelled and its own handle dropped. A function that panics is
/// reported by the panic hook and counted; the others are called all the same. One that blocks holds
/// up the functions after it.
///
/// # Fork
///
/// A child that was forked does not have that thread: a `CallbackTimer` of before the fork calls nothing in
/// it. Make another there. That takes a thread of the standard library's, which may not begin in a child if one
/// of the parent's was beginning or ending at the fork; the timer's own thread has no such trouble.
///
/// ```
/// use moirai_timer_ext::CallbackTimer;
/// use moirai_timer_std::Timer;
/// use std::{sync::mpsc::channel, time::Duration};
///
/// let callbacks = CallbackTimer::new(Timer::global().clone())?;
/// let (sender, receiver) = channel();
/// callbacks.spawn_after(Duration::from_millis(1), move || sender.send("now").unwrap()).detach();
/// assert_eq!(receiver.recv(), Ok("now"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CallbackTimer {
    timer: Timer,
    due: Sender<Arc<Callback>>,
    panics: Arc<AtomicU64>,
}

impl CallbackTimer {
    /// Callbacks on `timer`, and a thread that runs them.
    ///
    /// # Errors
    /// If the system refuses another thread.
    ///
    /// ```
    /// # use moirai_timer_ext::CallbackTimer;
    /// # use moirai_timer_std::Timer;
    /// # use std::{sync::mpsc::channel, time::Duration};
    /// // Two threads: what takes long on one does not delay what is called on the other.
    /// let slow = CallbackTimer::new(Timer::global().clone())?;
    /// let prompt = CallbackTimer::new(Timer::global().clone())?;
    /// let (release, wait) = channel::<()>();
    /// let (sender, receiver) = channel();
    /// slow.spawn_after(Duration::ZERO, move || drop(wait.recv())).detach();
    /// prompt.spawn_after(Duration::ZERO, move || sender.send("at once").unwrap()).detach();
    /// assert_eq!(receiver.recv(), Ok("at once"));
    /// # drop(release);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(timer: Timer) -> io::Result<CallbackTimer> {
        let (due, next) = channel::<Arc<Callback>>();
        let panics = Arc::new(AtomicU64::new(0));
        let counter = panics.clone();
        thread::Builder::new().name("moirai-callbacks".into()).spawn(move || {
            for callback in next {
                // Both what it does and what it owned may panic; and so may the drop of what that
                // carries. What the last one carries is leaked.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| callback.run_if_due())) {
                    counter.fetch_add(1, Relaxed);
                    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                        mem::forget(another);
                    }
                }
            }
        })?;
        Ok(CallbackTimer { timer, due, panics })
    }

    /// Calls `function` after `duration`; never, if that is beyond the clock.
    ///
    /// Allocates. Takes no lock that anybody else may hold.
    ///
    /// ```
    /// # use moirai_timer_ext::CallbackTimer;
    /// # use moirai_timer_std::Timer;
    /// # use std::{sync::mpsc::channel, time::Duration};
    /// let callbacks = CallbackTimer::new(Timer::global().clone())?;
    /// let (sender, receiver) = channel();
    /// let call = move || sender.send("hello").unwrap();
    /// callbacks.spawn_after(Duration::from_millis(1), call).detach();
    /// assert_eq!(receiver.recv(), Ok("hello"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn_after(
        &self,
        duration: Duration,
        function: impl FnOnce() + Send + 'static,
    ) -> CallbackHandle {
        self.spawn(self.timer.sleep(duration), Box::new(function))
    }

    /// Calls `function` at `deadline`.
    ///
    /// ```
    /// # use moirai_timer_ext::CallbackTimer;
    /// # use moirai_timer_std::Timer;
    /// # use std::{sync::mpsc::channel, time::Duration};
    /// let callbacks = CallbackTimer::new(Timer::global().clone())?;
    /// let (sender, receiver) = channel();
    /// let now = Timer::global().now();
    /// let late = callbacks.spawn_at(now, move || sender.send("late").unwrap());
    /// assert_eq!(receiver.recv(), Ok("late"));
    /// assert!(late.is_finished());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn_at(
        &self,
        deadline: Instant,
        function: impl FnOnce() + Send + 'static,
    ) -> CallbackHandle {
        self.spawn(self.timer.sleep_until(deadline), Box::new(function))
    }

    fn spawn(&self, sleep: Sleep, function: Function) -> CallbackHandle {
        let waits = Mutex::new(Some(Waits { sleep, function }));
        let callback = Arc::new(Callback { waits, due: self.due.clone() });
        callback.poll();
        CallbackHandle { callback: Some(callback) }
    }

    /// How many functions have panicked.
    ///
    /// ```
    /// # use moirai_timer_ext::CallbackTimer;
    /// # use moirai_timer_std::Timer;
    /// # use std::{sync::mpsc::channel, time::Duration};
    /// let callbacks = CallbackTimer::new(Timer::global().clone())?;
    /// callbacks.spawn_after(Duration::ZERO, || panic!("a bug")).detach();
    /// let (sender, receiver) = channel();
    /// callbacks.spawn_after(Duration::from_millis(1), move || sender.send(()).unwrap()).detach();
    /// assert!(receiver.recv().is_ok()); // called all the same
    /// assert_eq!(callbacks.panics(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }
}

/// Calls `function` after `duration`, on the [global timer](Timer::global), and a thread for all
/// callbacks of the process that starts with the first.
///
/// In a child that was forked after the first of them, that thread is missing and nothing is called: make
/// a [`CallbackTimer`] there.
///
/// # Errors
/// If the system refuses that thread.
///
/// ```
/// use moirai_timer_ext::spawn_after;
/// use std::time::Duration;
///
/// let alarm = spawn_after(Duration::from_secs(3600), || println!("still running"))?;
/// assert!(alarm.cancel());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn spawn_after(
    duration: Duration,
    function: impl FnOnce() + Send + 'static,
) -> io::Result<CallbackHandle> {
    static GLOBAL: OnceLock<CallbackTimer> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let callbacks = match GLOBAL.get() {
        Some(callbacks) => callbacks,
        None => {
            let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
            match GLOBAL.get() {
                Some(callbacks) => callbacks,
                None => {
                    let callbacks = CallbackTimer::new(Timer::global().clone())?;
                    GLOBAL.get_or_init(|| callbacks)
                }
            }
        }
    };
    Ok(callbacks.spawn_after(duration, function))
}

struct Callback {
    /// None when it has been called or cancelled.
    waits: Mutex<Option<Waits>>,
    /// Not under the lock: a poll, which is, may call the waker.
    due: Sender<Arc<Callback>>,
}

struct Waits {
    sleep: Sleep,
    function: Function,
}

impl Callback {
    /// Takes what waits, if `which` says so. The lock is not held when anything is called or dropped.
    fn take(&self, which: impl FnOnce(&mut Waits) -> bool) -> Option<Waits> {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.as_mut().is_some_and(which) { waits.take() } else { None }
    }

    /// Arms the sleep; or has the callback run, if that is due already.
    fn poll(self: &Arc<Self>) {
        let waker = Waker::from(self.clone());
        if self.is_due(&waker) {
            waker.wake();
        }
    }

    fn is_due(&self, waker: &Waker) -> bool {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.as_mut().is_some_and(|waits| {
            Pin::new(&mut waits.sleep).poll(&mut Context::from_waker(waker)).is_ready()
        })
    }

    fn run_if_due(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let due = self.take(|waits| {
            Pin::new(&mut waits.sleep).poll(&mut Context::from_waker(&waker)).is_ready()
        });
        if let Some(Waits { function, .. }) = due {
            function();
        }
    }
}

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The thread is there as long as there is a sender.
        let _ = self.due.send(self.clone());
    }
}

/// A callback that has not been called yet. Dropping it cancels the callback.
///
/// ```
/// use moirai_timer_ext::spawn_after;
/// use std::{sync::mpsc::channel, time::Duration};
///
/// let (sender, receiver) = channel();
/// // Is not called: the handle is dropped, and the function with it.
/// let _ = spawn_after(Duration::from_secs(60), move || sender.send("called").unwrap())?;
/// assert!(receiver.recv().is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a callback whose handle is dropped is cancelled: detach it"]
pub struct CallbackHandle {
    /// None when it was detached.
    callback: Option<Arc<Callback>>,
}

impl CallbackHandle {
    /// Lets the callback be called without anybody holding on to it.
    ///
    /// ```
    /// # use moirai_timer_ext::spawn_after;
    /// # use std::{sync::mpsc::channel, time::Duration};
    /// let (sender, receiver) = channel();
    /// spawn_after(Duration::from_millis(1), move || sender.send("called").unwrap())?.detach();
    /// assert_eq!(receiver.recv(), Ok("called"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn detach(mut self) {
        self.callback = None;
    }

    /// Keeps the callback from being called. False if it was, or is being, called.
    ///
    /// Drops the function before it returns. Does not wait for a function that runs.
    ///
    /// ```
    /// # use moirai_timer_ext::spawn_after;
    /// # use std::{sync::mpsc::channel, time::Duration};
    /// let (sender, receiver) = channel();
    /// let later = spawn_after(Duration::from_secs(3600), move || sender.send("called").unwrap())?;
    /// assert!(later.cancel());
    /// assert!(receiver.recv().is_err()); // the function is gone, and its sender
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cancel(mut self) -> bool {
        self.callback.take().is_some_and(|callback| callback.take(|_| true).is_some())
    }

    /// Whether the function was called, or is being called.
    ///
    /// ```
    /// # use moirai_timer_ext::spawn_after;
    /// # use std::{sync::mpsc::channel, time::Duration};
    /// let (sender, receiver) = channel();
    /// let soon = spawn_after(Duration::from_millis(1), move || sender.send(()).unwrap())?;
    /// let later = spawn_after(Duration::from_secs(3600), || ())?;
    /// receiver.recv().unwrap();
    /// assert!(soon.is_finished() && !later.is_finished());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_finished(&self) -> bool {
        self.callback.as_ref().is_some_and(|callback| {
            callback.waits.lock().unwrap_or_else(PoisonError::into_inner).is_none()
        })
    }
}

impl Drop for CallbackHandle {
    fn drop(&mut self) {
        if let Some(callback) = &self.callback {
            drop(callback.take(|_| true));
        }
    }
}

impl fmt::Debug for CallbackHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackHandle").field("finished", &self.is_finished()).finish()
    }
}
