//! The suite on the core alone: both stores, with clocks of several rates that start at several
//! times.

macro_rules! on_clock {
    ($($name:ident: $rig:ty = $new:expr;)*) => {$(
        mod $name {
            use moirai_timer_core::Ticks;
            #[allow(unused_imports)]
            use moirai_timer_tests::{ManualRig, Wheel};

            fn rig() -> $rig {
                $new
            }

            moirai_timer_tests::conformance!(rig);
            moirai_timer_tests::conformance_alone!(rig);
            moirai_timer_tests::conformance_clock!(rig);
        }
    )*};
}

on_clock! {
    milliseconds: ManualRig<1_000> = ManualRig::at(Ticks::ZERO);
    watch_crystal: ManualRig<32_768> = ManualRig::at(Ticks::ZERO);
    nanoseconds: ManualRig<1_000_000_000> = ManualRig::at(Ticks::ZERO);
    milliseconds_late_in_life: ManualRig<1_000> = ManualRig::at(Ticks::new((1 << 59) + 12_345));
    watch_crystal_late_in_life: ManualRig<32_768> = ManualRig::at(Ticks::new((1 << 59) - 10));
    nanoseconds_late_in_life: ManualRig<1_000_000_000> = ManualRig::at(Ticks::new((1 << 59) - 1));

    fine_wheel: ManualRig<1_000, Wheel<0>> = ManualRig::wheel_at(Ticks::ZERO);
    fine_wheel_late_in_life: ManualRig<32_768, Wheel<0>> =
        ManualRig::wheel_at(Ticks::new((1 << 59) - 10));
    coarse_wheel: ManualRig<1_000_000_000, Wheel<16>> = ManualRig::wheel_at(Ticks::ZERO);
    coarse_wheel_late_in_life: ManualRig<1_000_000_000, Wheel<16>> =
        ManualRig::wheel_at(Ticks::new((1 << 59) - 1));
}
