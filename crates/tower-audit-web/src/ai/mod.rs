//! Calls of models: what the trails of `tower-audit-ai` say, as one caller may see it.

mod api;
mod reader;
pub(crate) mod shown;

use chrono::{Days as Span, NaiveDate, Utc};
use tower_audit_ai::{Days, MessageId, Trail, TrailCursor};
use tower_audit_core::{EventId, PageSize};
use utoipa::OpenApi;

pub(crate) use api::{analytics, event_trails, projects, trail, trails};
pub(crate) use reader::DynTrails;

use crate::{params::Params, problem::Problem, view::View};
use shown::{AiAnalytics, AiEventTrails, AiTrail, AiTrails};

/// What is there only where somebody says where trails are read from.
#[derive(OpenApi)]
#[openapi(paths(
    api::projects,
    api::analytics,
    api::trails,
    api::trail,
    api::event_trails
))]
pub(crate) struct AiApi;

impl View {
    /// Returns the projects that come after one: those that the caller may see.
    pub(crate) async fn projects(
        &self,
        after: Option<&str>,
        size: PageSize,
    ) -> Result<Vec<String>, Problem> {
        let Some(own) = self.access().own_projects() else {
            return Ok(self.trails_reader()?.projects(after, size).await?);
        };
        let after = own.filter(|project| after.is_none_or(|after| *project > after));
        Ok(after
            .take(size.events().into())
            .map(str::to_owned)
            .collect())
    }

    /// Returns what the calls of a project add up to.
    pub(crate) async fn analytics(
        &self,
        project: &str,
        AskedDays { mut days, today }: AskedDays,
    ) -> Result<AiAnalytics, Problem> {
        self.see_project(project)?;
        let analytics = self.trails_reader()?.analytics(project, days).await?;
        if let Some(today) = today {
            let newest = analytics.by_day.last().map(|(day, _)| *day);
            days.last = newest.unwrap_or(today).max(today);
        }
        Ok(AiAnalytics::of(days, &analytics, self.access()))
    }

    /// Returns the calls of a project, the newest first.
    pub(crate) async fn trails(
        &self,
        project: &str,
        older_than: Option<TrailCursor>,
        size: PageSize,
    ) -> Result<AiTrails, Problem> {
        self.see_project(project)?;
        let page = self
            .trails_reader()?
            .list(project, older_than, size)
            .await?;
        Ok(AiTrails {
            trails: page
                .trails
                .iter()
                .map(|trail| AiTrail::of(trail, self.access()))
                .collect(),
            older: page.older.map(|cursor| cursor.to_string()),
        })
    }

    /// Returns the calls that were made in the request of an event, the oldest first.
    pub(crate) async fn trails_of_event(
        &self,
        id: EventId,
        size: PageSize,
    ) -> Result<AiEventTrails, Problem> {
        let found = self.trails_reader()?.of_event(id, size).await?;
        let has_more = found.len() == usize::from(size.events());
        let seen = found
            .iter()
            .filter(|trail| self.access().sees_project(&trail.project_id));
        let trails = seen
            .map(|trail| AiTrail::of(trail, self.access()))
            .collect();
        Ok(AiEventTrails { trails, has_more })
    }

    /// Returns one call, and its audit event.
    pub(crate) async fn trail(
        &self,
        message_id: &str,
    ) -> Result<(AiTrail, Option<EventId>), Problem> {
        // What is no message id is one of nothing.
        let message_id: MessageId = message_id.parse().map_err(|_| Problem::no_such_trail())?;
        let trail = self.trails_reader()?.get(&message_id).await?;
        let sees = |trail: &Trail| self.access().sees_project(&trail.project_id);
        // That of another project is not there: a caller cannot tell the two apart.
        let trail = trail.filter(sees).ok_or_else(Problem::no_such_trail)?;
        Ok((AiTrail::of(&trail, self.access()), trail.event_id))
    }

    fn see_project(&self, project: &str) -> Result<(), Problem> {
        match self.access().sees_project(project) {
            true => Ok(()),
            false => Err(Problem::no_such_project()),
        }
    }
}

/// The days that a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedDays {
    days: Days,
    /// Which day it is in UTC, if the last one was not named. Where the store is it may be tomorrow already, so that is one of the days.
    today: Option<NaiveDate>,
}

impl AskedDays {
    /// Returns thirty days until today, unless the request says otherwise.
    pub(crate) fn of(params: &Params) -> Result<Self, Problem> {
        let hint = "write a date, such as 2026-11-22";
        let last = params.parsed::<NaiveDate>("until", hint)?;
        let today = Utc::now().date_naive();
        let first = params.parsed::<NaiveDate>("from", hint)?;
        let first = first.unwrap_or_else(|| begin_of(30, last.unwrap_or(today)));
        let days = Days::new(first, last.unwrap_or(today + Span::new(1)));
        match days.first <= days.last {
            true => Ok(Self {
                days,
                today: last.is_none().then_some(today),
            }),
            false => Err(Problem::bad_parameter(
                "from",
                "the first day comes after the last one",
                "write the earlier one in `from`",
            )),
        }
    }
}

/// Returns the first of so many days.
pub(crate) fn begin_of(days: u64, last: NaiveDate) -> NaiveDate {
    last.checked_sub_days(Span::new(days - 1)).unwrap_or(last)
}
