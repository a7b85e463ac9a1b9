//! What keeps a file that somebody else wrote from ending the process, where an outside decoder lets it.
//!
//! [`check_parquet_footer`] refuses footers by which the `parquet` crate would run out of memory or stack, which nothing can
//! catch, and [`ParquetFile`] what it would not come to the end of. [`catch_panic`] makes an error of a decoder's panic, without a word of it on standard error. Bounds of our own
//! readers are in their own crates.

mod parquet_file;
mod parquet_footer;
mod quiet_panic;

pub use parquet_file::{ParquetFile, UntilEnd};
pub use parquet_footer::check as check_parquet_footer;
pub use quiet_panic::catch as catch_panic;
