//! The commands, one file each.

mod count;
mod find;
mod hold;
mod migrate;
mod partitions;
mod prune;
mod query;

use crate::{
    Done,
    args::{Args, Command},
    connect,
    output::Output,
    settings::Settings,
};

/// Runs a command.
pub(crate) async fn run(args: Args, output: &mut Output) -> anyhow::Result<Done> {
    let settings = Settings::new(&args)?;
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
        Command::Prune(args) => prune::run(&settings, args, output).await,
        Command::Hold { action } => hold::run(&settings, action, output).await,
        Command::Partitions { action } => partitions::run(&settings, action, output).await,
    }
}
