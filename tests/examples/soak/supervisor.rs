//! Starts the worker, passes on what it says, stops and continues it when it asks for that, and
//! ends it if it hangs.

use std::env;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The line with which the worker asks to be stopped.
pub(crate) const STOP: &str = "stop";
/// How long it is stopped.
pub(crate) const STOPPED: Duration = Duration::from_secs(2);
/// A worker that says nothing for so long, beyond a round, hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// A worker that does not outlive its supervisor.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // Fails if it has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(length: Duration) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    let mut command = Command::new(env::current_exe().map_err(said)?);
    command.args(env::args_os().skip(1)).arg("--worker").stdout(Stdio::piped());
    let mut worker = Worker(command.spawn().map_err(said)?);
    let output = worker.0.stdout.take().ok_or("the worker has no output")?;

    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        // Fails if nobody listens any more.
        lines.for_each(|line| drop(sender.send(line)));
    });
    loop {
        match lines.recv_timeout(crate::worker::round_of(length) + SILENCE) {
            Ok(line) if line == STOP => {
                signal(&worker.0, libc::SIGSTOP).map_err(said)?;
                thread::sleep(STOPPED);
                signal(&worker.0, libc::SIGCONT).map_err(said)?;
            }
            Ok(line) => println!("{line}"),
            Err(RecvTimeoutError::Timeout) => return Err("the worker hangs".into()),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = worker.0.wait().map_err(said)?;
    if status.success() { Ok(()) } else { Err(format!("the worker ended with {status}")) }
}

fn signal(child: &Child, signal: i32) -> io::Result<()> {
    // SAFETY: signals the child that this process started, and has not waited for.
    match unsafe { libc::kill(child.id() as libc::pid_t, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
