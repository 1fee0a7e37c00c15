//! Serves the chat: `cargo run -p ai-chat`, and with `--demo` beside some days of calls that were made up. `PORT` defaults to 3000, and the file of the database, `DATABASE`, to `ai-chat.db`.
#![expect(clippy::print_stdout, reason = "a command talks to the terminal")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .with_writer(std::io::stderr)
        .init();
    let has_demo = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--demo") => true,
        Some(other) => anyhow::bail!("{other:?} is no argument: there is `--demo`"),
    };
    let app = ai_chat::app(open().await?, Duration::from_millis(150)).await?;
    if has_demo {
        println!("{} calls were made up", ai_chat::demo(&app.trails).await?);
    }
    let listener = listen().await?;
    print_help(listener.local_addr()?);
    let router = app
        .router
        .into_make_service_with_connect_info::<SocketAddr>();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Who is still being answered is left midway, as a client would leave: it is recorded like that.
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served?,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    println!(
        "calls: {}",
        app.trails.shutdown(Duration::from_secs(10)).await
    );
    println!(
        "audit: {}",
        app.auditor.shutdown(Duration::from_secs(10)).await
    );
    Ok(())
}

async fn open() -> anyhow::Result<SqlitePool> {
    let file = std::env::var("DATABASE").unwrap_or_else(|_| "ai-chat.db".into());
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true);
    SqlitePoolOptions::new()
        .connect_with(options.journal_mode(SqliteJournalMode::Wal))
        .await
        .with_context(|| {
            format!("{file} cannot be opened: set DATABASE to a file that may be written")
        })
}

async fn listen() -> anyhow::Result<TcpListener> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".into());
    let port: u16 = port
        .parse()
        .with_context(|| format!("PORT is {port:?}: set it to a number up to 65535"))?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("port {port} cannot be used: set PORT to another one"))
}

fn print_help(address: SocketAddr) {
    println!(
        "\
Listening on http://{address}

ask:        curl -N http://{address}/projects/demo/chat -H 'authorization: Bearer demo-alice' -H 'content-type: application/json' \\
              -d '{{\"text\": \"say this again word by word\"}}'
leave:      press Ctrl-C before it has ended
the costs:  http://{address}/audit/view/ai   (any name, password demo)
the trail:  http://{address}/audit"
    );
}
