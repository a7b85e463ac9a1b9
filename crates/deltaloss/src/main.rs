//! The `deltaloss` program: arguments in, work done by the library, exit code out.
//!
//! Exit codes: 0 done; 1 the work failed; 2 the call was wrong; 130 interrupted (the console's signal handler).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the one crate that talks to a person")]

mod program;

use std::process::ExitCode;

use clap::Parser;

use crate::program::arguments::{Arguments, Command};
use crate::program::{
    check, comparing, demonstration, experiment, failure, gguf, inspect, merging, scoring, showing, tokenize,
    train_tokenizer, training, viewing,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let offline = arguments.offline;
    let outcome = program::set_up(&arguments).and_then(|console| match &arguments.command {
        Command::Demo(call) => demonstration::run(call, &console, arguments.color.colours()),
        Command::Run(call) => experiment::run(call, offline, &console, arguments.color.colours()),
        Command::Score(call) => scoring::run(call, offline, &console),
        Command::Merge(call) => merging::run(call, &console),
        Command::Compare(call) => comparing::run(call, &console, arguments.color.colours()),
        Command::Show(call) => showing::run(call, arguments.color.colours()),
        Command::View(call) => viewing::run(call, &console),
        Command::Inspect(call) => inspect::run(call, offline, &console),
        Command::Check(call) => check::run(call, offline, &console),
        Command::Tokenize(call) => tokenize::run(call),
        Command::Train(call) => training::run(call, offline, &console),
        Command::TrainTokenizer(call) => train_tokenizer::run(call, offline, &console),
        Command::TryGguf(call) => gguf::run(call),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure::report(&failure),
    }
}
