//! The suite on the std driver, in each of the ways in which it can be driven.

mod a_thread_of_its_own {
    use moirai_timer_tests::Threaded;
    moirai_timer_tests::conformance!(Threaded::new);
    moirai_timer_tests::conformance_alone!(Threaded::new);
}

mod turned_by_hand {
    use moirai_timer_tests::Turned;
    moirai_timer_tests::conformance!(Turned::new);
    moirai_timer_tests::conformance_alone!(Turned::new);
}

mod driven_by_block_on {
    use moirai_timer_tests::BlockOn;
    moirai_timer_tests::conformance!(BlockOn::new);
}

mod the_global_timer {
    use moirai_timer_tests::Global;
    moirai_timer_tests::conformance!(|| Global);
}

#[test]
fn a_sleep_takes_no_more_than_32_bytes() {
    assert!(size_of::<moirai_timer_std::Sleep>() <= 32);
}
