//! The commands, one file each.

mod ai;
mod count;
mod doctor;
mod export;
mod find;
mod history;
mod hold;
mod import;
mod migrate;
mod pages;
mod partitions;
mod prune;
mod query;
mod record;
mod serve;
mod spool;
mod stop;

pub(crate) use self::{
    ai::Ai, doctor::Examine, export::Export, history::Changes, import::Import, serve::Serve,
    spool::Spool,
};

use crate::{
    Done,
    args::{Args, Command},
    connect,
    output::Output,
    settings::Settings,
};

/// Runs a command.
pub(crate) async fn run(args: Args, output: &mut Output) -> anyhow::Result<Done> {
    // These need no database.
    match &args.command {
        Command::Completions { shell } => return pages::completions(*shell),
        Command::Man { command } => return pages::manual(command.as_deref()),
        Command::Import(import) if import.dry_run => {
            return import::run(None, import, output).await;
        }
        _ => {}
    }
    let settings = Settings::new(&args);
    if let Command::Spool { action } = args.command {
        // What lies on a disk can be looked at without a database.
        return spool::run(settings, action, output).await;
    }
    let settings = settings?;
    match args.command {
        Command::Migrate(args) => migrate::run(&settings, args, output).await,
        Command::Search(args) => {
            find::search(&connect::store(&settings).await?, args, output).await
        }
        Command::Show { id } => find::show(&connect::store(&settings).await?, id, output).await,
        Command::Tail(args) => find::tail(&connect::store(&settings).await?, args, output).await,
        Command::Top(args) => count::top(&connect::store(&settings).await?, args, output).await,
        Command::Histogram(args) => {
            count::histogram(&connect::store(&settings).await?, args, output).await
        }
        Command::Export(args) => export::run(&settings, args, output).await,
        Command::Import(args) => {
            let store = connect::store(&settings).await?;
            import::run(Some(&store), &args, output).await
        }
        Command::Doctor(args) => doctor::run(connect::store(&settings).await, &args, output).await,
        Command::Serve(args) => serve::run(&settings, args, output).await,
        Command::Completions { .. } | Command::Man { .. } | Command::Spool { .. } => Ok(Done::Well),
        Command::Prune(args) => prune::run(&settings, args, output).await,
        Command::Hold { action } => hold::run(&settings, action, output).await,
        Command::Ai(args) => ai::run(&settings, args, output).await,
        Command::History(args) => history::run(&settings, args, output).await,
        Command::Partitions { action } => partitions::run(&settings, action, output).await,
    }
}
