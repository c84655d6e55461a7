//! From what was typed to a result on standard output.

use serde_json::Value;

use crate::cli::{Format, Load, LoadArgs};
use crate::fault::BenchError;
use crate::load::{self, Pattern, Plan};
use crate::plot::{self, Chart, Line, Scale};
use crate::progress::Progress;
use crate::report::LoadReport;
use crate::stages::StagesReport;
use crate::target::Target;
use crate::{idle, offline, retained, storm};

/// What a load found.
pub struct Finding {
    /// For programs.
    pub json: Value,
    /// For people.
    pub text: String,
    /// Whether the numbers may be trusted.
    pub verdict: Result<(), BenchError>,
    /// The picture, for loads that have one.
    charts: Vec<Chart>,
}

/// Carries out a load, prints what it found, and says whether that may be trusted.
///
/// # Errors
/// The load gives no result, or one that must not be trusted; then it is printed all the same.
pub async fn run(load: &Load) -> Result<(), BenchError> {
    let target = load.target();
    if target.plot.is_some() && matches!(load, Load::Retained(_) | Load::Offline(_) | Load::Idle(_)) {
        return Err(BenchError::Option("this load has no picture: leave --plot out".into()));
    }
    let found = tokio::select! {
        found = measure(load) => found?,
        signal = interrupted() => return Err(BenchError::Interrupted(signal)),
    };
    match target.format {
        Format::Json => println!("{:#}", found.json),
        Format::Table => print!("{}", found.text),
    }
    if let Some(path) = &target.plot {
        plot::write(path, &found.charts)?;
    }
    found.verdict
}

/// Carries out a load and gives what it found.
///
/// # Errors
/// The load gives no result.
pub async fn measure(load: &Load) -> Result<Finding, BenchError> {
    let args = load.target();
    let (target, progress) = (Target::resolve(args).await?, Progress::new(args.quiet));
    Ok(match load {
        Load::Pairs(args) => moved(Pattern::Pairs, args, target, progress).await?,
        Load::FanOut(args) => moved(Pattern::FanOut, args, target, progress).await?,
        Load::FanIn(args) => moved(Pattern::FanIn, args, target, progress).await?,
        Load::Shared(args) => moved(Pattern::Shared, args, target, progress).await?,
        Load::Request(args) => moved(Pattern::Request, args, target, progress).await?,
        Load::Retained(args) => staged(&retained::run(args, target, progress).await?),
        Load::Offline(args) => staged(&offline::run(args, target, progress).await?),
        Load::Connect(args) => {
            let report = storm::run(args, target, progress).await?;
            let (json, text, verdict) = (report.to_json(), report.to_text(), report.verdict());
            Finding { json, text, verdict, charts: latency(&report.curve) }
        }
        Load::Idle(args) => {
            let report = idle::run(args, target, progress).await?;
            let (json, text, verdict) = (report.to_json(), report.to_text(), report.verdict());
            Finding { json, text, verdict, charts: Vec::new() }
        }
    })
}

async fn moved(
    pattern: Pattern,
    args: &LoadArgs,
    target: Target,
    progress: Progress,
) -> Result<Finding, BenchError> {
    let plan = Plan::new(pattern, &args.traffic, target, args.target.broker_pid)?;
    let report = load::run(plan, progress).await?;
    let (json, text, verdict) = (report.to_json(), report.to_text(), report.verdict());
    Ok(Finding { json, text, verdict, charts: charts(&report) })
}

fn staged(report: &StagesReport) -> Finding {
    let (json, text, verdict) = (report.to_json(), report.to_text(), report.verdict());
    Finding { json, text, verdict, charts: Vec::new() }
}

fn charts(report: &LoadReport) -> Vec<Chart> {
    let mut charts = latency(&report.curve);
    let points = report.samples.iter().map(|sample| (sample.second, sample.rate)).collect();
    charts.push(Chart {
        title: format!("Messages delivered a second: {}", report.title),
        x: ("seconds".into(), Scale::Linear),
        y: ("messages/s".into(), Scale::Linear),
        lines: vec![Line { name: report.pattern.into(), points }],
    });
    charts
}

fn latency(curve: &[(f64, u64)]) -> Vec<Chart> {
    let points = curve.iter().map(|(percentile, micros)| (*percentile, *micros as f64 / 1_000.0)).collect();
    vec![Chart {
        title: "Latency by percentile".into(),
        x: ("percentile".into(), Scale::Percentile),
        y: ("ms".into(), Scale::Log),
        lines: vec![Line { name: "latency".into(), points }],
    }]
}

/// Returning lets everything that runs be dropped.
async fn interrupted() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
            "SIGINT"
        }
    }
}
