//! `flame`: where the broker's time goes under a load, as a flame graph and as shares. perf samples it; this draws.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::{Command, Stdio};

use fleet::BenchError;
use tempfile::TempDir;

use crate::broker::{Broker, Make, Running};
use crate::cli::FlameArgs;
use crate::compare::turn_words;
use crate::prepared::Prepared;
use crate::rows::Row;

/// Samples a second: not a divisor of any tick.
const FREQUENCY: &str = "497";
/// Bytes of stack that a sample keeps, to unwind it without frame pointers.
const UNWIND: &str = "dwarf,8192";
const WIDTH: f64 = 1_200.0;
const BAR: f64 = 16.0;
const DEEPEST: usize = 70;
/// Narrower bars are left out.
const NARROWEST: f64 = 0.6;
const LETTER: f64 = 6.4;
/// Shares that are printed.
const SHARES: usize = 16;

/// Loads, samples, draws, and prints the shares.
///
/// # Errors
/// perf is not installed or may not look, or the load fails.
pub async fn run(args: &FlameArgs) -> Result<(), BenchError> {
    let row = Row::chosen(std::slice::from_ref(&args.row))?.into_iter().next();
    let row = row.ok_or_else(|| BenchError::Option("--row names one row".into()))?;
    let prepared = match row.tls {
        true => Some(
            Prepared::new(
                args.devices_by.as_ref().unwrap_or(&args.thingcore),
                crate::compare::devices_of(&row),
            )
            .await?,
        ),
        false => None,
    };
    let broker = Broker::new(Make::Thingcore, &args.thingcore, None);
    let running = Running::start(&broker, row.tls, prepared.as_ref()).await?;
    let load = row.typed(&turn_words(args.seconds, &row, &running, prepared.as_ref()))?;
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let mut perf = record(running.pid(), args.seconds + 1, &folder)?;
    let found = fleet::measure(&load).await?;
    let ended = tokio::task::spawn_blocking(move || perf.wait()).await;
    ended.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    found.verdict?;
    let stacks = script(&folder)?;
    let mut root = Frame::default();
    for stack in &stacks {
        root.add(stack);
    }
    let title = format!("thingcore: {} ({} samples)", row.title, root.count);
    std::fs::write(&args.out, root.draw(&title)).map_err(|error| failed(&error))?;
    print!("{}", shares(&stacks));
    Ok(())
}

fn failed(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Option(format!("perf: {error}"))
}

fn record(pid: u32, seconds: u64, folder: &TempDir) -> Result<std::process::Child, BenchError> {
    Command::new("perf")
        .args(["record", "-q", "-F", FREQUENCY, "--call-graph", UNWIND, "-p", &pid.to_string(), "-o"])
        .arg(folder.path().join("perf.data"))
        .args(["--", "sleep", &seconds.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))
}

/// The samples' stacks, outermost frame first.
fn script(folder: &TempDir) -> Result<Vec<Vec<String>>, BenchError> {
    let output = Command::new("perf")
        .args(["script", "--no-inline", "-F", "ip,sym,dso", "-i"])
        .arg(folder.path().join("perf.data"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(&error))?;
    let stacks = read(&String::from_utf8_lossy(&output.stdout));
    if stacks.is_empty() {
        return Err(failed(&format!("no samples: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(stacks)
}

/// Stacks are lines `ADDRESS SYMBOL (OBJECT)`, innermost first, with an empty line behind each.
fn read(text: &str) -> Vec<Vec<String>> {
    let mut stacks = Vec::new();
    let mut stack: Vec<String> = Vec::new();
    for line in text.lines().chain(std::iter::once("")) {
        if line.trim().is_empty() {
            if !stack.is_empty() {
                stack.reverse();
                stack.truncate(DEEPEST);
                stacks.push(std::mem::take(&mut stack));
            }
        } else if let Some((_, rest)) = line.trim().split_once(' ') {
            stack.push(frame(rest));
        }
    }
    stacks
}

/// A frame's name: without the hash that Rust appends, and the kernel's marked.
fn frame(rest: &str) -> String {
    let (symbol, object) = rest.rsplit_once(" (").unwrap_or((rest, ""));
    let symbol = match symbol.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.chars().all(|c| c.is_ascii_hexdigit()) => name,
        _ => symbol,
    };
    if object.contains("kernel") { format!("{symbol} [kernel]") } else { symbol.to_owned() }
}

/// Whose code a frame is: the kernel, a crate, or something else by its first word.
fn owner(frame: &str) -> String {
    if frame.ends_with("[kernel]") {
        return "kernel".into();
    }
    let name =
        frame.trim_start_matches(['<', '&', '(']).trim_start_matches("mut ").trim_start_matches("dyn ");
    match name.split_once("::") {
        Some((krate, _)) => krate.into(),
        None => "libc and others".into(),
    }
}

/// The innermost frames' owners and the commonest of those frames, in percent of all samples.
fn shares(stacks: &[Vec<String>]) -> String {
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    let mut frames: BTreeMap<&str, usize> = BTreeMap::new();
    for innermost in stacks.iter().filter_map(|stack| stack.last()) {
        *owners.entry(owner(innermost)).or_default() += 1;
        *frames.entry(innermost).or_default() += 1;
    }
    let table = |name: &str, counts: Vec<(String, usize)>| {
        let mut counts = counts;
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut out = format!("| {name} | share |\n|---|---:|\n");
        for (name, count) in counts.into_iter().take(SHARES) {
            let _ = writeln!(out, "| `{name}` | {:.1} % |", count as f64 * 100.0 / stacks.len() as f64);
        }
        out
    };
    let frames = frames.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    format!("{}\n{}", table("whose code", owners.into_iter().collect()), table("function", frames))
}

/// A frame and what it called.
#[derive(Debug, Default)]
struct Frame {
    count: u64,
    called: BTreeMap<String, Frame>,
}

impl Frame {
    fn add(&mut self, stack: &[String]) {
        self.count += 1;
        if let Some((first, rest)) = stack.split_first() {
            self.called.entry(first.clone()).or_default().add(rest);
        }
    }

    fn depth(&self) -> usize {
        1 + self.called.values().map(Self::depth).max().unwrap_or(0)
    }

    fn draw(&self, title: &str) -> String {
        let height = BAR * (self.depth() as f64 + 2.0);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" font-family=\"monospace\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"4\" y=\"12\" font-family=\"sans-serif\">{}</text>\n",
            escaped(title)
        );
        self.bars(&mut out, 0.0, height - BAR, WIDTH / self.count.max(1) as f64);
        out + "</svg>\n"
    }

    /// The called ones above, side by side; widths are shares of the samples.
    fn bars(&self, out: &mut String, mut x: f64, y: f64, unit: f64) {
        for (name, frame) in &self.called {
            let width = frame.count as f64 * unit;
            if width >= NARROWEST {
                bar(out, (x, y, width), name, frame.count as f64 * 100.0 * unit / WIDTH);
                frame.bars(out, x, y - BAR, unit);
            }
            x += width;
        }
    }
}

fn bar(out: &mut String, (x, y, width): (f64, f64, f64), name: &str, percent: f64) {
    let colour = match owner(name).as_str() {
        "kernel" => "#e9a15b",
        owner if owner.starts_with("thingcore") => "#7fb2e5",
        "tokio" | "rustls" | "tokio_rustls" => "#9fd3a4",
        _ => "#d9d9d9",
    };
    let shown: String = name.chars().take((width / LETTER) as usize).collect();
    let _ = writeln!(
        out,
        "<g><title>{} {percent:.1} %</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" \
         fill=\"{colour}\" stroke=\"white\" stroke-width=\"0.5\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
        escaped(name),
        BAR - 1.0,
        x + 2.0,
        y + 11.0,
        if shown.chars().count() > 2 { escaped(&shown) } else { String::new() }
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "
        ffffffff81 tcp_sendmsg ([kernel.kallsyms])
            55e000 <thingcore_gateway::Link as X>::write::h0123456789abcdef (/x/thingcore)
            55d000 main (/x/thingcore)

            7f0000 __memcpy (/lib/libc.so.6)
            55d000 main (/x/thingcore)
";

    #[test]
    fn stacks_are_read_outermost_first_with_names_that_people_know() {
        let stacks = read(SCRIPT);
        assert_eq!(stacks.len(), 2);
        assert_eq!(stacks[0], ["main", "<thingcore_gateway::Link as X>::write", "tcp_sendmsg [kernel]"]);
        let shares = shares(&stacks);
        assert!(
            shares.contains("| `kernel` | 50.0 % |") && shares.contains("| `libc and others` | 50.0 % |"),
            "{shares}"
        );
        assert_eq!(owner("<thingcore_gateway::Link as X>::write"), "thingcore_gateway");
    }

    #[test]
    fn bars_are_as_wide_as_their_share() {
        let mut root = Frame::default();
        for stack in read(SCRIPT) {
            root.add(&stack);
        }
        let svg = root.draw("a < b");
        assert!(svg.contains("width=\"1200.0\"") && svg.contains("width=\"600.0\""), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains("50.0 %"));
    }
}
