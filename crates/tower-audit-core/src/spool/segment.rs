//! The format of a segment: what is written, and how it is read back from whatever a crash or a bad
//! disk left of it.

use std::ops::Range;

/// What a segment file holds.
///
/// See the [module page](crate::spool) for the format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// Where the payloads of the good records are, in the order in which they were written.
    pub records: Vec<Range<usize>>,
    /// How many stretches of bytes are damaged. Each was a record, or several beside each other.
    pub damaged: u64,
    /// Where the last good record ends. What follows, if it is not damaged, was never written whole.
    pub end: usize,
}

/// The file cannot be read as a segment of a version that this library knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the segment is of version {0}, which this version of the library does not know")]
pub struct UnknownVersion(pub u16);

/// Reads a segment. A damaged stretch costs the records in it and no others.
///
/// ```
/// use tower_audit_core::spool;
///
/// let segment = spool::read_segment(b"TWRAUDIT\x01")?; // cut in the middle of its header
/// assert_eq!((segment.records.len(), segment.damaged), (0, 0));
/// # Ok::<_, spool::UnknownVersion>(())
/// ```
///
/// # Errors
///
/// Returns the version if it is a whole header of one that is not known.
pub fn read_segment(bytes: &[u8]) -> Result<Segment, UnknownVersion> {
    let mut segment = Segment::default();
    let mut position = match read_header(bytes) {
        Header::Good => HEADER,
        Header::Torn => return Ok(segment),
        Header::Newer(version) => return Err(UnknownVersion(version)),
        Header::Damaged => {
            segment.damaged += 1;
            0
        }
    };
    segment.end = position;
    // A damaged header is counted above: the search for the first record is not counted again.
    let mut is_searching = position == 0;
    while position < bytes.len() {
        if let Some(payload) = record_at(bytes, position) {
            position = payload.end;
            segment.end = position;
            segment.records.push(payload);
            is_searching = false;
            continue;
        }
        if !is_searching {
            if is_torn(bytes, position) && next_record(bytes, position + 1).is_none() {
                break;
            }
            segment.damaged += 1;
        }
        is_searching = true;
        let Some(next) = next_record(bytes, position + 1) else {
            segment.end = bytes.len();
            break;
        };
        position = next;
    }
    Ok(segment)
}

enum Header {
    Good,
    Torn,
    Newer(u16),
    Damaged,
}

fn read_header(bytes: &[u8]) -> Header {
    let ours = header();
    let Some(found) = bytes.get(..HEADER) else {
        let is_begun = ours.starts_with(bytes) || bytes.iter().all(|byte| *byte == 0);
        return if is_begun {
            Header::Torn
        } else {
            Header::Damaged
        };
    };
    if found == ours {
        return Header::Good;
    }
    let is_whole = number(&found[CHECKED..]) == crc32fast::hash(&found[..CHECKED]);
    if is_whole && found.starts_with(MAGIC) {
        return Header::Newer(u16::from_le_bytes([found[8], found[9]]));
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return Header::Torn;
    }
    Header::Damaged
}

/// Returns where the payload of the good record at this position is.
fn record_at(bytes: &[u8], position: usize) -> Option<Range<usize>> {
    let prefix = bytes.get(position..position + PREFIX)?;
    let (length, check) = (&prefix[..4], number(&prefix[4..8]));
    if crc32fast::hash(length) != check {
        return None;
    }
    let start = position + PREFIX;
    let end = start.checked_add(usize::try_from(number(length)).ok()?)?;
    let payload = bytes.get(start..end)?;
    (crc32fast::hash(payload) == number(&prefix[8..12])).then_some(start..end)
}

fn next_record(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find(|position| record_at(bytes, *position).is_some())
}

/// Returns whether what is left looks like the beginning of a record whose end was never written,
/// or like room that was never filled, rather than like a record that was there.
fn is_torn(bytes: &[u8], position: usize) -> bool {
    let rest = &bytes[position..];
    if rest.iter().all(|byte| *byte == 0) || rest.len() < 8 {
        return true;
    }
    let length = &rest[..4];
    let is_length = crc32fast::hash(length) == number(&rest[4..8]);
    let whole = usize::try_from(number(length)).unwrap_or(usize::MAX);
    is_length && rest.len() < whole.saturating_add(PREFIX)
}

fn number(bytes: &[u8]) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[..4]);
    u32::from_le_bytes(four)
}

/// Returns the first bytes of every segment.
pub(super) fn header() -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    let check = crc32fast::hash(&header[..CHECKED]);
    header[CHECKED..].copy_from_slice(&check.to_le_bytes());
    header
}

/// Appends a record whose payload `encode` writes. Returns `false`, and leaves the buffer as it was,
/// if the payload is longer than a segment can say.
pub(crate) fn push_record(buffer: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; PREFIX]);
    encode(buffer);
    let payload = start + PREFIX;
    let Ok(length) = u32::try_from(buffer.len() - payload) else {
        buffer.truncate(start);
        return false;
    };
    let length = length.to_le_bytes();
    let check = crc32fast::hash(&buffer[payload..]);
    buffer[start..start + 4].copy_from_slice(&length);
    buffer[start + 4..start + 8].copy_from_slice(&crc32fast::hash(&length).to_le_bytes());
    buffer[start + 8..payload].copy_from_slice(&check.to_le_bytes());
    true
}

const MAGIC: &[u8; 8] = b"TWRAUDIT";
const VERSION: u16 = 1;
/// Magic, version, two bytes for later, and the checksum of these twelve.
const HEADER: usize = 16;
const CHECKED: usize = 12;
/// The length of the payload, the checksum of the length, the checksum of the payload.
const PREFIX: usize = 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = header().to_vec();
        for payload in payloads {
            assert!(push_record(&mut bytes, |buffer| buffer.extend_from_slice(payload)));
        }
        bytes
    }

    fn payloads(bytes: &[u8]) -> Vec<&[u8]> {
        let records = read_segment(bytes).unwrap().records;
        records.into_iter().map(|range| &bytes[range]).collect()
    }

    const THREE: [&[u8]; 3] = [b"first", b"the second record", b"third"];

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = segment(&[b"one", b"", b"three"]);
        let read = read_segment(&bytes).unwrap();
        assert_eq!(payloads(&bytes), [b"one".as_slice(), b"", b"three"]);
        assert_eq!((read.damaged, read.end), (0, bytes.len()));
    }

    #[test]
    fn cut_at_any_byte_it_holds_every_record_that_was_whole_and_nothing_is_damaged() {
        let bytes = segment(&THREE);
        let ends: Vec<usize> = read_segment(&bytes)
            .unwrap()
            .records
            .iter()
            .map(|r| r.end)
            .collect();
        for length in 0..=bytes.len() {
            let cut = read_segment(&bytes[..length]).unwrap();
            let whole = ends.iter().filter(|end| **end <= length).count();
            assert_eq!(
                (cut.records.len(), cut.damaged),
                (whole, 0),
                "cut at {length}"
            );
            assert!(cut.end <= length);
        }
    }

    #[test]
    fn cut_at_any_byte_and_filled_with_zeros_it_holds_every_record_that_was_whole() {
        let bytes = segment(&THREE);
        let ends: Vec<usize> = read_segment(&bytes)
            .unwrap()
            .records
            .iter()
            .map(|r| r.end)
            .collect();
        for length in 0..bytes.len() {
            let mut zeros = bytes[..length].to_vec();
            zeros.resize(bytes.len() + 100, 0);
            let whole = ends.iter().filter(|end| **end <= length).count();
            assert_eq!(
                read_segment(&zeros).unwrap().records.len(),
                whole,
                "cut at {length}"
            );
        }
    }

    #[test]
    fn any_flipped_bit_costs_one_record_at_most_and_is_counted() {
        let bytes = segment(&THREE);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = read_segment(&flipped).unwrap();
            let in_header = bit / 8 < HEADER;
            let expected = if in_header { 3 } else { 2 };
            assert_eq!(
                (read.records.len(), read.damaged),
                (expected, 1),
                "bit {bit}"
            );
            for payload in payloads(&flipped) {
                assert!(THREE.contains(&payload), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_whole_header_of_another_version_is_not_guessed_at() {
        let mut bytes = segment(&THREE);
        bytes[8] = 2;
        let check = crc32fast::hash(&bytes[..CHECKED]).to_le_bytes();
        bytes[CHECKED..HEADER].copy_from_slice(&check);
        assert_eq!(read_segment(&bytes), Err(UnknownVersion(2)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_or_see_what_is_not_there(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(read) = read_segment(&bytes) {
                prop_assert!(read.end <= bytes.len());
                prop_assert!(read.records.iter().all(|range| range.end <= bytes.len()));
            }
        }

        #[test]
        fn bytes_in_the_middle_that_are_overwritten_spare_the_records_around_them(
            lengths in prop::collection::vec(0_usize..60, 1..12),
            at in any::<prop::sample::Index>(),
            noise in prop::collection::vec(any::<u8>(), 1..40),
        ) {
            let stored: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, len)| vec![u8::try_from(n).unwrap() + 1; *len]).collect();
            let borrowed: Vec<&[u8]> = stored.iter().map(Vec::as_slice).collect();
            let mut bytes = segment(&borrowed);
            let ranges = read_segment(&bytes).unwrap().records;
            let start = HEADER + at.index(bytes.len() - HEADER);
            let end = (start + noise.len()).min(bytes.len());
            bytes[start..end].copy_from_slice(&noise[..end - start]);
            let read = read_segment(&bytes).unwrap();
            for range in ranges {
                let is_touched = start < range.end && end > range.start - PREFIX;
                prop_assert!(is_touched || read.records.contains(&range));
            }
        }
    }
}
