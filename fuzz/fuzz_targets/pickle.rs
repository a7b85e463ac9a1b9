//! The pickle machine: the input is the pickle of an otherwise well-formed PyTorch file with two storages.

#![no_main]

mod common;

use std::io::{Cursor, Write};

use deltaloss::checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;

fuzz_target!(|data: &[u8]| {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let entries: [(&str, &[u8]); 4] =
        [("m/data.pkl", data), ("m/version", b"3\n"), ("m/data/0", &[1; 64]), ("m/data/1", &[2; 256])];
    for (name, bytes) in entries {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let path = common::file("model.pt", &zip.finish().unwrap().into_inner());
    if let Ok(checkpoint) = Checkpoint::open(&path) {
        for tensor in checkpoint.tensors() {
            let _ = tensor.to_f32();
        }
    }
});
