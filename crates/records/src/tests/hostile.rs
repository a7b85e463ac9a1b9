//! Tables that somebody else wrote.

use super::*;

/// A Parquet file of nothing but this footer.
fn only(footer: &[u8]) -> Vec<u8> {
    [b"PAR1", footer, &(footer.len() as u32).to_le_bytes(), b"PAR1"].concat()
}

#[test]
fn a_footer_by_which_the_decoder_would_end_the_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = write(&folder.path().join("run"), "t", &[document(0, 50, 0.0, |_| true)]);
    // Thrift: field 4, a list of 2,147,483,647 structs; field 2, a list of 101 nodes, each the only child of the one before.
    let groups = only(&[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]);
    let deep = only(&[[0x29, 0xfc, 101].as_slice(), &[0x55, 2, 0].repeat(101), &[0]].concat());
    for name in ["tokens.parquet", "documents.parquet"] {
        let whole = fs::read(run.join(name)).unwrap();
        for (bytes, problem) in
            [(&groups, "claims 2147483647 row groups"), (&deep, "nested deeper than 100 levels")]
        {
            fs::write(run.join(name), bytes).unwrap();
            let error = Run::open(&run).and_then(|run| run.tokens()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(problem), "{error}");
        }
        fs::write(run.join(name), whole).unwrap();
    }
    assert_eq!(Run::open(&run).unwrap().tokens().unwrap().len(), 49);
}
