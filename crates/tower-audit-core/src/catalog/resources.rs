//! The usual resources.

/// Lists what is done to a resource: the name of the action, and the function that says that it happened.
macro_rules! resource {
    ($(#[$doc:meta])* $resource:ident { $($(#[$verb_doc:meta])* $constant:ident $function:ident $verb:literal,)* }) => {
        $(#[$doc])*
        pub mod $resource {
            use super::super::Activity;
            use crate::event::Text;

            /// The kind of the resource.
            pub const KIND: &str = stringify!($resource);
            $(
                #[doc = concat!("The action `", stringify!($resource), ".", $verb, "`.")]
                pub const $constant: &str = concat!(stringify!($resource), ".", $verb);
                $(#[$verb_doc])*
                pub fn $function(id: impl Into<Text>) -> Activity {
                    Activity::known($constant, KIND, id.into())
                }
            )*
        }
    };
}

resource! {
    /// A project: what people work on together.
    project {
        /// Returns that a project was created.
        CREATE created "create",
        /// Returns that a project was updated.
        UPDATE updated "update",
        /// Returns that a project was deleted.
        DELETE deleted "delete",
        /// Returns that a project was archived.
        ARCHIVE archived "archive",
        /// Returns that a project was brought back.
        RESTORE restored "restore",
        /// Returns that a project has another owner.
        TRANSFER transferred "transfer",
    }
}

resource! {
    /// A user: somebody who signs in.
    user {
        /// Returns that a user was created, by themselves or by somebody else.
        CREATE created "create",
        /// Returns that a user was updated.
        UPDATE updated "update",
        /// Returns that a user was deleted.
        DELETE deleted "delete",
        /// Returns that a user was invited.
        INVITE invited "invite",
        /// Returns that a user signed in.
        LOGIN logged_in "login",
        /// Returns that a user signed out.
        LOGOUT logged_out "logout",
        /// Returns that a user has another password.
        CHANGE_PASSWORD password_changed "change_password",
        /// Returns that somebody asked for a new password.
        RESET_PASSWORD password_reset "reset_password",
        /// Returns that a user has a second factor.
        ENABLE_MFA mfa_enabled "enable_mfa",
        /// Returns that a user has no second factor any more.
        DISABLE_MFA mfa_disabled "disable_mfa",
        /// Returns that a user has another role.
        CHANGE_ROLE role_changed "change_role",
        /// Returns that a user was kept from signing in.
        SUSPEND suspended "suspend",
        /// Returns that a user may sign in again.
        REACTIVATE reactivated "reactivate",
        /// Returns that somebody began to act as a user.
        IMPERSONATE impersonated "impersonate",
    }
}

resource! {
    /// An API key: how programs sign in. The id is the public one.
    api_key {
        /// Returns that a key was created.
        CREATE created "create",
        /// Returns that a key was updated: its name, its scope.
        UPDATE updated "update",
        /// Returns that a key was deleted.
        DELETE deleted "delete",
        /// Returns that a key has another secret.
        ROTATE rotated "rotate",
        /// Returns that a key does not open anything any more.
        REVOKE revoked "revoke",
    }
}

resource! {
    /// A secret that the service keeps. The id is its name, never its value.
    secret {
        /// Returns that a secret was created.
        CREATE created "create",
        /// Returns that a secret was updated.
        UPDATE updated "update",
        /// Returns that a secret was deleted.
        DELETE deleted "delete",
        /// Returns that a secret has another value.
        ROTATE rotated "rotate",
        /// Returns that a secret is not valid any more.
        REVOKE revoked "revoke",
        /// Returns that somebody looked at the value of a secret.
        READ read "read",
    }
}

resource! {
    /// An organization: whom users and projects belong to.
    organization {
        /// Returns that an organization was created.
        CREATE created "create",
        /// Returns that an organization was updated.
        UPDATE updated "update",
        /// Returns that an organization was deleted.
        DELETE deleted "delete",
        /// Returns that somebody was invited into an organization.
        INVITE_MEMBER member_invited "invite_member",
        /// Returns that somebody joined an organization.
        ADD_MEMBER member_added "add_member",
        /// Returns that somebody left an organization.
        REMOVE_MEMBER member_removed "remove_member",
        /// Returns that a member of an organization has another role.
        CHANGE_ROLE role_changed "change_role",
        /// Returns that an organization has another owner.
        TRANSFER transferred "transfer",
    }
}

resource! {
    /// A team: some of the users of an organization.
    team {
        /// Returns that a team was created.
        CREATE created "create",
        /// Returns that a team was updated.
        UPDATE updated "update",
        /// Returns that a team was deleted.
        DELETE deleted "delete",
        /// Returns that somebody was invited into a team.
        INVITE_MEMBER member_invited "invite_member",
        /// Returns that somebody joined a team.
        ADD_MEMBER member_added "add_member",
        /// Returns that somebody left a team.
        REMOVE_MEMBER member_removed "remove_member",
        /// Returns that a member of a team has another role.
        CHANGE_ROLE role_changed "change_role",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_of_its_resource_and_so_is_its_target() {
        let activity = api_key::rotated("k-1");
        assert_eq!(activity.action(), "api_key.rotate");
        assert_eq!(activity.target().kind(), "api_key");
        assert_eq!(activity.target().id(), "k-1");
        assert_eq!(user::LOGIN, "user.login");
    }

    #[test]
    fn a_resource_of_ones_own_says_the_same() {
        use super::super::Resource;
        const PROJECT: Resource = Resource::new(project::KIND);
        assert_eq!(PROJECT.created(7), project::created(7));
        assert_eq!(PROJECT.updated(7), project::updated(7));
        assert_eq!(PROJECT.deleted(7), project::deleted(7));
        assert_eq!(PROJECT.did("archive", 7), project::archived(7));
    }
}
