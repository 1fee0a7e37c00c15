//! What is known of a route: worked out once.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use http::Method;
use tower_audit_core::{Action, Text};

use super::{convention::convention, template::Pattern};
use crate::privacy::Redaction;

/// What is known of a method on a route.
#[derive(Debug)]
pub(crate) struct Named {
    /// What the convention calls it.
    pub(crate) action: Action,
    pub(crate) target_kind: Text,
    pub(crate) target_param: Option<Text>,
    pub(crate) method: Text,
    /// The template, as it is kept.
    pub(crate) route: Option<Text>,
    pub(crate) pattern: Pattern,
    params: Vec<Param>,
}

#[derive(Debug)]
struct Param {
    name: Box<str>,
    is_secret: bool,
    /// Even if an annotation says that it is the target.
    is_secret_as_target: bool,
}

impl Named {
    fn of(method: &Method, template: Option<&str>, redaction: &Redaction) -> Self {
        let convention = convention(method, template);
        let pattern = Pattern::parse(template.unwrap_or_default());
        let param = |name: &str| Param {
            name: name.into(),
            is_secret: redaction.is_secret(name, false),
            is_secret_as_target: redaction.is_secret(name, true),
        };
        Self {
            action: convention.action,
            target_kind: convention.target_kind,
            target_param: convention.target_param.map(Text::from),
            method: Text::from(method.as_str()),
            route: template.map(|template| Text::capped(template, MAX_ROUTE)),
            params: pattern.names().map(param).collect(),
            pattern,
        }
    }

    pub(crate) fn has_param(&self, name: &str) -> bool {
        self.params.iter().any(|param| *param.name == *name)
    }

    /// Returns whether the value of a parameter may not be stored as it is. `target` is the one that an annotation
    /// calls the target.
    pub(crate) fn is_secret(&self, name: &str, target: Option<&str>) -> bool {
        let mut named = self.params.iter().filter(|param| *param.name == *name);
        named.any(|param| param.is_secret_beside(target))
    }

    /// Returns whether that is so for any of them.
    pub(crate) fn has_secret(&self, target: Option<&str>) -> bool {
        self.params
            .iter()
            .any(|param| param.is_secret_beside(target))
    }
}

impl Param {
    fn is_secret_beside(&self, target: Option<&str>) -> bool {
        if target == Some(&*self.name) {
            self.is_secret_as_target
        } else {
            self.is_secret
        }
    }
}

/// What was worked out so far, by template and method.
#[derive(Debug, Default)]
pub(crate) struct Names(RwLock<HashMap<Box<str>, Methods>>);

type Methods = Vec<(Method, Arc<Named>)>;

impl Names {
    /// Returns what is known of a method on a route, of which a template is never empty.
    pub(crate) fn of(
        &self,
        method: &Method,
        template: Option<&str>,
        redaction: &Redaction,
    ) -> Arc<Named> {
        let key = template.unwrap_or_default();
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let methods = known.get(key).map_or(&[][..], Vec::as_slice);
            if let Some((_, named)) = methods.iter().find(|(known, _)| known == method) {
                return Arc::clone(named);
            }
        }
        let named = Arc::new(Named::of(method, template, redaction));
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Routes are few. What a client may choose, a method that nobody knows, must not fill the memory.
        if known.len() < MAX_ROUTES || known.contains_key(key) {
            let methods = known.entry(key.into()).or_default();
            if methods.len() < MAX_METHODS {
                methods.push((method.clone(), Arc::clone(&named)));
            }
        }
        named
    }
}

/// What the columns keep of a template, in bytes.
const MAX_ROUTE: usize = 512;
const MAX_ROUTES: usize = 10_000;
const MAX_METHODS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_a_client_makes_up_do_not_fill_the_memory() {
        let (names, redaction) = (Names::default(), Redaction::default());
        for number in 0..100 {
            let method = Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
            let named = names.of(&method, Some("/things/{id}"), &redaction);
            assert_eq!(named.method.as_str(), method.as_str());
        }
        let known = names.0.read().unwrap();
        assert_eq!(known["/things/{id}"].len(), MAX_METHODS);
    }

    #[test]
    fn no_more_routes_are_remembered_than_a_service_has() {
        let (names, redaction) = (Names::default(), Redaction::default());
        for number in 0..MAX_ROUTES + 10 {
            let template = format!("/things/{number}");
            let named = names.of(&Method::PUT, Some(&template), &redaction);
            assert_eq!(named.route.as_ref().map(Text::as_str), Some(&*template));
        }
        assert_eq!(names.0.read().unwrap().len(), MAX_ROUTES);
    }
}
