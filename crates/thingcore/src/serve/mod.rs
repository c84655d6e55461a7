//! `thingcore serve`: puts the house together, opens the doors, waits for the end.
//!
//! Two runtimes: devices on one thread per processor, and administration (API, metrics) on a small one of its own, so that a
//! slow list call never delays a PUBACK and a flood of messages never locks operators out.

mod attribution;
mod banner;
mod bind;
mod compose;
mod copying;
mod descriptors;
mod device_requests;
mod export;
mod farewell;
mod keys;
mod logging;
mod metering;
mod observers;
mod own;
mod privileges;
mod pulse;
#[cfg(test)]
mod remedies;
mod running;
mod server_certificate;
mod stop;

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use events::{Event, Starting, Stopping};
use ready::Ready;
use tokio::runtime::{Builder, Runtime};

use crate::cli::LogFormat;
use crate::config::Settings;
use crate::data_dir::{DataDir, Place};
use bind::Bound;
use compose::{Card, House};
use running::Running;
use stop::StopSignals;

/// How long clients get to take their last packets when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Threads of the administration runtime.
const ADMIN_THREADS: usize = 2;

/// The server cannot start or go on.
#[derive(Debug)]
pub struct ServeProblem(String);

impl fmt::Display for ServeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ServeProblem {}

impl ServeProblem {
    fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Runs the server until a signal stops it.
pub fn run(mut settings: Settings) -> Result<(), ServeProblem> {
    let warnings =
        [("limits.connections", descriptors::fit(&mut settings)), ("user", privileges::warning(&settings))];
    let data = DataDir::open(&settings).map_err(ServeProblem::new)?;
    if let Some(path) = &settings.ready_file {
        // A file of an earlier run would announce a server that is not there. Not before the folder is locked: it may
        // be that of a server that is.
        let _ = std::fs::remove_file(path);
    }
    if let Some(path) = &settings.divergences_file {
        farewell::forget(path)?;
    }
    let admin = runtime("admin", Some(ADMIN_THREADS))?;
    let devices = runtime("devices", None)?;
    let served = devices.block_on(serve(&settings, data, &admin, &warnings));
    // What is still running by now had its time.
    admin.shutdown_timeout(Duration::from_secs(1));
    devices.shutdown_timeout(Duration::from_secs(1));
    served
}

fn runtime(name: &str, threads: Option<usize>) -> Result<Runtime, ServeProblem> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder
        .enable_all()
        .thread_name(name)
        .build()
        .map_err(|error| ServeProblem(format!("cannot start the threads for {name}: {error}")))
}

async fn serve(
    settings: &Settings,
    data: DataDir,
    admin: &Runtime,
    warnings: &[(&str, Option<String>)],
) -> Result<(), ServeProblem> {
    let mut signals = StopSignals::catch().map_err(ServeProblem::new)?;
    let bound = Bound::bind(&settings.ports).map_err(ServeProblem::new)?;
    let card = Card::new(settings, &data);
    let ready = card.ready(&bound).map_err(ServeProblem::new)?;
    let place = data.place();
    let house = House::compose(settings, data, &card)?;
    // Sessions and retained messages are there before the first client is.
    house.broker.recover(house.clock.now()).await.map_err(ServeProblem::new)?;
    if let Err(problem) = prepare(settings, &place, &house).await {
        // Nobody was let in yet: the store is all that must be closed for the next start to find nothing odd.
        let store = house.store.clone();
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
        return Err(problem);
    }
    let observers = house.observers.clone();
    let (clock, divergences) = (house.clock.clone(), house.divergences.clone());
    let shown = place.folder.display().to_string();
    let (version, dialect) = (ready.version.as_str(), house.broker.dialect().name());
    house.emit(&Event::Starting(Starting { version, dialect, data: &shown }));
    for (setting, warning) in warnings {
        warning.iter().for_each(|warning| house.warn(setting, warning));
    }

    let mut running = Running::start(house, bound, admin);
    // The doors are open: whatever happens from here on, the house is closed in order.
    let ended = match announce(settings, &place, &ready) {
        Err(problem) => Err(problem),
        Ok(()) => tokio::select! {
            _ = signals.next() => Ok(()),
            problem = running.problem() => Err(problem),
        },
    };
    signals.then_exit_at_once();
    observers.emit(clock.now(), &Event::Stopping(Stopping {}));
    let announced = [Some(place.runtime_file()), settings.ready_file.clone()];
    announced.iter().flatten().for_each(|path| drop(std::fs::remove_file(path)));
    running.stop(DRAIN).await;
    let told = farewell::tell(settings, &divergences.summary());
    ended.and(told)
}

/// What the configuration wants in the store.
async fn prepare(settings: &Settings, place: &Place, house: &House) -> Result<(), ServeProblem> {
    place.mark_complete().map_err(ServeProblem::new)?;
    let configured = house.access.configure_iam(&settings.iam, house.clock.now()).await;
    let old = configured.map_err(|error| ServeProblem(error.message))?;
    old.iter().for_each(|document| house.warn(&document.owner, &document.detail));
    Ok(())
}

/// Tells commands on this machine, whoever waits for the ready file, and the person at the terminal.
fn announce(settings: &Settings, place: &Place, ready: &Ready) -> Result<(), ServeProblem> {
    let write = |path: &Path| {
        ready
            .write(path)
            .map_err(|error| ServeProblem(format!("{}: cannot be written: {error}", path.display())))
    };
    write(&place.runtime_file())?;
    if let Some(path) = &settings.ready_file {
        write(path)?;
    }
    if settings.log == LogFormat::Human {
        // The server is there also if nobody can read this.
        let _ = writeln!(std::io::stdout(), "{}", banner::banner(ready, place));
    }
    Ok(())
}
