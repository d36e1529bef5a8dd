//! QEMU's `virt`: RISC-V with a CLINT.

pub type Driver = moirai_timer_riscv::Clint<0x0200_0000, 10_000_000>;

pub const fn driver() -> Driver {
    // SAFETY: a program makes one, and the machine has it there.
    unsafe { Driver::take() }
}

pub fn start(driver: &Driver) {
    driver.start();
    // SAFETY: the program has not started yet, so nobody relies on interrupts being masked.
    unsafe {
        riscv::register::mie::set_mtimer();
        riscv::register::mie::set_msoft();
        riscv::interrupt::enable();
    }
}

/// Calls a handler of the timer's two interrupts, and has others served meanwhile, as a Cortex-M does
/// by itself if they are more urgent.
pub fn preemptible(handler: impl FnOnce()) {
    // SAFETY: an interrupt is served, no critical section; and neither of the two comes again in it.
    unsafe {
        riscv::register::mie::clear_mtimer();
        riscv::register::mie::clear_msoft();
        riscv::interrupt::nested(handler);
        riscv::register::mie::set_mtimer();
        riscv::register::mie::set_msoft();
    }
}

#[macro_export]
macro_rules! handlers {
    ($timer:ident) => {
        fn on_interrupt() {
            $crate::preemptible(|| {
                $timer.driver().acknowledge();
                $timer.on_alarm();
            });
        }

        #[unsafe(no_mangle)]
        extern "C" fn MachineTimer() {
            on_interrupt();
        }

        #[unsafe(no_mangle)]
        extern "C" fn MachineSoft() {
            on_interrupt();
        }
    };
}

pub use riscv::asm::wfi;
// For its reset handler.
use riscv_rt as _;
