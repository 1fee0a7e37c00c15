//! The viewer and the JSON API over the database, for people whose app does not mount them.

mod hosts;
mod login;
mod unrecorded;

use std::{io::IsTerminal as _, net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    http::request::Parts,
    middleware,
    response::Redirect,
    routing::{MethodRouter, get},
};
use tokio::{net::TcpListener, sync::oneshot};
use tower_audit_ai::{PgTrails, SqliteTrails};
use tower_audit_core::{Auditor, EventId, EventReader as _, EventWriter as _};
use tower_audit_history::History;
use tower_audit_sqlx::AnyStore;
use tower_audit_web::AuditWeb;
use tracing_subscriber::filter::LevelFilter;

use self::{
    hosts::Hosts,
    login::{Login, Password},
    unrecorded::ToStandardError,
};
use super::stop::stop_signal;
use crate::{Done, connect, output::Output, settings::Settings};

/// Browsers are asked for a name, which is recorded, and for a password: that of the environment variable TOWER_AUDIT_SERVE_PASSWORD, or
/// else one that is made and printed.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where to listen; with port 0 on one that is free
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// Listen where other machines can connect, although nothing is encrypted
    #[arg(long)]
    danger_allow_remote: bool,

    /// A name that browsers know this server by, beside localhost and the address; may be given again
    #[arg(long = "host", value_name = "NAME", value_parser = hosts::name)]
    hosts: Vec<String>,

    /// Show the events of one tenant alone
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,

    /// Hide names, addresses, user agents and what was captured
    #[arg(long)]
    hide_personal: bool,

    /// Allow no export
    #[arg(long)]
    no_export: bool,

    /// Write who looked to standard error instead of the trail, for a database user who may only read
    #[arg(long)]
    unrecorded: bool,
}

/// Serves the trail until a signal.
pub(super) async fn run(
    settings: &Settings,
    args: Serve,
    output: &mut Output,
) -> anyhow::Result<Done> {
    refuse_remote(&args)?;
    log_to_standard_error();
    let password = Password::new()?;
    let store = connect::store(settings).await?;
    let auditor = auditor(&store, args.unrecorded).await?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!(
            "nobody can listen on {}: give another --listen",
            args.listen
        )
    })?;
    let address = listener.local_addr()?;
    let stop = stop_signal()?;
    password.print(&format!("http://{address}{BASE}"));
    let served = serve(
        listener,
        app(store, &auditor, &password, address, args, settings).await,
        stop,
    )
    .await;
    let report = auditor.shutdown(SHUTDOWN).await;
    if !output.is_json {
        output.line(format!("audit: {report}"))?;
    }
    served?;
    Ok(Done::Well)
}

/// Refuses to send passwords and the trail through a network as they are.
fn refuse_remote(args: &Serve) -> anyhow::Result<()> {
    let is_local = args.listen.ip().to_canonical().is_loopback();
    if !is_local && !args.danger_allow_remote {
        bail!(
            "other machines could connect to {}, and the password and the trail would travel unencrypted: listen on \
             127.0.0.1 and put a proxy in front that speaks TLS, or give --danger-allow-remote",
            args.listen
        );
    }
    Ok(())
}

/// Starts what records who looked, once it is known that the trail can be read.
async fn auditor(store: &AnyStore, is_unrecorded: bool) -> anyhow::Result<Auditor> {
    let nothing = store.get(EventId::now()).await;
    nothing.context("the trail cannot be read")?;
    let auditor = Auditor::builder().service(SERVICE);
    if is_unrecorded {
        return Ok(auditor.start(ToStandardError));
    }
    store.check().await.context(
        "who looks could not be recorded: let the database user insert events, or give --unrecorded",
    )?;
    Ok(auditor.start(store.clone()))
}

/// Adds what else is in the database: which rows requests changed, and what calls of models cost.
async fn with_the_rest(web: AuditWeb, store: &AnyStore, settings: &Settings) -> AuditWeb {
    match store {
        AnyStore::Postgres(store) => {
            let trails = PgTrails::new(store.pool().clone());
            let web = match trails.check().await {
                Ok(_) => web.ai(trails),
                Err(_) => web,
            };
            let mut history = History::builder(store.pool().clone());
            if let Some(schema) = &settings.schema {
                history = history.schema(schema);
            }
            match history.build() {
                Ok(history) if history.status().await.is_ok() => web.changes(history),
                _ => web,
            }
        }
        AnyStore::Sqlite(store) => {
            let trails = SqliteTrails::new(store.pool().clone());
            match trails.check().await {
                Ok(_) => web.ai(trails),
                Err(_) => web,
            }
        }
        _ => web,
    }
}

async fn app(
    store: AnyStore,
    auditor: &Auditor,
    password: &Password,
    address: SocketAddr,
    args: Serve,
    settings: &Settings,
) -> Router {
    let login = Login {
        password: password.digest(),
        tenant: args.tenant,
        sees_personal_data: !args.hide_personal,
        may_export: !args.no_export,
    };
    let web = AuditWeb::new(
        store.clone(),
        move |head: &Parts| login.access(head),
        auditor,
    );
    let web = with_the_rest(web, &store, settings).await;
    let hosts = Hosts::new(address, args.hosts);
    Router::new()
        .route("/", to_base())
        .route("/audit/", to_base())
        .nest(BASE, web.router())
        .layer(middleware::from_fn_with_state(hosts, hosts::refuse_others))
}

fn to_base() -> MethodRouter {
    get(async || Redirect::temporary(BASE))
}

/// Serves until the signal, and then until open requests are done, but no longer than [`PATIENCE`]: a live tail goes
/// on for minutes.
async fn serve(
    listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let serve = axum::serve(listener, app).with_graceful_shutdown(async move {
        stop.await;
        let _ = stopping.send(());
    });
    let out_of_patience = async {
        let _ = stopped.await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        served = serve.into_future() => Ok(served?),
        () = out_of_patience => Ok(()),
    }
}

/// Lets whoever runs this read what a browser is not told.
fn log_to_standard_error() {
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // It fails only if there is a log already.
    let _ = log.try_init();
}

const BASE: &str = "/audit";
const SERVICE: &str = concat!("tower-audit-serve@", env!("CARGO_PKG_VERSION"));
const PATIENCE: Duration = Duration::from_secs(5);
const SHUTDOWN: Duration = Duration::from_secs(10);
