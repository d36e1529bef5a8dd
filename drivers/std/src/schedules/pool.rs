//! An executor of the work-stealing kind: a task goes on wherever there is a thread for it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use crate::sys::sync::{Arc, Mutex};
use crate::sys::thread::{self, Thread};

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    /// None while it is polled, and after it has ended.
    future: Mutex<Option<Boxed>>,
    pool: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    ready: Mutex<Ready>,
}

#[derive(Default)]
struct Ready {
    tasks: VecDeque<Arc<Task>>,
    idle: Vec<Thread>,
    /// Tasks that have not ended.
    left: usize,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let pool = self.pool.clone();
        let mut ready = pool.ready.lock().unwrap();
        ready.tasks.push_back(self);
        if let Some(thread) = ready.idle.pop() {
            drop(ready);
            thread.unpark();
        }
    }
}

impl Task {
    fn poll(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        // A task that was woken twice may be polled by two threads: the second waits here.
        let mut place = self.future.lock().unwrap();
        let Some(mut future) = place.take() else { return };
        if future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
            *place = Some(future);
            return;
        }
        drop(place);
        drop(future);
        let mut ready = self.pool.ready.lock().unwrap();
        ready.left -= 1;
        if ready.left == 0 {
            ready.idle.drain(..).for_each(|thread| thread.unpark());
        }
    }
}

fn work(pool: &Queue) {
    loop {
        let mut ready = pool.ready.lock().unwrap();
        if ready.left == 0 {
            return;
        }
        match ready.tasks.pop_front() {
            Some(task) => {
                drop(ready);
                task.poll();
            }
            None => {
                ready.idle.push(thread::current());
                drop(ready);
                thread::park();
            }
        }
    }
}

/// Runs `futures` on `threads` threads, until all have ended.
pub(super) fn run(threads: usize, futures: Vec<Boxed>) {
    let pool = Arc::new(Queue::default());
    {
        let mut ready = pool.ready.lock().unwrap();
        ready.left = futures.len();
        ready.tasks.extend(
            futures.into_iter().map(|future| {
                Arc::new(Task { future: Mutex::new(Some(future)), pool: pool.clone() })
            }),
        );
    }
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let pool = pool.clone();
            shuttle::thread::spawn(move || work(&pool))
        })
        .collect();
    work(&pool);
    others.into_iter().for_each(|thread| thread.join().unwrap());
}
