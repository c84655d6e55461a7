//! What must hold of a soak, in numbers: each rule has a value, a bound and a reason, and is met or not.

use serde_json::{Value, json};

/// A rule and what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What must hold.
    pub rule: String,
    /// What was found.
    pub value: f64,
    /// The most that is good, or the least.
    pub bound: f64,
    /// Whether it holds.
    pub met: bool,
    /// Of value and bound.
    pub unit: &'static str,
}

impl Rule {
    /// The value must not be more than the bound.
    pub fn at_most(rule: &str, value: f64, bound: f64, unit: &'static str) -> Self {
        Self { rule: rule.into(), value, bound, met: value <= bound, unit }
    }

    /// The value must not be less than the bound.
    pub fn at_least(rule: &str, value: f64, bound: f64, unit: &'static str) -> Self {
        Self { rule: rule.into(), value, bound, met: value >= bound, unit }
    }

    /// By name.
    pub fn to_json(&self) -> Value {
        json!({ "rule": self.rule, "value": self.value, "bound": self.bound, "met": self.met, "unit": self.unit })
    }

    /// One line for people.
    pub fn to_text(&self) -> String {
        let sign = if self.met { "met    " } else { "NOT MET" };
        format!("{sign}  {}: {:.2} (bound {:.2}) {}", self.rule, self.value, self.bound, self.unit)
    }
}

/// The slope of a curve by Theil and Sen: the median of the slopes between all pairs of points. A spike moves it little,
/// a steady rise moves it fully. `None` with fewer than two points.
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let mut slopes = Vec::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let later = points.iter().skip(at + 1).filter(|(later, _)| later > x);
        slopes.extend(later.map(|(later, value)| (value - y) / (later - x)));
    }
    median(slopes)
}

/// The middle of the values.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = if values.len() % 2 == 1 { upper } else { *values.get(values.len() / 2 - 1)? };
    Some(f64::midpoint(lower, upper))
}

/// A straight line through points by least squares: (value at 0, slope, largest distance of a point from it).
pub fn line(points: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (along, spread) = points.iter().fold((0.0, 0.0), |(along, spread), (x, y)| {
        (along + (x - mean_x) * (y - mean_y), spread + (x - mean_x) * (x - mean_x))
    });
    if points.len() < 2 || spread <= 0.0 {
        return None;
    }
    let slope = along / spread;
    let start = mean_y - slope * mean_x;
    let worst = points.iter().map(|(x, y)| (y - start - slope * x).abs()).fold(0.0, f64::max);
    Some((start, slope, worst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_that_of_the_curve_and_not_of_its_spikes() {
        let flat: Vec<(f64, f64)> =
            (0..200).map(|at| (f64::from(at), if at % 12 == 0 { 900.0 } else { 100.0 })).collect();
        assert_eq!(slope(&flat), Some(0.0));
        let leak: Vec<(f64, f64)> = flat.iter().map(|(x, y)| (*x, y + 2.0 * x)).collect();
        assert!((slope(&leak).unwrap() - 2.0).abs() < 0.01);
        let fall: Vec<(f64, f64)> = (0..50).map(|at| (f64::from(at), -3.0 * f64::from(at))).collect();
        assert_eq!(slope(&fall), Some(-3.0));
        assert_eq!(slope(&[(1.0, 1.0)]), None);
        assert_eq!(slope(&[(1.0, 1.0), (1.0, 5.0)]), None);
    }

    #[test]
    fn the_middle_of_odd_and_even_and_none() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_line_tells_how_far_the_points_are_from_it() {
        let (start, slope, worst) = line(&[(0.0, 5.0), (10.0, 25.0), (20.0, 45.0)]).unwrap();
        assert!((start - 5.0).abs() < 1e-9 && (slope - 2.0).abs() < 1e-9 && worst < 1e-9);
        let (_, _, worst) = line(&[(0.0, 0.0), (1.0, 3.0), (2.0, 0.0)]).unwrap();
        assert!((worst - 2.0).abs() < 1e-9);
        assert_eq!(line(&[(1.0, 2.0)]), None);
        assert_eq!(line(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }

    #[test]
    fn bounds_are_kept_from_their_side() {
        assert!(Rule::at_most("r", 1.0, 1.0, "").met && !Rule::at_most("r", 1.1, 1.0, "").met);
        assert!(Rule::at_least("r", 1.0, 1.0, "").met && !Rule::at_least("r", 0.9, 1.0, "").met);
        assert!(!Rule::at_most("r", f64::NAN, 1.0, "").met, "what is not known is not met");
    }
}
