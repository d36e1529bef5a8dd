//! Critical sections that measure themselves.
//!
//! A count of the timer is many instructions. So the same work is done again and again, each time
//! begun an instruction later in the count: over two counts, each section has had every phase twice,
//! and the counts that it took add up to twice its length.

use core::cell::UnsafeCell;

use board::{burn, meter};
use critical_section::RawRestoreState;

/// So many sections there may be in a piece of work.
const MOST: usize = 8_192;

struct Lengths {
    record: UnsafeCell<Record>,
}

struct Record {
    /// Twice the length of each section, when all is done.
    twice: [u16; MOST],
    /// Of the section that is open, or comes next.
    number: usize,
    depth: u32,
    before: u32,
}

// SAFETY: no interrupt is enabled, so nobody comes in between.
unsafe impl Sync for Lengths {}

static LENGTHS: Lengths = Lengths {
    record: UnsafeCell::new(Record { twice: [0; MOST], number: 0, depth: 0, before: 0 }),
};

struct Measuring;
critical_section::set_impl!(Measuring);

// SAFETY: no interrupt is enabled, and there is one core, so every section is exclusive.
unsafe impl critical_section::Impl for Measuring {
    #[inline(never)]
    unsafe fn acquire() -> RawRestoreState {
        // SAFETY: nobody else uses it now.
        let record = unsafe { &mut *LENGTHS.record.get() };
        record.depth += 1;
        if record.depth == 1 {
            record.before = meter::count();
        }
        true
    }

    #[inline(never)]
    unsafe fn release(_: RawRestoreState) {
        // SAFETY: nobody else uses it now.
        let record = unsafe { &mut *LENGTHS.record.get() };
        if record.depth == 1 {
            record.twice[record.number] += meter::since(record.before) as u16;
            record.number += 1;
        }
        record.depth -= 1;
    }
}

/// The instructions of the longest section in `work`, which is the same each time that it is done;
/// from where interrupts are off to where they are on again.
pub fn longest(mut work: impl FnMut()) -> u32 {
    let measure = |work: &mut dyn FnMut()| {
        // SAFETY: nobody else uses it when this is called; the borrow ends with the call.
        let begin = |what: fn(&mut Record)| unsafe { what(&mut *LENGTHS.record.get()) };
        // Once, for what is different the first time.
        work();
        begin(|record| record.twice.fill(0));
        let mut sections = None;
        for phase in 0..meter::TWO_COUNTS {
            begin(|record| record.number = 0);
            meter::start();
            burn(2 + phase);
            work();
            // SAFETY: nobody else uses it now.
            let number = unsafe { (*LENGTHS.record.get()).number };
            assert_eq!(*sections.get_or_insert(number), number, "the work is not the same");
        }
        // SAFETY: as above.
        let record = unsafe { &*LENGTHS.record.get() };
        record.twice[..record.number].iter().max().map_or(0, |twice| u32::from(*twice).div_ceil(2))
    };
    // What measuring adds.
    let nothing = measure(&mut || critical_section::with(|_| {}));
    for known in [10, 11, 30] {
        let measured = measure(&mut || critical_section::with(|_| burn(known)));
        assert!((known..known + 5).contains(&(measured - nothing)), "{known} is {measured}");
    }
    measure(&mut work) - nothing
}
