//! What the roles of a trail may do, and what they need.

use super::{
    PgStore, Roles,
    roles::{COMPARED, LEASED},
    statements::COMPLETED,
};
use crate::columns::WRITTEN;

impl PgStore {
    /// Returns a question for each privilege that a role needs, and for those that it must not have: `role`, `what`, `is_wanted`
    /// and `is_there`. A role that is not there has no rows.
    pub(crate) fn privileges_sql(&self, roles: &Roles) -> String {
        let (schema, table) = self.name();
        let trail = format!(r#""{}"."{}""#, schema.as_str(), table.as_str());
        let lease = format!(r#""{}"."{}_retention""#, schema.as_str(), table.as_str());
        // Roles are of the whole cluster: those of this trail own it.
        let owner = roles.name("owner");
        let of = format!(
            "FROM pg_catalog.pg_roles AS r JOIN pg_catalog.pg_class AS c ON c.oid = '{trail}'::regclass \
             WHERE pg_catalog.pg_get_userbyid(c.relowner) = '{owner}' AND r.rolname = "
        );
        let mut questions = Vec::new();
        for (role, object, privilege, columns, is_wanted) in PRIVILEGES {
            let object = match *object {
                Object::Trail => &trail,
                Object::Lease => &lease,
            };
            let name = roles.name(role);
            let (what, is_there) = asked(object, privilege, columns, *is_wanted);
            questions.push(format!(
                "SELECT '{name}' AS role, '{what}' AS what, {is_wanted} AS is_wanted, {is_there} AS is_there {of}'{name}'"
            ));
        }
        for role in ["writer", "reader", "retention", "auditor"] {
            let name = roles.name(role);
            questions.push(format!(
                "SELECT '{name}', 'USAGE on the schema {schema}', true, has_schema_privilege(r.oid, '{schema}', 'USAGE') \
                 {of}'{name}'",
                schema = schema.as_str()
            ));
        }
        questions.join(" UNION ALL ")
    }
}

/// Returns what a privilege is, in words, and the condition that it is there.
fn asked(object: &str, privilege: &str, columns: &str, is_wanted: bool) -> (String, String) {
    let plain = object.replace('"', "");
    if columns.is_empty() {
        return (
            format!("{privilege} on {plain}"),
            format!("has_table_privilege(r.oid, '{object}', '{privilege}')"),
        );
    }
    // All that are needed, or any that is not.
    let all = if is_wanted { "bool_and" } else { "bool_or" };
    (
        format!("{privilege} columns of {plain}"),
        format!(
            "(SELECT {all}(has_column_privilege(r.oid, '{object}', c, '{privilege}')) \
             FROM unnest(string_to_array('{columns}', ', ')) AS c)"
        ),
    )
}

/// What a privilege is on.
enum Object {
    Trail,
    Lease,
}

/// The role, what on, the privilege, which columns of it (or all), and whether the role needs it.
const PRIVILEGES: &[(&str, Object, &str, &str, bool)] = &[
    ("writer", Object::Trail, "INSERT", WRITTEN, true),
    ("writer", Object::Trail, "SELECT", COMPARED, true),
    ("writer", Object::Trail, "UPDATE", COMPLETED, true),
    (
        "writer",
        Object::Trail,
        "INSERT",
        "recorded_at, write_order",
        false,
    ),
    ("writer", Object::Trail, "UPDATE", FIXED, false),
    ("writer", Object::Trail, "DELETE", "", false),
    ("writer", Object::Trail, "TRUNCATE", "", false),
    ("writer", Object::Trail, "TRIGGER", "", false),
    ("reader", Object::Trail, "SELECT", "", true),
    ("reader", Object::Trail, "INSERT", "id", false),
    ("reader", Object::Trail, "UPDATE", COMPLETED, false),
    ("reader", Object::Trail, "DELETE", "", false),
    ("reader", Object::Trail, "TRUNCATE", "", false),
    ("retention", Object::Trail, "SELECT", "", true),
    ("retention", Object::Trail, "DELETE", "", true),
    ("retention", Object::Lease, "UPDATE", LEASED, true),
    ("retention", Object::Lease, "UPDATE", "floor", false),
    ("retention", Object::Trail, "UPDATE", FIXED, false),
    ("retention", Object::Trail, "TRUNCATE", "", false),
    ("auditor", Object::Trail, "SELECT", "", true),
    ("auditor", Object::Trail, "DELETE", "", false),
    ("auditor", Object::Trail, "TRUNCATE", "", false),
];

/// What never changes.
const FIXED: &str = "id, created_at, recorded_at, method, path, ip_address, peer_address, user_agent, trace_id, service, write_order";
