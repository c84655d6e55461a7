//! A histogram over time as a picture: a column for each interval, a row for each band, the darker the more.

use std::fmt::Write;

use super::{Axis, Figure, HEIGHT, MARGIN, Scale, WIDTH, grid, text};

/// Shades, and from which share of its column a cell has them.
const SHADES: [(f64, &str, &str); 6] = [
    (0.1, "#08306b", "10 % and more"),
    (0.01, "#2171b5", "1 %"),
    (0.001, "#6baed6", "0.1 %"),
    (0.000_1, "#9ecae1", "0.01 %"),
    (0.000_01, "#c6dbef", "0.001 %"),
    (0.0, "#e6eff8", "fewer"),
];

/// How much of what there was in an interval fell into which band.
#[derive(Clone, Debug)]
pub struct HeatMap {
    /// Above it.
    pub title: String,
    /// Label of the horizontal axis, which is even.
    pub x: String,
    /// Label of the vertical axis, which goes by powers of ten.
    pub y: String,
    /// Where each band begins and ends, from below.
    pub bands: Vec<(f64, f64)>,
    /// Where each column begins and ends, and how many fell into each band.
    pub columns: Vec<((f64, f64), Vec<u64>)>,
}

impl HeatMap {
    /// Cells with something in them: column, band, share of the column.
    fn cells(&self) -> impl Iterator<Item = ((f64, f64), (f64, f64), f64)> + Clone {
        self.columns.iter().flat_map(|(column, counts)| {
            let all = counts.iter().sum::<u64>().max(1) as f64;
            let filled = self.bands.iter().zip(counts).filter(|(_, count)| **count > 0);
            filled.map(move |(band, count)| (*column, *band, *count as f64 / all))
        })
    }
}

impl Figure for HeatMap {
    fn draw(&self, out: &mut String) {
        let (left, right, top, bottom) = MARGIN;
        let ends = self.columns.iter().map(|((_, end), _)| *end);
        let x = Axis::new(Scale::Linear, ends, left, WIDTH - right);
        let heights = self.cells().flat_map(|(_, (low, high), _)| [low, high]);
        let y = Axis::new(Scale::Log, heights, HEIGHT - bottom, top);
        text(out, (left, top - 16.0), "start", &self.title);
        text(out, ((left + WIDTH - right) / 2.0, HEIGHT - 12.0), "middle", &self.x);
        text(out, (6.0, top - 16.0), "start", &self.y);
        for (row, (least, colour, name)) in SHADES.iter().enumerate() {
            let most =
                row.checked_sub(1).and_then(|above| SHADES.get(above)).map_or(f64::INFINITY, |above| above.0);
            let mut path = String::new();
            for ((from, to), (low, high), _) in self.cells().filter(|cell| cell.2 >= *least && cell.2 < most)
            {
                let (from, to, low, high) = (x.place(from), x.place(to), y.place(low), y.place(high));
                let _ = write!(path, "M{from:.1} {high:.1}H{to:.1}V{low:.1}H{from:.1}z");
            }
            if !path.is_empty() {
                let _ = writeln!(out, "<path fill=\"{colour}\" d=\"{path}\"/>");
            }
            let at = top + 14.0 + 18.0 * row as f64;
            let beside = WIDTH - right + 12.0;
            let _ = writeln!(
                out,
                "<rect x=\"{beside}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>",
                at - 9.0
            );
            text(out, (beside + 15.0, at), "start", name);
        }
        grid(out, &x, &y);
    }
}

#[cfg(test)]
mod tests {
    use super::super::svg;
    use super::*;

    fn map(columns: Vec<((f64, f64), Vec<u64>)>) -> HeatMap {
        HeatMap {
            title: "latency".into(),
            x: "minutes".into(),
            y: "ms".into(),
            bands: vec![(0.1, 1.0), (1.0, 10.0)],
            columns,
        }
    }

    #[test]
    fn each_share_has_its_shade_and_nothing_has_none() {
        let picture = svg(&[map(vec![((0.0, 1.0), vec![999, 1]), ((1.0, 2.0), vec![0, 7])])]);
        let shades = |colour: &str| picture.matches(&format!("<path fill=\"{colour}\"")).count();
        assert_eq!((shades("#08306b"), shades("#6baed6"), shades("#2171b5")), (1, 1, 0));
        // Two cells in the darkest shade.
        let darkest = picture.lines().find(|line| line.starts_with("<path fill=\"#08306b\"")).unwrap();
        assert_eq!(darkest.matches('M').count(), 2);
    }

    #[test]
    fn nothing_is_a_picture_too() {
        for columns in [vec![], vec![((0.0, 1.0), vec![0, 0])]] {
            let picture = svg(&[map(columns)]);
            assert!(
                !picture.contains("NaN") && !picture.contains("inf") && !picture.contains("<path"),
                "{picture}"
            );
        }
    }
}
