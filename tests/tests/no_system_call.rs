//! A producer calls the system for nothing but one nudge, when its deadline is the earliest.
//!
//! The kernel says so itself: a thread that has told it to refuse every call arms, moves and drops
//! sleeps. Refused calls raise a signal, which is counted.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use moirai_timer_std::Timer;
use moirai_timer_tests::processes::{is_asleep, threads};
use moirai_timer_tests::{Task, until};

static REFUSED: AtomicU32 = AtomicU32::new(0);
static LAST: AtomicI64 = AtomicI64::new(-1);

extern "C" fn on_refusal(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a context to a handler that was installed with SA_SIGINFO.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    LAST.store(registers[libc::REG_RAX as usize], SeqCst);
    REFUSED.fetch_add(1, SeqCst);
}

/// From now on this thread may read the clock, return from a signal, and exit; nothing else.
fn refuse_system_calls() {
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, and the filter is a valid
    // program that lives until the kernel has copied it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_refusal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(libc::SIGSYS, &action, ptr::null_mut()), 0);

        let statement =
            |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
        // Jumps over `jt` instructions to the last, which allows.
        let allow = |call: i64, jt: u8| libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt,
            jf: 0,
            k: call as u32,
        };
        let mut filter = [
            // The number of the call is the first field of what the filter is given.
            statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
            allow(libc::SYS_clock_gettime, 5),
            allow(libc::SYS_rt_sigreturn, 4),
            allow(libc::SYS_exit, 3),
            allow(libc::SYS_exit_group, 2),
            allow(libc::SYS_write, 1),
            statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_TRAP),
            statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

#[test]
fn a_producer_calls_the_system_for_nothing() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let timer = Timer::builder().shards(1).thread_name("uncalled").build().unwrap();
    let task = Task::new();
    let other = Task::new();

    // The first sleep starts the thread; the pool grows to what is needed; an alarm is set that is
    // earlier than all that follows.
    let mut first = timer.sleep(HOUR);
    assert!(task.polls(|cx| Pin::new(&mut first).poll(cx)).is_pending());
    let mut warm: Vec<_> = (0..200).map(|_| timer.sleep(HOUR * 2)).collect();
    for sleep in &mut warm {
        assert!(task.polls(|cx| Pin::new(sleep).poll(cx)).is_pending());
    }
    until(|| timer.metrics().armed == 201);
    drop(warm);
    timer.turn();
    let turns = timer.metrics().turns;

    // On a thread that has little to do at its end. It counts, and says what it counted.
    let counts = AtomicU32::new(0);
    let produce = || {
        for round in 0..20_000u64 {
            let mut sleep = timer.sleep(HOUR * 2 + Duration::from_secs(round % 100));
            assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
            assert!(other.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
            sleep.reset_after(HOUR * 4);
            sleep.reset_after(HOUR * 2);
        }
        let quiet = REFUSED.load(SeqCst);
        // An earlier deadline is worth a nudge; many of them, to a timer that was nudged and has
        // not come yet, are worth no more.
        let mut earlier = timer.sleep(HOUR / 2);
        assert!(task.polls(|cx| Pin::new(&mut earlier).poll(cx)).is_pending());
        let nudged = REFUSED.load(SeqCst);
        for seconds in 0..1_000 {
            earlier.reset_after(HOUR / 3 - Duration::from_secs(seconds));
        }
        counts.store(quiet << 16 | (nudged - quiet) << 8 | (REFUSED.load(SeqCst) - nudged), SeqCst);
        // The kernel refuses to let the thread go in an orderly way, too.
        std::mem::forget(earlier);
    };
    // SAFETY: a fresh child, as a thread could not end without system calls. It exits at once.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: ends the process if it hangs.
        unsafe { libc::alarm(30) };
        // The child's own timer thread, which starts with its first sleep.
        let mut start = timer.sleep(HOUR);
        let _ = task.polls(|cx| Pin::new(&mut start).poll(cx));
        until(|| timer.metrics().turns > turns);
        // One that is not parked yet needs no nudge.
        until(|| matches!(*threads("uncalled"), [thread] if is_asleep(thread)));
        refuse_system_calls();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(produce));
        let counts = counts.load(SeqCst);
        let (quiet, nudged, again) = (counts >> 16, counts >> 8 & 0xff, counts & 0xff);
        let code = match (result.is_ok(), quiet, nudged, again) {
            (true, 0, 1, 0) => 0,
            (false, ..) => 1,
            (true, 1.., ..) => 2,
            (true, _, 0 | 2.., _) => 3,
            (true, ..) => 4,
        };
        // SAFETY: ends the process.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for the child from above.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "it was killed");
    match libc::WEXITSTATUS(status) {
        0 => {}
        2 => panic!("system calls while arming, moving and dropping"),
        3 => panic!("not one system call for an earlier deadline"),
        4 => panic!("system calls for a timer that was nudged already"),
        code => panic!("it failed with {code}"),
    }
}
