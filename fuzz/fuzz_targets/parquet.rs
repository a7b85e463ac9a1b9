//! A corpus in Parquet: read strictly, and with what cannot be used left out; both give the same documents until the first error.

#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| common::reads_alike(&common::file("corpus.parquet", data)));
