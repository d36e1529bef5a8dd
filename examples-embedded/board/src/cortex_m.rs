//! Cortex-M: which timer, and which of its interrupts.

#[cfg(any(feature = "mps2-an385-systick", feature = "lm3s6965evb"))]
mod timer {
    use cortex_m::peripheral::syst::SystClkSource;

    const HZ: u64 = if cfg!(feature = "lm3s6965evb") { 12_500_000 } else { 25_000_000 };
    pub type Driver = moirai_timer_cortex_m::SysTick<HZ>;

    pub const fn driver() -> Driver {
        // SAFETY: a program makes one.
        unsafe { Driver::take() }
    }

    pub fn start(driver: &Driver) {
        driver.start(SystClkSource::Core);
    }

    #[macro_export]
    macro_rules! handlers {
        ($timer:ident) => {
            #[unsafe(no_mangle)]
            extern "C" fn SysTick() {
                $timer.on_alarm();
            }
        };
    }
}

#[cfg(not(any(feature = "mps2-an385-systick", feature = "lm3s6965evb")))]
mod timer {
    #[cfg(feature = "mps2-an385")]
    pub type Driver = moirai_timer_hal::cmsdk::Mps2;
    #[cfg(feature = "microbit")]
    pub type Driver = moirai_timer_hal::nrf::Timer0;
    #[cfg(feature = "microbit-narrow")]
    pub type Driver = moirai_timer_hal::nrf::NrfDriver<0x4000_8000, 8, 0, 16>;
    #[cfg(feature = "microbit-24")]
    pub type Driver = moirai_timer_hal::nrf::NrfDriver<0x4000_8000, 8, 0, 24>;

    pub const fn driver() -> Driver {
        // SAFETY: a program makes one, and the board has the timer.
        unsafe { Driver::take() }
    }

    pub fn start(driver: &Driver) {
        driver.start();
        // SAFETY: the program has not started yet, so nobody relies on the mask.
        unsafe { cortex_m::peripheral::NVIC::unmask(super::Interrupt(super::ALARM_NUMBER)) };
    }

    #[macro_export]
    macro_rules! handlers {
        ($timer:ident) => {
            #[unsafe(no_mangle)]
            extern "C" fn ALARM() {
                $timer.driver().acknowledge();
                $timer.on_alarm();
            }
        };
    }
}

pub use cortex_m::asm::wfi;
pub use timer::{Driver, driver, start};

// For its vector table and its reset handler.
use cortex_m_rt as _;

pub(crate) const ALARM_NUMBER: u16 = if cfg!(feature = "mps2-an385") { 9 } else { 8 };
pub(crate) const OTHER_NUMBER: u16 =
    if cfg!(any(feature = "mps2-an385", feature = "mps2-an385-systick")) {
        10
    } else if cfg!(feature = "lm3s6965evb") {
        19
    } else {
        9
    };

#[derive(Clone, Copy)]
pub(crate) struct Interrupt(pub(crate) u16);

// SAFETY: the machines have the interrupts.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

unsafe extern "C" {
    fn ALARM();
    fn OTHER();
    fn DefaultHandler();
}

#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 32] = {
    let mut all = [DefaultHandler as unsafe extern "C" fn(); 32];
    all[ALARM_NUMBER as usize] = ALARM;
    all[OTHER_NUMBER as usize] = OTHER;
    all
};
