//! A look at a Parquet file's footer before the decoder sees it.
//!
//! Three claims in a footer the `parquet` crate (59) takes at their word: it allocates by the number of row
//! groups and by the number of a schema node's children, and recurses as deep as the schema is nested. A
//! failed allocation and an overflowed stack end the process and cannot be caught, so a footer that claims
//! too much is refused here first. The footer is a struct in Thrift's compact protocol; everything but these
//! claims is skipped.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// The file's end: the footer's length (u32, little endian) and the magic bytes.
const TAIL_BYTES: u64 = 8;

/// The decoder numbers row groups with 16 bits.
const MAX_ROW_GROUPS: u64 = 1 << 15;

/// How deep a schema may be nested; an Arrow list or map takes two or three levels.
const MAX_SCHEMA_DEPTH: usize = 100;

/// How deep structs and lists may stand in one another; Parquet's metadata needs fewer than ten levels.
const MAX_STRUCT_DEPTH: usize = 32;

/// Fields of the footer and of a schema node.
const SCHEMA_FIELD: i64 = 2;
const ROW_GROUPS_FIELD: i64 = 4;
const CHILDREN_FIELD: i64 = 5;

/// Types of the compact protocol.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// The types that the decoder takes a footer's fields 1 to 9 and a schema node's fields 1 to 10 to have,
/// whatever the file says; were they skipped as what the file says, the two would read different things.
const FOOTER_TYPES: [u8; 9] = [I32, LIST, I64, LIST, LIST, BINARY, LIST, STRUCT, BINARY];
const NODE_TYPES: [u8; 10] = [I32, I32, I32, BINARY, I32, I32, I32, I32, I32, STRUCT];

type Checked<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Refuses a footer by which the decoder would end the process. Other damage may pass: the decoder reports
/// it.
///
/// # Errors
/// The footer claims too much, or the file cannot be read.
pub fn check(file: &File) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut file = file;
    let file_bytes = file.metadata()?.len();
    let Some(tail_at) = file_bytes.checked_sub(TAIL_BYTES) else { return Ok(()) };
    file.seek(SeekFrom::Start(tail_at))?;
    let mut tail = [0; 8];
    file.read_exact(&mut tail)?;
    let [length @ .., _, _, _, _] = tail;
    let Some(footer_at) = tail_at.checked_sub(u64::from(u32::from_le_bytes(length))) else { return Ok(()) };
    file.seek(SeekFrom::Start(footer_at))?;
    let mut footer = Vec::new();
    file.take(tail_at - footer_at).read_to_end(&mut footer)?;
    if !tail.ends_with(b"PAR1") {
        return Ok(());
    }
    Thrift { bytes: &footer }.check_footer()
}

/// Whether the struct that these bytes begin with holds a list, set or map, as far as they go: a page's header has none, and the decoder
/// would pass over an unknown one element by element, even where it claims 2³¹ that take no byte.
pub(crate) fn holds_a_collection(bytes: &[u8]) -> bool {
    Thrift { bytes }.collection_in_struct(0).unwrap_or(false)
}

struct Thrift<'a> {
    /// What is still to be read.
    bytes: &'a [u8],
}

impl Thrift<'_> {
    fn check_footer(&mut self) -> Checked<()> {
        let mut field = 0;
        while let Some(kind) = self.field_of(&FOOTER_TYPES, &mut field)? {
            match field {
                SCHEMA_FIELD => self.check_schema()?,
                ROW_GROUPS_FIELD => {
                    let (element, count) = self.list()?;
                    if count > MAX_ROW_GROUPS {
                        return Err(format!(
                            "the footer claims {count} row groups, of at most {MAX_ROW_GROUPS}"
                        )
                        .into());
                    }
                    self.skip_elements(element, count, 0)?;
                }
                _ => self.skip(kind, 0)?,
            }
        }
        Ok(())
    }

    /// Schema nodes stand in depth-first order, each with the number of its children.
    fn check_schema(&mut self) -> Checked<()> {
        let (element, nodes) = self.list()?;
        if element != STRUCT {
            return Err("the footer's schema is not a list of structs".into());
        }
        let mut open: Vec<u64> = Vec::new();
        for _ in 0..nodes {
            let children = self.schema_node()?;
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(siblings) = open.last_mut() {
                *siblings -= 1;
            }
            if children > nodes {
                return Err(format!("a schema of {nodes} nodes claims one with {children} children").into());
            }
            if children > 0 {
                open.push(children);
            }
            if open.len() > MAX_SCHEMA_DEPTH {
                return Err(format!("the schema is nested deeper than {MAX_SCHEMA_DEPTH} levels").into());
            }
        }
        Ok(())
    }

    /// Passes over a schema node and gives the number of its children.
    fn schema_node(&mut self) -> Checked<u64> {
        let (mut field, mut children) = (0, 0);
        while let Some(kind) = self.field_of(&NODE_TYPES, &mut field)? {
            if field == CHILDREN_FIELD {
                let count = self.zigzag()?;
                children =
                    u64::try_from(count).map_err(|_| format!("a schema node claims {count} children"))?;
            } else {
                self.skip(kind, 1)?;
            }
        }
        Ok(children)
    }

    /// The type of a struct's next field, whose number goes to `field`; none at the struct's end.
    fn field(&mut self, field: &mut i64) -> Checked<Option<u8>> {
        let header = self.byte()?;
        if header & 15 == 0 {
            return Ok(None);
        }
        *field = match header >> 4 {
            0 => self.zigzag()?,
            delta => field.saturating_add(i64::from(delta)),
        };
        Ok(Some(header & 15))
    }

    /// The same for a struct whose first fields must have these types.
    fn field_of(&mut self, types: &[u8], field: &mut i64) -> Checked<Option<u8>> {
        let kind = self.field(field)?;
        let expected = field.checked_sub(1).and_then(|index| types.get(usize::try_from(index).ok()?));
        match (kind, expected) {
            (Some(kind), Some(&expected)) if kind != expected => {
                Err(format!("field {field} of the footer has type {kind}, not {expected}").into())
            }
            _ => Ok(kind),
        }
    }

    /// The type and number of a list's elements.
    fn list(&mut self) -> Checked<(u8, u64)> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        Ok((header & 15, count))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Checked<()> {
        if depth > MAX_STRUCT_DEPTH {
            return Err(format!("the footer is nested deeper than {MAX_STRUCT_DEPTH} levels").into());
        }
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.skip_bytes(1),
            I16 | I32 | I64 => self.varint().map(|_| ()),
            DOUBLE => self.skip_bytes(8),
            BINARY => {
                let bytes = self.varint()?;
                self.skip_bytes(bytes)
            }
            LIST | SET => {
                let (element, count) = self.list()?;
                self.skip_elements(element, count, depth)
            }
            MAP => self.skip_map(depth),
            STRUCT => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            UUID => self.skip_bytes(16),
            other => Err(format!("the footer has a value of unknown type {other}").into()),
        }
    }

    /// Passes over a struct up to the first collection in it, and says whether there is one.
    fn collection_in_struct(&mut self, depth: usize) -> Checked<bool> {
        let mut field = 0;
        while let Some(kind) = self.field(&mut field)? {
            let found = match kind {
                LIST | SET | MAP => true,
                STRUCT if depth < MAX_STRUCT_DEPTH => self.collection_in_struct(depth + 1)?,
                _ => self.skip(kind, depth).map(|()| false)?,
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn skip_elements(&mut self, kind: u8, count: u64, depth: usize) -> Checked<()> {
        for _ in 0..count {
            self.skip_element(kind, depth)?;
        }
        Ok(())
    }

    fn skip_map(&mut self, depth: usize) -> Checked<()> {
        let count = self.varint()?;
        if count == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        for _ in 0..count {
            self.skip_element(kinds >> 4, depth)?;
            self.skip_element(kinds & 15, depth)?;
        }
        Ok(())
    }

    /// Passes over an element, which, unlike a field, has a byte even for true and false: so every element
    /// has one, and however many are claimed, the bytes run out.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Checked<()> {
        if matches!(kind, TRUE | FALSE) { self.skip_bytes(1) } else { self.skip(kind, depth + 1) }
    }

    fn skip_bytes(&mut self, count: u64) -> Checked<()> {
        let rest = usize::try_from(count).ok().and_then(|count| self.bytes.get(count..));
        self.bytes = rest.ok_or("the footer ends too early")?;
        Ok(())
    }

    fn byte(&mut self) -> Checked<u8> {
        let (&byte, rest) = self.bytes.split_first().ok_or("the footer ends too early")?;
        self.bytes = rest;
        Ok(byte)
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    fn varint(&mut self) -> Checked<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("the footer has a number of more than 64 bits".into())
    }

    /// A signed number: the lowest bit is the sign.
    fn zigzag(&mut self) -> Checked<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(footer: &[u8]) -> Result<(), String> {
        Thrift { bytes: footer }.check_footer().map_err(|error| error.to_string())
    }

    /// A footer whose schema is these nodes, given by their numbers of children.
    fn schema(children: &[u8]) -> Vec<u8> {
        let mut footer = vec![0x29, 0xfc];
        let count = children.len();
        footer.extend([(count & 0x7f) as u8 | 0x80, (count >> 7) as u8]);
        for &children in children {
            footer.extend([0x55, 2 * children, 0]);
        }
        footer.push(0);
        footer
    }

    #[test]
    fn claims_within_reason_pass() {
        assert_eq!(check(&[0]), Ok(()));
        assert_eq!(check(&schema(&[2, 0, 1, 0])), Ok(()));
        // 200 nodes side by side are no depth, and neither are 150 groups of one leaf.
        assert_eq!(check(&schema(&[[60].as_slice(), &[0; 60]].concat())), Ok(()));
        assert_eq!(check(&schema(&[[60].as_slice(), &[1, 0].repeat(60)].concat())), Ok(()));
        // Every type is skipped: here as fields 20 and on.
        let values: [&[u8]; 11] = [
            &[0x01, 40],
            &[0x12],
            &[0x13, 9],
            &[0x14, 9],
            &[0x16, 0x80, 1],
            &[0x17, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x18, 2, b'a', b'b'],
            &[0x1a, 0x31, 1, 2, 1],
            &[0x1b, 1, 0x58, 3, 1, b'x'],
            &[0x1c, 0x11, 0],
            &[0x1d; 17],
        ];
        assert_eq!(check(&[values.concat().as_slice(), &[0x1b, 0, 0]].concat()), Ok(()));
    }

    #[test]
    fn claims_beyond_reason_do_not() {
        let says = |footer: &[u8], part: &str| {
            let text = check(footer).unwrap_err();
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        };
        says(&[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07], "claims 2147483647 row groups, of at most 32768");
        says(&schema(&[3, 0]), "a schema of 2 nodes claims one with 3 children");
        says(&[0x29, 0x1c, 0x55, 1, 0, 0], "a schema node claims -1 children");
        says(&schema(&[1; 101]), "nested deeper than 100 levels");
        says(&[[0x1c].as_slice(), &[0x1c; 50]].concat(), "field 1 of the footer has type 12, not 5");
        says(&[[0x01, 40].as_slice(), &[0x1c; 50]].concat(), "nested deeper than 32 levels");
        says(&[[0x01, 40].as_slice(), &[0x19; 100]].concat(), "nested deeper than 32 levels");
        says(&[0x2a, 0x1c, 0], "field 2 of the footer has type 10, not 9");
        says(&[0x29, 0x15, 0], "not a list of structs");
        let lowest_field = [0x05, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        says(&lowest_field, "ends too early");
        says(&[0x1e, 0], "field 1 of the footer has type 14");
        says(&[0x01, 40, 0x1f, 0], "unknown type 15");
        says(&[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "more than 64 bits");
        // A list of any length is over when the bytes are.
        says(&[0x01, 40, 0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1], "ends too early");
    }
}
