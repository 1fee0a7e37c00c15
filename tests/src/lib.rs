//! What the tests and the chaos runs share: faults, and a process to inflict them on.

pub mod lease_race;
pub mod proxy;
pub mod victim;
