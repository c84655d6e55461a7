//! Medians and ratios of figures that may be missing. A missing figure is left out, never taken as zero.

/// Median, least and most of what is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// How many.
    pub count: usize,
}

impl Spread {
    /// Of figures; `None` when none is there.
    pub fn of(figures: &[Option<f64>]) -> Option<Self> {
        let mut present: Vec<f64> = figures.iter().copied().flatten().collect();
        present.sort_by(f64::total_cmp);
        let (min, max, count) = (*present.first()?, *present.last()?, present.len());
        let upper = *present.get(count / 2)?;
        let lower = if count % 2 == 1 { upper } else { *present.get(count / 2 - 1)? };
        Some(Self { median: f64::midpoint(lower, upper), min, max, count })
    }
}

/// One by the other, round by round.
pub fn ratios(ours: &[Option<f64>], other: &[Option<f64>]) -> Vec<Option<f64>> {
    ours.iter()
        .zip(other)
        .map(|(ours, other)| Some(ours.as_ref()? / other.filter(|other| *other > 0.0)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_odd_and_even() {
        assert_eq!(Spread::of(&[Some(3.0), Some(1.0), Some(2.0)]).unwrap().median, 2.0);
        let even = Spread::of(&[Some(4.0), Some(1.0), None]).unwrap();
        assert_eq!(even, Spread { median: 2.5, min: 1.0, max: 4.0, count: 2 });
        assert_eq!(Spread::of(&[None]), None);
    }

    #[test]
    fn ratios_of_neighbours() {
        let ratios = ratios(&[Some(3.0), None, Some(1.0)], &[Some(2.0), Some(2.0), Some(0.0)]);
        assert_eq!(ratios, [Some(1.5), None, None]);
    }
}
