//! Prints each command before it is run, with its variables, so that it can be repeated by hand.

use anyhow::Result;
use xshell::Cmd;

/// Environment variables for one command.
pub(crate) type Variables<'a> = &'a [(&'a str, &'a str)];

/// Prints the command and runs it.
pub(crate) fn run(command: Cmd<'_>) -> Result<()> {
    run_with(&[], command)
}

/// Prints the command, with the variables that it is given, and runs it.
pub(crate) fn run_with(variables: Variables<'_>, command: Cmd<'_>) -> Result<()> {
    print(variables, &command);
    Ok(command.quiet().envs(variables.iter().copied()).run()?)
}

/// Prints the command, runs it, and returns what it wrote.
pub(crate) fn read(command: Cmd<'_>) -> Result<String> {
    read_with(&[], command)
}

/// The same, with variables.
pub(crate) fn read_with(variables: Variables<'_>, command: Cmd<'_>) -> Result<String> {
    print(variables, &command);
    Ok(command.quiet().envs(variables.iter().copied()).read()?)
}

/// Prints the command, with its variables, runs it, and returns what it wrote to standard error.
pub(crate) fn read_errors_with(variables: Variables<'_>, command: Cmd<'_>) -> Result<String> {
    print(variables, &command);
    Ok(command.quiet().envs(variables.iter().copied()).read_stderr()?)
}

fn print(variables: Variables<'_>, command: &Cmd<'_>) {
    eprint!("$ ");
    for (name, value) in variables {
        eprint!("{name}='{value}' ");
    }
    eprintln!("{command}");
}
