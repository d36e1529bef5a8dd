//! Critical sections that measure themselves.
//!
//! A count of the timer is not a whole instruction, but many, or a part of one. So the same work is
//! done again and again, each time begun an instruction later: over so many that each section has
//! had every phase of the count equally often, the counts that it took add up to a multiple of its
//! length.

use core::cell::UnsafeCell;

use board::{burn, meter};
use critical_section::RawRestoreState;

/// So many sections there may be in a piece of work.
const MOST: usize = 8_192;

/// How often the length of a section, in instructions, is in the counts over all phases. There are as
/// many phases as nanoseconds in two counts, and in each an instruction adds its share of a count.
const MULTIPLE: u32 = 2 * meter::INSTRUCTION;

struct Lengths {
    record: UnsafeCell<Record>,
}

struct Record {
    /// How many counts each section took, over all phases.
    counts: [u16; MOST],
    /// Of the section that is open, or comes next.
    number: usize,
    depth: u32,
    before: u32,
}

// SAFETY: no interrupt is enabled, so nobody comes in between.
unsafe impl Sync for Lengths {}

static LENGTHS: Lengths = Lengths {
    record: UnsafeCell::new(Record { counts: [0; MOST], number: 0, depth: 0, before: 0 }),
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
            record.counts[record.number] += meter::since(record.before) as u16;
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
        begin(|record| record.counts.fill(0));
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
        record.counts[..record.number]
            .iter()
            .max()
            .map_or(0, |counts| u32::from(*counts).div_ceil(MULTIPLE))
    };
    // What measuring adds.
    let nothing = measure(&mut || critical_section::with(|_| {}));
    for known in [10, 11, 30] {
        let measured = measure(&mut || critical_section::with(|_| burn(known)));
        assert!((known..known + 5).contains(&(measured - nothing)), "{known} is {measured}");
    }
    measure(&mut work) - nothing
}
