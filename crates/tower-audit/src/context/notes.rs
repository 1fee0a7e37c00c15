//! What was said about a request so far.

use std::sync::{Arc, LazyLock};

use tower_audit_core::{Action, Actor, Metadata, Outcome, Target, Text};

use crate::{
    annotation::Annotation,
    capture::Outgoing,
    draft::{End, Head},
    identify::AuthFailed,
    route::Template,
};

/// What was said about a request so far. Whatever was said last counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) actor: Option<Actor>,
    pub(crate) outcome: Option<Outcome>,
    /// An audited function named the request.
    pub(crate) is_claimed: bool,
    /// How that function failed, if it did.
    pub(crate) failed: Option<Outcome>,
    pub(crate) mark: Option<Mark>,
    pub(crate) annotation: Option<Arc<Annotation>>,
    /// The template that the router matched, seen from inside: a layer around the router does not
    /// see it.
    pub(crate) template: Option<Template>,
    /// What the head of the response said.
    pub(crate) head: Option<Head>,
    /// What is said from now on goes nowhere.
    pub(crate) is_over: bool,
    /// How it ended, if that is recorded, until the event is made.
    pub(crate) end: Option<End>,
    // In a box: most requests say nothing of the kind, and all would be as large.
    said: Option<Box<Said>>,
}

/// What only some requests say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) action: Option<Action>,
    pub(crate) target: Option<Target>,
    pub(crate) target_id: Option<Text>,
    pub(crate) tenant_id: Option<Text>,
    pub(crate) reason: Option<Text>,
    pub(crate) metadata: Metadata,
    /// The request id that the response has, where the request had none.
    pub(crate) request_id: Option<Text>,
    /// The id of what was created, if the annotation asks for it.
    pub(crate) created_id: Option<Text>,
    /// The body of the response, if a rule may ask for it.
    pub(crate) body: Option<Outgoing>,
}

/// Whether the request is recorded, said by the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Record,
    Skip,
}

impl Notes {
    /// Returns what is to be said.
    pub(crate) fn say(&mut self) -> &mut Said {
        self.said.get_or_insert_default()
    }

    pub(crate) fn take_metadata(&mut self) -> Metadata {
        let said = self.said.as_mut();
        said.map(|said| std::mem::take(&mut said.metadata))
            .unwrap_or_default()
    }

    pub(crate) fn auth_failed(&mut self, failed: AuthFailed) {
        self.outcome = Some(Outcome::Denied);
        self.say().reason = Some(failed.into_reason());
    }

    /// Takes over what is still asked by what goes on beyond the end of a request: who it was, and on which route.
    pub(crate) fn remain_of(&mut self, whole: &Self) {
        self.is_over = true;
        self.actor.clone_from(&whole.actor);
        self.template.clone_from(&whole.template);
        self.annotation.clone_from(&whole.annotation);
        let said = whole.said();
        if said.tenant_id.is_some() || said.request_id.is_some() {
            let remains = self.say();
            remains.tenant_id.clone_from(&said.tenant_id);
            remains.request_id.clone_from(&said.request_id);
        }
    }

    /// Lets go of the body of the response.
    pub(crate) fn forget_body(&mut self) {
        if let Some(said) = &mut self.said {
            said.body = None;
        }
    }

    /// Returns what was said.
    pub(crate) fn said(&self) -> &Said {
        static NOTHING: LazyLock<Said> = LazyLock::new(Said::default);
        self.said.as_deref().unwrap_or_else(|| &NOTHING)
    }

    /// Returns roughly how many bytes they take beside themselves.
    pub(crate) fn heap_size(&self) -> usize {
        let actor = self.actor.as_ref().map_or(0, Actor::heap_size);
        let end = self.end.as_ref().map_or(0, End::heap_size);
        let said = self.said.as_ref().map_or(0, |said| said.size());
        actor + end + said
    }
}

impl Said {
    /// Says what it was done to: an id that was said before was that of something else.
    pub(crate) fn to(&mut self, target: Target) {
        self.target = Some(target);
        self.target_id = None;
    }

    fn size(&self) -> usize {
        let texts = [
            &self.target_id,
            &self.tenant_id,
            &self.reason,
            &self.request_id,
            &self.created_id,
        ];
        let texts: usize = texts.into_iter().flatten().map(Text::heap_size).sum();
        let action = self.action.as_ref().map_or(0, Action::heap_size);
        let target = self.target.as_ref().map_or(0, Target::heap_size);
        size_of::<Self>() + texts + action + target + self.metadata.heap_size()
    }
}
