//! Medians and ratios of figures that may be missing. A missing figure is left out, never taken as zero.

/// The middle of what is there.
pub fn median(figures: &[Option<f64>]) -> Option<f64> {
    let mut present: Vec<f64> = figures.iter().copied().flatten().collect();
    present.sort_by(f64::total_cmp);
    let upper = *present.get(present.len() / 2)?;
    if present.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *present.get(present.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
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
        assert_eq!(median(&[Some(3.0), Some(1.0), Some(2.0)]), Some(2.0));
        assert_eq!(median(&[Some(4.0), Some(1.0), None]), Some(2.5));
        assert_eq!(median(&[None]), None);
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn ratios_of_neighbours() {
        let ratios = ratios(&[Some(3.0), None, Some(1.0)], &[Some(2.0), Some(2.0), Some(0.0)]);
        assert_eq!(ratios, [Some(1.5), None, None]);
    }
}
