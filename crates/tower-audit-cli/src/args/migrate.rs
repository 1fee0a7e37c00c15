//! What `migrate` is told.

use super::Length;

#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    /// Only say which migrations there are; exits with 3 if one is missing
    #[arg(long, conflicts_with_all = ["roles", "layout", "full_indexes"])]
    pub(crate) status: bool,

    /// Print the SQL of what is missing, for a DBA to run, and run nothing
    #[arg(long, conflicts_with_all = ["status", "layout"])]
    pub(crate) print: bool,

    /// Only say what is other than the migrations make it; exits with 3 if something is
    #[arg(long, conflicts_with_all = ["status", "print", "roles", "layout"])]
    pub(crate) verify: bool,

    /// Lay a new table out in partitions of this length (Postgres)
    #[arg(long, value_name = "LENGTH")]
    pub(crate) layout: Option<Length>,

    /// Make more indexes: searches by request id, address and metadata are quicker, and writes slower
    #[arg(long)]
    pub(crate) full_indexes: bool,

    /// Make roles that may do no more than they have to, and give the table to its owner (Postgres)
    #[arg(long)]
    pub(crate) roles: bool,

    /// What the names of the roles begin with
    #[arg(
        long,
        requires = "roles",
        default_value = "tower_audit",
        value_name = "NAME"
    )]
    pub(crate) role_prefix: String,

    /// Let readers see the events of one tenant alone
    #[arg(long, requires = "roles")]
    pub(crate) row_security: bool,
}
