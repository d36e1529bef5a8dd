//! What each sanitizer must report, or it is not looking: a race, a use after free, a leak.

use std::thread;

static mut SHARED: u32 = 0;

fn add() {
    for _ in 0..1_000 {
        // SAFETY: there is none. Two threads do this at once, which is what has to be reported.
        unsafe { (&raw mut SHARED).write_volatile((&raw const SHARED).read_volatile() + 1) };
    }
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("thread") => {
            let other = thread::spawn(add);
            add();
            other.join().unwrap();
        }
        Some("address") => {
            let place = Box::into_raw(Box::new(7_u32));
            // SAFETY: there is none. It is read after it was freed, which is what has to be reported.
            unsafe {
                drop(Box::from_raw(place));
                println!("{}", place.read_volatile());
            }
        }
        Some("leak") => std::mem::forget(vec![7_u32; 1_000]),
        other => unreachable!("{other:?}"),
    }
}
