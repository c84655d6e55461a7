//! `thingcore top`: the server at a glance, over the API.

mod live;
mod picture;
mod text;

use std::io::{self, IsTerminal};
use std::thread::sleep;
use std::time::Duration;

use telemetry::TopSnapshot;

use super::{CommandProblem, problem, say};
use crate::cli::{OutputFormat, TopArgs};
use crate::device::{Call, Client, Server};
use picture::Picture;

/// Looks more often than this would be a load of its own.
const LEAST_INTERVAL: f64 = 0.1;
/// Rates of a longer time would be no rates.
const MOST_INTERVAL: f64 = 3600.0;

/// Shows one picture, or a live view. Without a terminal there is only the picture.
pub fn run(args: &TopArgs) -> Result<(), CommandProblem> {
    if !(LEAST_INTERVAL..=MOST_INTERVAL).contains(&args.interval) {
        return Err(problem(format!("--interval must be {LEAST_INTERVAL} to {MOST_INTERVAL} seconds")));
    }
    let server = Server::find(&args.server, &|name| std::env::var(name).ok()).map_err(problem)?;
    let client = Client::new(&server);
    let interval = Duration::from_secs_f64(args.interval);
    let look = || look(&client);
    if args.once || args.format == OutputFormat::Json || !io::stdout().is_terminal() {
        return once(interval, args.format, look);
    }
    live::run(interval, look)
}

fn look(client: &Client<'_>) -> Result<TopSnapshot, CommandProblem> {
    let answer = client.call(&Call::new("GetTop", "GET", &["thingcore", "top"])).map_err(problem)?;
    serde_json::from_value(answer).map_err(problem)
}

fn once(
    interval: Duration,
    format: OutputFormat,
    look: impl Fn() -> Result<TopSnapshot, CommandProblem>,
) -> Result<(), CommandProblem> {
    let before = look()?;
    sleep(interval);
    let picture = Picture::between(&before, &look()?);
    let text = match format {
        OutputFormat::Json => serde_json::to_string_pretty(&picture).map_err(problem)? + "\n",
        OutputFormat::Table => text::text(&picture),
    };
    say(&text).map(drop)
}
