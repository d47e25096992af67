//! How often and in which order: [trials].

use super::field::{Field, Words};
use super::section::Section;
use super::to_blame;
use crate::scenario::findings::Findings;
use crate::scenario::spec::{OnDisturbed, Trials};
use crate::units::parse_percent;

const PAIRS_ALLOWED: std::ops::RangeInclusive<u32> = 1..=200;

/// Order of the arms within a block: there is only one that is fair.
const ORDER: Words<()> = Words {
    allowed: &["random-pairs"],
    planned: &[],
    from_word: |word| (word == "random-pairs").then_some(()),
};

const ON_DISTURBED: Words<OnDisturbed> =
    Words { allowed: OnDisturbed::WORDS, planned: &[], from_word: OnDisturbed::from_word };

/// Reads [trials].
pub(super) fn read(root: &mut Section<'_>, findings: &mut Findings) -> Trials {
    let mut trials = Trials {
        pairs_min: 8,
        pairs_max: 20,
        precision: 0.10,
        precision_required: false,
        aa: true,
        on_disturbed: OnDisturbed::default(),
    };
    let Some(mut section) = root.take("trials").and_then(|field| field.section(findings)) else {
        return trials;
    };
    if let Some(field) = section.take("order") {
        field.word(&ORDER, findings);
    }
    if let Some(field) = section.take("pairs") {
        pairs(&field, &mut trials, findings);
    }
    if let Some(precision) = section.take("precision").and_then(|field| precision(&field, findings))
    {
        (trials.precision, trials.precision_required) = (precision, true);
    }
    if let Some(aa) = section.take("aa").and_then(|field| field.flag(findings)) {
        trials.aa = aa;
    }
    let on_disturbed = section.take("on_disturbed");
    if let Some(policy) = on_disturbed.and_then(|field| field.word(&ON_DISTURBED, findings)) {
        trials.on_disturbed = policy;
    }
    section.finish(findings);
    trials
}

/// If only one bound was typed, the default of the other gives way to it.
fn pairs(field: &Field<'_>, trials: &mut Trials, findings: &mut Findings) {
    let Some(mut section) = field.section(findings) else { return };
    let (min_field, max_field) = (section.take("min"), section.take("max"));
    section.finish(findings);
    let mut read = |field: &Option<Field<'_>>| {
        field.as_ref().and_then(|field| field.count32(PAIRS_ALLOWED, findings))
    };
    match (read(&min_field), read(&max_field)) {
        (None, None) => {}
        (Some(min), None) => {
            (trials.pairs_min, trials.pairs_max) = (min, trials.pairs_max.max(min))
        }
        (None, Some(max)) => {
            (trials.pairs_min, trials.pairs_max) = (trials.pairs_min.min(max), max)
        }
        (Some(min), Some(max)) => (trials.pairs_min, trials.pairs_max) = (min, max),
    }
    if trials.pairs_min > trials.pairs_max
        && let Some(place) =
            [min_field, max_field].iter().flatten().map(|field| field.place).reduce(to_blame)
    {
        let (min, max) = (trials.pairs_min, trials.pairs_max);
        findings.wrong(place, format!("trials.pairs.min is {min}, above max, which is {max}"), "");
    }
}

fn precision(field: &Field<'_>, findings: &mut Findings) -> Option<f64> {
    let wanted = "a percentage";
    let typed = match field.value {
        crate::scenario::raw::Value::Integer(number) => number.to_string(),
        crate::scenario::raw::Value::Float(number) => number.to_string(),
        _ => field.text(findings)?.to_owned(),
    };
    match parse_percent(&typed) {
        Err(why) => field.unreadable(&typed, wanted, &why, findings),
        Ok(fraction) if fraction > 0.0 && fraction < 1.0 => Some(fraction),
        Ok(fraction) => {
            let (name, percent) = (&field.name, fraction * 100.0);
            let message = format!("{name} is {percent}%; allowed: above 0%, below 100%");
            findings.wrong(field.place, message, "write \"5%\"");
            None
        }
    }
}
