//! Many questions at once: which of a family of small p-values may be called findings.
//!
//! Twenty metrics at 5 % each give one false alarm per run. Benjamini & Hochberg 1995, "Controlling the False
//! Discovery Rate", bounds the share of false ones among those called findings.
//!
//! Caveat: the bound holds for tests that are independent or that err together (Benjamini & Yekutieli 2001), as
//! throughput and latency of the same trials do. A family has to be named before its results are seen.

/// Adjusted p-values in the order given: the smallest rate of false discoveries at which each would be a finding.
/// The k-th smallest of n becomes the least of n p / k over itself and all larger ones, at most 1.
/// None if any value is outside 0..=1.
pub fn benjamini_hochberg(p_values: &[f64]) -> Option<Vec<f64>> {
    if !p_values.iter().all(|p| (0.0..=1.0).contains(p)) {
        return None;
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least: f64 = 1.0;
    for (below, &place) in order.iter().enumerate().rev() {
        least = least.min(p_values[place] * p_values.len() as f64 / (below + 1) as f64);
        adjusted[place] = least;
    }
    Some(adjusted)
}

/// Which of the p-values are findings when at most a share `rate` of the findings may be false, on average.
/// None if any value is outside 0..=1.
pub fn discoveries(p_values: &[f64], rate: f64) -> Option<Vec<bool>> {
    Some(benjamini_hochberg(p_values)?.into_iter().map(|adjusted| adjusted <= rate).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Benjamini & Hochberg 1995, section 3.2: treatments of heart attacks; four of 15 are findings at 5 %.
    const HEART: [f64; 15] = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
        0.5719, 0.6528, 0.7590, 1.0,
    ];

    #[test]
    fn four_findings_in_the_paper() {
        let found = discoveries(&HEART, 0.05).unwrap();
        assert_eq!(found.iter().filter(|found| **found).count(), 4);
        assert!(found[..4].iter().all(|found| *found));
    }

    /// scipy: `scipy.stats.false_discovery_control(p)`; the same as R's `p.adjust(p, "BH")`.
    #[test]
    fn adjusted_as_by_scipy() {
        let wanted = [
            0.0015,
            0.003,
            0.0095,
            0.035625,
            0.0603,
            0.06385714285714286,
            0.06385714285714286,
            0.0645,
            0.0765,
            0.486,
            0.5811818181818181,
            0.714875,
            0.7532307692307693,
            0.8132142857142857,
            1.0,
        ];
        let mut shuffled = HEART;
        shuffled.reverse();
        let got = benjamini_hochberg(&shuffled).unwrap();
        for (got, wanted) in got.iter().rev().zip(wanted) {
            assert!((got - wanted).abs() < 1e-12, "{got}, wanted {wanted}");
        }
    }

    #[test]
    fn refuses_what_is_no_chance() {
        assert_eq!(benjamini_hochberg(&[]), Some(vec![]));
        assert_eq!(benjamini_hochberg(&[0.5, 1.1]), None);
        assert_eq!(benjamini_hochberg(&[f64::NAN]), None);
        assert_eq!(discoveries(&[0.01], f64::NAN), Some(vec![false]));
    }
}
