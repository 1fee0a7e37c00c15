//! What must hold whatever bytes are in a segment.

use tower_audit_core::spool::read_segment;

/// Reads the bytes as a segment, and panics if what comes of it cannot be.
pub(crate) fn segment(bytes: &[u8]) {
    let Ok(read) = read_segment(bytes) else {
        return;
    };
    assert!(read.end <= bytes.len(), "it ends behind the end");
    let mut position = 0;
    for record in &read.records {
        assert!(record.start >= position, "records overlap");
        assert!(
            record.end >= record.start && record.end <= read.end,
            "a record is outside"
        );
        position = record.end;
    }
    // What was never written whole is cut off: the rest reads the same.
    let cut = read_segment(&bytes[..read.end]);
    assert_eq!(cut.map(|cut| cut.records), Ok(read.records));
}
