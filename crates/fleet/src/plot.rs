//! Pictures: line charts and heat maps as SVG, alone or in a page. A few lines of SVG are all that a curve needs; no
//! library, no script.

mod heat;

use std::fmt::Write;
use std::path::Path;

use crate::fault::BenchError;
pub use heat::HeatMap;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
/// Room around the lines: left, right, top, bottom.
const MARGIN: (f64, f64, f64, f64) = (80.0, 150.0, 40.0, 50.0);
const COLOURS: [&str; 6] = ["#0b6bcb", "#d1495b", "#2e8b57", "#b8860b", "#7b4fa3", "#4a4a4a"];

/// A line of more points than this gets no mark at each.
const MARKED: usize = 100;

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly, from zero.
    Linear,
    /// By powers of ten.
    Log,
    /// By nines: 90, 99, 99.9...
    Percentile,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// In order of x.
    pub points: Vec<(f64, f64)>,
}

/// A chart: what it shows, its axes, its lines.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Above it.
    pub title: String,
    /// Label and scale of the horizontal axis.
    pub x: (String, Scale),
    /// Label and scale of the vertical axis.
    pub y: (String, Scale),
    /// The lines; those without points are left out.
    pub lines: Vec<Line>,
}

/// Writes charts, one below the other: an SVG, or a page if the name ends with `.html`.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, charts: &[Chart]) -> Result<(), BenchError> {
    let svg = svg(charts);
    let page = path.extension().is_some_and(|extension| extension == "html");
    let text = if page {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>thingcore bench</title>\n<body>\n{svg}</body></html>\n"
        )
    } else {
        svg
    };
    std::fs::write(path, text).map_err(|error| BenchError::Option(format!("{}: {error}", path.display())))
}

/// Something that can be drawn.
pub trait Figure {
    /// Appends it as SVG, [`WIDTH`] by [`HEIGHT`].
    fn draw(&self, out: &mut String);
}

/// Figures as one SVG, one below the other.
pub fn svg(figures: &[impl Figure]) -> String {
    let height = HEIGHT * figures.len().max(1) as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (row, figure) in figures.iter().enumerate() {
        let _ = writeln!(out, "<g transform=\"translate(0 {})\">", HEIGHT * row as f64);
        figure.draw(&mut out);
        out.push_str("</g>\n");
    }
    out + "</svg>\n"
}

/// An axis: from a value to a place on the paper.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(scale: Scale, values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let most = values.clone().fold(0.0_f64, f64::max);
        let least = values.filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let (low, high) = match scale {
            Scale::Linear => (0.0, if most > 0.0 { most * 1.1 } else { 1.0 }),
            Scale::Log if least.is_finite() => {
                (least.log10().floor(), most.log10().ceil().max(least.log10().floor() + 1.0))
            }
            Scale::Log => (0.0, 1.0),
            // Up to 99.999.
            Scale::Percentile => (0.0, 5.2),
        };
        Self { scale, low, high, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let on_scale = match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(10f64.powf(self.low)).log10(),
            Scale::Percentile => -(1.0 - value.min(99.9995) / 100.0).log10(),
        };
        let part = (on_scale - self.low) / (self.high - self.low);
        self.from + (self.to - self.from) * part.clamp(0.0, 1.0)
    }

    /// Values that get a mark.
    fn marks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = nice(self.high / 5.0);
                (0..=6).map(|mark| f64::from(mark) * step).filter(|value| *value <= self.high).collect()
            }
            Scale::Log => {
                let (low, high) = (self.low as i32, self.high as i32);
                (low..=high).map(|power| 10f64.powi(power)).collect()
            }
            Scale::Percentile => vec![0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999],
        }
    }
}

/// A step of 1, 2 or 5 times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.max(f64::MIN_POSITIVE).log10().floor());
    let factor = step / power;
    power
        * if factor <= 1.0 {
            1.0
        } else if factor <= 2.0 {
            2.0
        } else if factor <= 5.0 {
            5.0
        } else {
            10.0
        }
}

impl Figure for Chart {
    fn draw(&self, out: &mut String) {
        let (left, right, top, bottom) = MARGIN;
        let points = || self.lines.iter().flat_map(|line| line.points.iter());
        let x = Axis::new(self.x.1, points().map(|(x, _)| *x), left, WIDTH - right);
        let y = Axis::new(self.y.1, points().map(|(_, y)| *y), HEIGHT - bottom, top);
        text(out, (left, top - 16.0), "start", &self.title);
        text(out, ((left + WIDTH - right) / 2.0, HEIGHT - 12.0), "middle", &self.x.0);
        text(out, (6.0, top - 16.0), "start", &self.y.0);
        grid(out, &x, &y);
        let drawn = self.lines.iter().filter(|line| !line.points.is_empty());
        for ((row, line), colour) in drawn.enumerate().zip(COLOURS.iter().cycle()) {
            line.draw(out, (&x, &y), colour);
            let at = top + 14.0 + 18.0 * row as f64;
            let _ = writeln!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>",
                WIDTH - right + 12.0,
                at - 9.0
            );
            text(out, (WIDTH - right + 27.0, at), "start", &line.name);
        }
    }
}

impl Line {
    fn draw(&self, out: &mut String, (x, y): (&Axis, &Axis), colour: &str) {
        let place = |(at, value): &(f64, f64)| (x.place(*at), y.place(*value));
        let path: Vec<String> =
            self.points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            path.join(" ")
        );
        let few = self.points.len() <= MARKED;
        for (x, y) in self.points.iter().filter(|_| few).map(place) {
            let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>");
        }
    }
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

/// The marks of both axes.
fn grid(out: &mut String, x: &Axis, y: &Axis) {
    for mark in x.marks() {
        let at = x.place(mark);
        rule(out, (at, y.from), (at, y.to));
        text(out, (at, y.from + 16.0), "middle", &number(mark));
    }
    for mark in y.marks() {
        let at = y.place(mark);
        rule(out, (x.from, at), (x.to, at));
        text(out, (x.from - 6.0, at + 4.0), "end", &number(mark));
    }
}

fn rule(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
        from.0, from.1, to.0, to.1
    );
}

/// As short as it can be said.
fn number(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        value => format!("{}", (value * 1e6).round() / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale, points: Vec<(f64, f64)>) -> Chart {
        Chart {
            title: "a < b".into(),
            x: ("percentile".into(), Scale::Percentile),
            y: ("ms".into(), scale),
            lines: vec![Line { name: "l".into(), points }, Line { name: "none".into(), points: vec![] }],
        }
    }

    #[test]
    fn places_are_inside_the_paper_and_in_order() {
        let axis = Axis::new(Scale::Percentile, [0.0, 100.0].into_iter(), 0.0, 100.0);
        let places: Vec<f64> = axis.marks().iter().map(|mark| axis.place(*mark)).collect();
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
        assert!((0.0..=100.0).contains(&axis.place(100.0)));
        let log = Axis::new(Scale::Log, [0.5, 900.0].into_iter(), 0.0, 1.0);
        assert_eq!(log.marks(), [0.1, 1.0, 10.0, 100.0, 1000.0]);
    }

    #[test]
    fn a_picture_is_whole_and_escaped_whatever_the_numbers() {
        for points in [vec![], vec![(50.0, 0.0)], vec![(0.0, 1.0), (99.0, 5.0), (100.0, 7_000.0)]] {
            for scale in [Scale::Linear, Scale::Log] {
                let picture = svg(&[chart(scale, points.clone()), chart(scale, points.clone())]);
                assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"));
                assert!(picture.contains("a &lt; b") && !picture.contains("NaN"), "{picture}");
            }
        }
    }

    #[test]
    fn a_line_of_many_points_has_no_marks() {
        let points = |count: u32| (0..count).map(|at| (f64::from(at % 99), 1.0)).collect::<Vec<_>>();
        let marks = |count| svg(&[chart(Scale::Log, points(count))]).matches("<circle").count();
        assert_eq!((marks(100), marks(101)), (100, 0));
    }

    #[test]
    fn a_page_or_a_picture_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for (name, begin) in [("x.svg", "<svg"), ("x.html", "<!DOCTYPE html>")] {
            let path = folder.path().join(name);
            write(&path, &[chart(Scale::Log, vec![(1.0, 2.0)])]).unwrap();
            assert!(std::fs::read_to_string(path).unwrap().starts_with(begin));
        }
    }

    #[test]
    fn marks_are_round_numbers() {
        assert_eq!([nice(0.3), nice(13.0), nice(2_100.0)], [0.5, 20.0, 5_000.0]);
        assert_eq!([number(2e6), number(50_000.0), number(0.1)], ["2M", "50k", "0.1"]);
    }
}
