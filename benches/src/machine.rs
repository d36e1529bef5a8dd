//! What the figures were measured on, and with: the kind of machine, not which one.

use std::fs;
use std::process::Command;
use std::thread;

/// For instance "virtual machine, 2 × AMD EPYC, Linux 6.18".
pub fn machine() -> String {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim())
    };
    let is_virtual =
        field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    let kind = if is_virtual { "virtual machine, " } else { "" };
    let model = field("model name").unwrap_or(std::env::consts::ARCH);
    format!("{kind}{processors} × {model}, {}", system())
}

/// The kernel's name, and its version as far as it says what it can do.
fn system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.trim().split(['.', '-']);
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => format!("Linux {major}.{minor}"),
        _ => std::env::consts::OS.into(),
    }
}

/// How many threads have wanted a processor in the last minute, on average.
pub fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// The compiler, if it can be asked.
pub fn compiler() -> Option<String> {
    let version = read(Command::new("rustc").arg("--version"))?;
    Some(version.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

/// The commit that was measured, if this is a repository. A plus sign says that it was changed.
pub fn commit() -> Option<String> {
    read(Command::new("git").args(["describe", "--always", "--dirty=+", "--exclude=*"]))
}

fn read(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// A peer's version, which must have come from the registry: a stand-in would be no peer.
pub fn version(package: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let name = format!("\nname = \"{package}\"\n");
    let is_peer = |entry: &&str| entry.contains(&name) && entry.contains("\nsource = \"registry");
    let field = |entry: &'static str| entry.split("\nversion = \"").nth(1)?.split('"').next();
    let version = lock.split("[[package]]").find(is_peer).and_then(field);
    version.expect("the peers are in the lock file, and from the registry")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_peer_comes_from_the_registry() {
        for package in ["tokio", "async-io", "futures-timer"] {
            assert!(super::version(package).contains('.'), "{package}");
        }
    }
}
