//! What the app itself wants to remember.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::text::{Text, clean_but};

/// A JSON object that belongs wholly to the app; what the library knows has columns of its own.
///
/// - Control characters in keys and strings, and those that reorder text on a screen, become U+FFFD,
///   but for tab, line feed and carriage return.
/// - All members together take at most 64 KiB as JSON. A string that does not fit is cut and says
///   so at its end; any other member that does not fit is left out. The member
///   [`Metadata::CUT`] then counts how many were cut or left out.
/// - What is nested deeper than 64 levels is replaced by a string that says so: readers limit the
///   depth, and a row that nobody can read is no record.
///
/// ```
/// use tower_audit_core::Metadata;
///
/// let mut metadata = Metadata::default();
/// metadata.insert("plan", "pro");
/// metadata.insert("seats", 5);
/// assert_eq!(metadata.get("plan").unwrap(), "pro");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    members: Map<String, Value>,
    /// The members as JSON, without [`Metadata::CUT`], in bytes.
    bytes: usize,
    /// Roughly what the members take in memory, in bytes.
    heap: usize,
}

impl Metadata {
    /// The key of the member that counts what was cut or left out.
    pub const CUT: &'static str = "tower_audit.cut";

    /// Sets a member. A member of the same name is replaced. [`Metadata::CUT`] cannot be set.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        let (key, mut value) = (clean_owned(key.into()), value.into());
        if key == Self::CUT {
            return self.count_cut(1);
        }
        if let Some(old) = self.members.remove(&key) {
            self.bytes -= member_bytes(&key, &old);
            self.heap -= entry_heap(&key, &old);
        }
        clean_value(&mut value, 1);
        let room = MAX_BYTES - self.bytes;
        if let Some((value, was_cut)) = fit(&key, value, room) {
            self.bytes += member_bytes(&key, &value);
            self.heap += entry_heap(&key, &value);
            self.members.insert(key, value);
            self.count_cut(u64::from(was_cut));
        } else {
            self.count_cut(1);
        }
    }

    fn count_cut(&mut self, more: u64) {
        if more > 0 {
            let before = self
                .members
                .get(Self::CUT)
                .and_then(Value::as_u64)
                .unwrap_or(0);
            self.members.insert(
                Self::CUT.to_owned(),
                Value::from(before.saturating_add(more)),
            );
        }
    }

    /// Returns the value of a member.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.members.get(key)
    }

    /// Returns `true` if there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns all members.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Returns roughly how many bytes the members take in memory.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.heap
    }
}

impl From<Map<String, Value>> for Metadata {
    fn from(members: Map<String, Value>) -> Self {
        let mut metadata = Self::default();
        // What was cut when these members were written.
        let cut = members.get(Self::CUT).and_then(Value::as_u64);
        for (key, value) in members {
            if cut.is_none() || key != Self::CUT {
                metadata.insert(key, value);
            }
        }
        metadata.count_cut(cut.unwrap_or(0));
        metadata
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        let mut metadata = Self::default();
        for (key, value) in members {
            metadata.insert(key, value);
        }
        metadata
    }
}

impl Serialize for Metadata {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from)
    }
}

/// Returns the value so that the member fits into `room` bytes, and whether it was cut for it.
fn fit(key: &str, value: Value, room: usize) -> Option<(Value, bool)> {
    if member_bytes(key, &value) <= room {
        return Some((value, false));
    }
    let Value::String(text) = value else {
        return None;
    };
    // Escapes make JSON longer than the text, so the first guess may be too long.
    let mut keep = room.min(text.len());
    while keep > SHORTEST_CUT {
        let cut = Value::String(cut_text(&text, keep));
        if member_bytes(key, &cut) <= room {
            return Some((cut, true));
        }
        keep -= keep / 4;
    }
    None
}

fn cut_text(text: &str, max_bytes: usize) -> String {
    let mark = format!("…[cut, {} bytes]", text.len());
    let keep = text.floor_char_boundary(max_bytes.saturating_sub(mark.len()));
    format!("{}{mark}", &text[..keep])
}

/// Replaces what no store or reader takes, in place.
fn clean_value(value: &mut Value, depth: usize) {
    if depth > MAX_DEPTH && (value.is_array() || value.is_object()) {
        *value = Value::from("…[cut, nested too deep]");
    }
    match value {
        Value::String(text) => *text = clean_owned(std::mem::take(text)),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| clean_value(item, depth + 1)),
        Value::Object(members) => {
            let cleaned = std::mem::take(members).into_iter().map(|(key, mut value)| {
                clean_value(&mut value, depth + 1);
                (clean_owned(key), value)
            });
            *members = cleaned.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn clean_owned(text: String) -> String {
    match clean_but(&text, |c| matches!(c, '\t' | '\n' | '\r')) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(clean) => clean,
    }
}

/// Returns how long the member is as JSON: key, colon, value and a comma.
fn member_bytes(key: &str, value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(2);
    // Neither a string nor a `Value` can fail to serialize, and `Count` never fails to take it.
    let written = serde_json::to_writer(&mut count, key)
        .and_then(|()| serde_json::to_writer(&mut count, value));
    written.map_or(usize::MAX / 4, |()| count.0)
}

/// Returns roughly how many bytes an entry of an object takes in memory: its part of a node of the
/// map, which is made for eleven and half full, and what key and value hold outside of it.
fn entry_heap(key: &str, value: &Value) -> usize {
    2 * (size_of::<String>() + size_of::<Value>()) + ALLOCATION + key.len() + heap(value)
}

/// Returns roughly how many bytes a value takes outside of itself.
fn heap(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => ALLOCATION + text.len(),
        Value::Array(items) if items.is_empty() => 0,
        Value::Object(members) if members.is_empty() => 0,
        Value::Array(items) => {
            // A vector that grows begins with room for four.
            let slots = items.len().next_power_of_two().max(4) * size_of::<Value>();
            ALLOCATION + slots + items.iter().map(heap).sum::<usize>()
        }
        Value::Object(members) => {
            // However few members there are, there is one node.
            let entries = members
                .iter()
                .map(|(key, value)| entry_heap(key, value))
                .sum::<usize>();
            MAP_NODE + entries
        }
    }
}

/// What an allocator needs beside the bytes that were asked for.
const ALLOCATION: usize = 16;
/// A node of the map: eleven keys and values.
const MAP_NODE: usize = 11 * (size_of::<String>() + size_of::<Value>());
const MAX_BYTES: usize = 64 * 1024;
const MAX_DEPTH: usize = 64;
const SHORTEST_CUT: usize = Text::MARK_BYTES + 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn json_bytes(metadata: &Metadata) -> usize {
        serde_json::to_string(metadata).unwrap().len()
    }

    #[test]
    fn a_nul_is_replaced_in_keys_and_values_at_every_depth() {
        let mut metadata = Metadata::default();
        metadata.insert("a\0", json!({"b\0": ["c\0", {"d": "\u{1b}[2J\tok\n"}]}));
        let stored = serde_json::to_value(&metadata).unwrap();
        assert_eq!(
            stored,
            json!({"a\u{fffd}": {"b\u{fffd}": ["c\u{fffd}", {"d": "\u{fffd}[2J\tok\n"}]}})
        );
    }

    #[test]
    fn a_string_that_does_not_fit_is_cut_and_says_so() {
        let mut metadata = Metadata::default();
        metadata.insert("note", "é\"".repeat(100_000));
        let note = metadata.get("note").unwrap().as_str().unwrap();
        assert!(
            note.ends_with("…[cut, 300000 bytes]"),
            "{}",
            &note[note.len() - 40..]
        );
        assert_eq!(metadata.get(Metadata::CUT), Some(&json!(1)));
    }

    #[test]
    fn a_member_that_does_not_fit_is_left_out_and_counted() {
        let mut metadata = Metadata::default();
        metadata.insert("kept", 1);
        metadata.insert("huge", vec![0_u8; 100_000]);
        metadata.insert("also kept", 2);
        assert_eq!(
            serde_json::to_value(&metadata).unwrap(),
            json!({"kept": 1, "also kept": 2, "tower_audit.cut": 1})
        );
    }

    #[test]
    fn what_is_nested_too_deep_is_replaced() {
        let deep = (0..500).fold(json!("bottom"), |inner, _| json!([inner]));
        let mut metadata = Metadata::default();
        metadata.insert("deep", deep);
        let text = serde_json::to_string(&metadata).unwrap();
        assert!(text.contains("nested too deep"));
        assert_eq!(serde_json::from_str::<Metadata>(&text).unwrap(), metadata);
    }

    #[test]
    fn the_count_of_what_was_cut_cannot_be_forged() {
        for value in [
            json!("a\0b"),
            json!("x".repeat(3_000_000)),
            json!([[1]]),
            json!(7),
        ] {
            let metadata: Metadata = [(Metadata::CUT, value)].into_iter().collect();
            assert_eq!(
                serde_json::to_value(&metadata).unwrap(),
                json!({"tower_audit.cut": 1})
            );
        }
    }

    #[test]
    fn what_it_takes_in_memory_is_not_underestimated_for_small_values() {
        let many: Metadata = [("a", vec![vec![0_u8]; 10_000])].into_iter().collect();
        assert!(
            many.heap_size() > 10_000 * 5 * size_of::<Value>(),
            "{}",
            many.heap_size()
        );
        let objects: Metadata = [("a", vec![json!({"b": 1}); 1_000])].into_iter().collect();
        assert!(
            objects.heap_size() > 1_000 * MAP_NODE,
            "{}",
            objects.heap_size()
        );
    }

    #[test]
    fn an_empty_value_takes_nothing_once_it_is_gone() {
        let mut metadata = Metadata::default();
        metadata.insert("a", vec![1; 100]);
        metadata.insert("a", Value::Null);
        assert_eq!(metadata.heap_size(), entry_heap("a", &Value::Null));
    }

    #[test]
    fn replacing_a_member_frees_its_room() {
        let mut metadata = Metadata::default();
        for _ in 0..10 {
            metadata.insert("blob", "x".repeat(60_000));
        }
        assert_eq!(metadata.get(Metadata::CUT), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn metadata_fits_and_reads_back_the_same(members in prop::collection::vec(("[a-c]{1,3}", "[\\x00-\\x7fé]{0,6000}"), 0..30)) {
            let metadata: Metadata = members.into_iter().collect();
            prop_assert!(json_bytes(&metadata) <= MAX_BYTES + 64);
            let again: Metadata = serde_json::from_str(&serde_json::to_string(&metadata).unwrap()).unwrap();
            prop_assert_eq!(again, metadata);
        }
    }
}
