//! The suite on the machine's timer; and, on a clock that is moved by hand, its cases about single
//! ticks, with the machine's own atomics.

#![no_std]
#![no_main]

use core::cell::UnsafeCell;

use board::println;
use conformance::{MachineRig, Place};
use moirai_timer_core::{ManualDriver, Ticks, Timer};
use moirai_timer_tests::{CAPACITY, ManualRig, ManualTimer, cases, each_case, run};

static PLACE: Place<CAPACITY> = Place::new();

board::handlers!(PLACE);

#[unsafe(export_name = "main")]
extern "C" fn main() -> ! {
    // Before the driver is started the clock stands still, at zero; RISC-V's runs from reset.
    let stands = || assert!(cfg!(feature = "virt") || PLACE.timer().now() == Ticks::ZERO);
    stands();
    let task = moirai_timer_tests::Task::new();
    let mut early = PLACE.timer().sleep(core::time::Duration::from_micros(100));
    let _ = task.polls(|cx| Future::poll(core::pin::Pin::new(&mut early), cx));
    stands();
    board::start(PLACE.driver());
    while !task.is_woken() {}
    println!("a sleep of before the start fires after it");
    drop(early);

    let mut count = 1;
    macro_rules! on_machine {
        ($($case:ident)*) => {$(
            run(new_rig, cases::$case);
            count += 1;
            println!("{}", stringify!($case));
        )*};
    }
    each_case!(any: on_machine);
    each_case!(alone: on_machine);

    macro_rules! by_hand {
        ($($case:ident)*) => {$(
            run(new_manual, cases::$case);
            count += 1;
            println!("by hand: {}", stringify!($case));
        )*};
    }
    each_case!(clock: by_hand);
    println!("{count} cases passed");
    board::exit(0)
}

fn new_rig() -> MachineRig {
    // SAFETY: a case drops all that it makes with its timer.
    MachineRig(unsafe { PLACE.renew() })
}

struct Manual(UnsafeCell<ManualTimer<1_000>>);

// SAFETY: only `main` uses it.
unsafe impl Sync for Manual {}

fn new_manual() -> ManualRig<1_000> {
    static MANUAL: Manual = Manual(UnsafeCell::new(Timer::new(ManualDriver::new())));
    let fresh = Timer::new(ManualDriver::at(Ticks::ZERO));
    // SAFETY: the case before has dropped all that it had made with its timer.
    unsafe {
        MANUAL.0.get().write(fresh);
        ManualRig::over(&*MANUAL.0.get())
    }
}
