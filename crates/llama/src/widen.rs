//! A GGUF file written again with its quantised weights as the f32 they stand for.
//!
//! llama.cpp multiplies quantised weights with activations that it rounds to eight bits, and most types of weights have no
//! fast matrix product on a processor. As f32 both are otherwise: the product is fast and nothing is rounded (`bench/llama`).

mod blocks;

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use deltaloss_lm::LmError;
use tempfile::NamedTempFile;

use self::blocks::{Unpack, unpack};
use crate::gguf::{GgufHeader, Layout, TensorEntry};

/// Weights handled at once; a multiple of every type's block.
const PIECE: u64 = 1 << 20;
/// F32's number among ggml's types.
const F32: u32 = 0;

/// Whether every tensor's type can be widened, and some tensor gains by it.
pub(crate) fn can_widen(layout: &Layout) -> bool {
    layout.tensors.iter().any(|tensor| unpack(tensor.kind.id).is_some())
        && layout.tensors.iter().all(|tensor| is_plain(tensor) || unpack(tensor.kind.id).is_some())
}

/// Types that stay as they are: F32 and whole numbers.
fn is_plain(tensor: &TensorEntry) -> bool {
    tensor.kind.id == F32 || ["I8", "I16", "I32", "I64", "F64"].contains(&tensor.kind.name)
}

/// Writes the file at `path` again with every quantised tensor in f32, to a temporary file.
///
/// # Errors
/// The file cannot be read, or there is no room for the other.
pub(crate) fn widen(path: &Path, header: &GgufHeader) -> Result<NamedTempFile, LmError> {
    let layout = &header.layout;
    let io = |action| {
        let path = path.to_owned();
        move |source| LmError::Io { path, action, source }
    };
    let place = std::env::temp_dir();
    let no_room = |source| LmError::Io {
        path: place.clone(),
        action: "write the model's weights there as f32 (another folder can be named in TMPDIR)",
        source,
    };
    let mut source = File::open(path).map_err(io("open it"))?;
    let target = tempfile::Builder::new().prefix("deltaloss-").suffix(".gguf").tempfile().map_err(no_room)?;
    let mut out = BufWriter::with_capacity(1 << 20, target.as_file());
    let mut head = vec![0; layout.metadata_bytes as usize];
    source.read_exact(&mut head).map_err(io("read it"))?;
    head.extend(entries(layout));
    head.resize(head.len().next_multiple_of(layout.alignment as usize), 0);
    out.write_all(&head).map_err(no_room)?;
    for tensor in &layout.tensors {
        source.seek(SeekFrom::Start(layout.weights + tensor.offset)).map_err(io("read it"))?;
        let mut written = 0;
        for start in (0..tensor.elements).step_by(PIECE as usize) {
            let elements = PIECE.min(tensor.elements - start);
            let mut packed = vec![0; (elements / tensor.kind.block * tensor.kind.block_bytes) as usize];
            source.read_exact(&mut packed).map_err(io("read it"))?;
            let plain = match unpack(tensor.kind.id) {
                Some(unpack) => as_f32(&packed, tensor, unpack),
                None => packed,
            };
            out.write_all(&plain).map_err(no_room)?;
            written += plain.len() as u64;
        }
        let gap = written.next_multiple_of(layout.alignment) - written;
        out.write_all(&vec![0; gap as usize]).map_err(no_room)?;
    }
    out.flush().map_err(no_room)?;
    drop(out);
    Ok(target)
}

fn as_f32(packed: &[u8], tensor: &TensorEntry, unpack: Unpack) -> Vec<u8> {
    let block = tensor.kind.block as usize;
    let mut values = vec![0f32; packed.len() / tensor.kind.block_bytes as usize * block];
    for (packed, values) in
        packed.chunks_exact(tensor.kind.block_bytes as usize).zip(values.chunks_exact_mut(block))
    {
        unpack(packed, values);
    }
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The tensors' entries, with the new types and places.
fn entries(layout: &Layout) -> Vec<u8> {
    let (mut bytes, mut offset) = (Vec::new(), 0u64);
    for tensor in &layout.tensors {
        let widened = unpack(tensor.kind.id).is_some();
        bytes.extend((tensor.name.len() as u64).to_le_bytes());
        bytes.extend(tensor.name.as_bytes());
        bytes.extend((tensor.shape.len() as u32).to_le_bytes());
        bytes.extend(tensor.shape.iter().flat_map(|side| side.to_le_bytes()));
        bytes.extend(if widened { F32 } else { tensor.kind.id }.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        let length = if widened { tensor.elements * 4 } else { tensor.bytes };
        offset = (offset + length).next_multiple_of(layout.alignment);
    }
    bytes
}
