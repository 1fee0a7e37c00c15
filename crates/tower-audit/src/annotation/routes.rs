//! The table of annotations on the layer.

use std::{collections::HashMap, sync::Arc};

use http::Method;

use super::Annotation;
use crate::naming;

/// Annotations by method and template.
#[derive(Clone, Default)]
pub(crate) struct Routes {
    annotations: HashMap<Arc<str>, Vec<(Method, Arc<Annotation>)>>,
    /// Finds the template of a path where no router did.
    templates: matchit::Router<Arc<str>>,
}

impl Routes {
    /// Adds an entry; the last one for a method and template counts.
    ///
    /// # Panics
    ///
    /// Panics with what to do if the template is none, conflicts with another, or lacks the
    /// parameter that the annotation names.
    #[track_caller]
    pub(crate) fn insert(&mut self, method: Method, template: &str, annotation: Annotation) {
        if let Some(param) = &annotation.target_param {
            assert!(
                naming::has_param(template, param.as_str()),
                "the route {template:?} has no parameter {param:?}, which its annotation names as the target"
            );
        }
        if !self.annotations.contains_key(template) {
            assert!(
                template.starts_with('/'),
                "the route {template:?} must begin with a slash"
            );
            let name: Arc<str> = template.into();
            if let Err(error) = self.templates.insert(template, Arc::clone(&name)) {
                panic!("the route {template:?} cannot be annotated: {error}");
            }
            self.annotations.insert(name, Vec::new());
        }
        if let Some(methods) = self.annotations.get_mut(template) {
            methods.retain(|(known, _)| *known != method);
            methods.push((method, Arc::new(annotation)));
        }
    }

    /// Returns the annotation of a route.
    pub(crate) fn is_empty(&self) -> bool {
        self.annotations.is_empty()
    }

    pub(crate) fn annotation(&self, method: &Method, template: &str) -> Option<&Arc<Annotation>> {
        let methods = self.annotations.get(template)?;
        methods
            .iter()
            .find(|(known, _)| known == method)
            .map(|(_, annotation)| annotation)
    }

    /// Returns the template in the table that this path is of.
    pub(crate) fn template(&self, path: &str) -> Option<&Arc<str>> {
        if self.annotations.is_empty() {
            return None;
        }
        self.templates.at(path).ok().map(|found| found.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotation::audited;

    fn insert(template: &'static str, annotation: Annotation) -> Result<(), String> {
        let insert = || Routes::default().insert(Method::PUT, template, annotation);
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(insert));
        panic.map_err(|panic| panic.downcast_ref::<String>().unwrap().clone())
    }

    #[test]
    fn a_parameter_that_the_template_lacks_is_refused_by_name() {
        let error = insert(
            "/projects/{id}",
            audited("project.move").target("project", "uuid"),
        )
        .unwrap_err();
        assert!(error.contains("has no parameter \"uuid\""), "{error}");
    }

    #[test]
    fn a_template_that_is_none_is_refused() {
        for template in ["projects", "/projects/{id", ""] {
            assert!(
                insert(template, audited("project.move"))
                    .unwrap_err()
                    .contains("the route"),
                "{template}"
            );
        }
    }

    #[test]
    fn a_path_finds_its_template_and_a_method_its_annotation() {
        let mut routes = Routes::default();
        routes.insert(Method::DELETE, "/projects/{id}", audited("project.archive"));
        let template = routes.template("/projects/7").unwrap();
        assert!(routes.annotation(&Method::DELETE, template).is_some());
        assert!(routes.annotation(&Method::PUT, template).is_none());
        assert!(routes.template("/users/7").is_none());
    }
}
