//! What became visible since.

use tower_audit_core::{
    PageSize, StoreError,
    store::{Tail, TailPosition},
};

use super::Source;

/// Returns what became visible since a position.
pub(crate) async fn tail<S: Source>(
    source: &S,
    position: Option<&TailPosition>,
    size: PageSize,
) -> Result<Tail, StoreError> {
    let size = usize::from(size.events());
    let one_more = i64::try_from(size).unwrap_or(i64::MAX - 1) + 1;
    let Some(mut position) = position.cloned() else {
        let (now, _) = source.unseen(None, 0).await?;
        return Ok(Tail::new(Vec::new(), now, false));
    };
    let mut events = Vec::new();
    loop {
        let room = one_more - i64::try_from(events.len()).unwrap_or(0);
        let (now, rows) = source.unseen(Some(&position), room).await?;
        let was_within = position.within();
        let is_all = rows.len() < usize::try_from(room).unwrap_or(usize::MAX);
        for (event, number) in rows {
            if events.len() == size {
                return Ok(Tail::new(events, position, true));
            }
            position = position.after(number, event.id(), &now);
            events.push((event, position.clone()));
        }
        match was_within {
            // The rest of the transaction of which a part was seen came first: now the others.
            Some((number, _)) if is_all => position = position.completed(number, &now),
            _ => return Ok(Tail::new(events, now, false)),
        }
    }
}
