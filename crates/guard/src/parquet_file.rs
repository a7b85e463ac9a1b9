//! A Parquet file as the decoder should read it.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::parquet_footer::holds_a_collection;

/// How much of a page's header is looked at: all of one, but for very long statistics.
const HEADER_BYTES: u64 = 4096;

/// A file whose end is an error, and so is a list in a page's header.
///
/// The `parquet` crate (59) passes over what it does not know in a page's header without asking whether it was there: a list that claims
/// two thousand million numbers, and lists of such lists, are passed over one by one beyond the file's end, for hours. No reader of a whole
/// file gets there.
#[derive(Debug)]
pub struct ParquetFile(pub File);

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for ParquetFile {
    type T = UntilEnd;

    fn get_read(&self, start: u64) -> Result<UntilEnd> {
        let mut header = Vec::new();
        self.0.get_read(start)?.take(HEADER_BYTES).read_to_end(&mut header)?;
        if holds_a_collection(&header) {
            return Err(ParquetError::General("a page's header holds a list, and none has one".to_owned()));
        }
        self.0.get_read(start).map(UntilEnd)
    }

    /// # Errors
    /// The file cannot be read, or is shorter: which is seen before anything is allocated.
    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let rest = self.len().saturating_sub(start);
        if length as u64 > rest {
            return Err(ParquetError::EOF(format!(
                "{length} bytes are due at {start}, where {rest} are left"
            )));
        }
        self.0.get_bytes(start, length)
    }
}

/// Reads on from a place in a file; asked for more at its end, says that it ends too early.
#[derive(Debug)]
pub struct UntilEnd(BufReader<File>);

impl Read for UntilEnd {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.0.read(to)? {
            0 if !to.is_empty() => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the file ends in the middle of a page's header",
            )),
            count => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_list_in_a_header_is_refused_before_the_decoder_passes_over_it() {
        // Field 1 a number; field 5 a struct with a number; field 14 a list of 2³¹ − 1 true values, or a map, or such in a struct.
        let headers: [&[u8]; 3] = [
            &[0x15, 2, 0x4c, 0x15, 4, 0, 0x99, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07],
            &[0x15, 2, 0x4c, 0x15, 4, 0, 0x9b, 0xff, 0xff, 0xff, 0xff, 0x07, 0x11],
            &[0x15, 2, 0x4c, 0x15, 4, 0x9a, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0],
        ];
        for header in headers {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[b"PAR1", header].concat()).unwrap();
            let error = ParquetFile(file).get_read(4).unwrap_err().to_string();
            assert!(error.contains("holds a list"), "{error}");
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0x15, 2, 0x4c, 0x15, 4, 0, 0]).unwrap();
        assert!(ParquetFile(file).get_read(0).is_ok());
    }

    #[test]
    fn gives_what_is_there_and_no_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let file = ParquetFile(file);
        assert_eq!(file.len(), 10);
        assert_eq!(&file.get_bytes(3, 7).unwrap()[..], b"3456789");
        let mut reader = file.get_read(8).unwrap();
        let mut two = [0; 2];
        reader.read_exact(&mut two).unwrap();
        assert_eq!(&two, b"89");
        assert_eq!(reader.read(&mut two).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        for (start, length) in [(3, 8), (11, 1), (0, usize::MAX), (u64::MAX, 1)] {
            let error = file.get_bytes(start, length).unwrap_err().to_string();
            assert!(error.contains("are left"), "{error}");
        }
    }
}
