//! OpenMetrics text 1.0, for what reads Prometheus's formats: base units, one family per measure with the value and its interval,
//! latencies as cumulative histograms, and when the run began as the time of every sample.
//!
//! Written by hand: the text encoder of prometheus-client (0.26) puts no time at a sample and knows no state sets, and without
//! times nothing that ran earlier can be filled in. What is needed of the format is a name, labels, a number and a time.
//!
//! A histogram adds up the trials that count, which no verdict does. What has no number is not there; `kvbench_withheld` says
//! of it why.

use super::{Caveat, FormatError, Judged, cells, line, load, names, started};
use crate::compare::{self, ArmValue, Measured, Verdict, Withheld, fitness, measured};
use crate::record::Run;
use crate::record::distribution::Distribution;
use crate::report::story;
use crate::report::words::plain;
use crate::units::Unit;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Decades of the histogram's bounds, as powers of ten of ns: 1, 2 and 5 of each, from 1 µs to 50 s.
const DECADES: std::ops::Range<u32> = 3..11;
/// The power of ten of ns that is a second.
const SECOND: u32 = 9;
/// Nanoseconds in a second.
const NS_PER_S: f64 = 1e9;

/// All runs. Samples of one family stand together, whichever run they are of.
pub fn render(inputs: &[Judged<'_>]) -> Result<String, FormatError> {
    let mut families = Families::default();
    for (one, name) in inputs.iter().zip(names(inputs)) {
        Writer { run: one.run, name, time: started(one.run).map(|time| time.timestamp()) }
            .write(one, &mut families)?;
    }
    Ok(families.text())
}

/// Everything of one name.
struct Family {
    name: String,
    kind: &'static str,
    unit: &'static str,
    help: String,
    /// Names with labels that have a sample.
    series: BTreeSet<String>,
    samples: Vec<String>,
}

/// In the order in which they first appeared.
#[derive(Default)]
struct Families(Vec<Family>);

impl Families {
    fn family(
        &mut self,
        name: &str,
        kind: &'static str,
        unit: &'static str,
        help: &str,
    ) -> &mut Family {
        let place = self.0.iter().position(|family| family.name == name).unwrap_or_else(|| {
            let (name, help) = (name.to_owned(), help.to_owned());
            self.0.push(Family {
                name,
                kind,
                unit,
                help,
                series: BTreeSet::new(),
                samples: Vec::new(),
            });
            self.0.len() - 1
        });
        &mut self.0[place]
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for Family { name, kind, unit, help, samples, .. } in &self.0 {
            line(&mut out, format_args!("# TYPE {name} {kind}"));
            if !unit.is_empty() {
                line(&mut out, format_args!("# UNIT {name} {unit}"));
            }
            line(&mut out, format_args!("# HELP {name} {}", escaped(help)));
            samples.iter().for_each(|sample| line(&mut out, format_args!("{sample}")));
        }
        out.push_str("# EOF\n");
        out
    }
}

impl Family {
    /// Adds a sample; `suffix` is of its kind, as `_bucket` of a histogram. Of two with the same labels the first stands: names
    /// are different in every scenario that was checked, but a record may claim anything.
    fn sample(&mut self, suffix: &str, labels: &[(&str, String)], value: &str, time: Option<i64>) {
        let labels = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
        let labels = labels.collect::<Vec<_>>().join(",");
        let series = format!("{}{suffix}{{{labels}}}", self.name);
        if !self.series.insert(series.clone()) {
            return;
        }
        let mut sample = format!("{series} {value}");
        if let Some(time) = time {
            write!(sample, " {time}").expect("a string takes every sample");
        }
        self.samples.push(sample);
    }
}

/// Text within quotes, or of a comment.
fn escaped(text: &str) -> String {
    plain(text).replace('\\', "\\\\").replace('"', "\\\"")
}

/// Puts one run into the families.
struct Writer<'a> {
    run: &'a Run,
    /// Its name among all runs.
    name: String,
    /// When it began, seconds since 1970.
    time: Option<i64>,
}

impl Writer<'_> {
    fn write(&self, one: &Judged<'_>, families: &mut Families) -> Result<(), FormatError> {
        self.about(families);
        self.verdicts(one, families);
        for measured in measured(self.run) {
            match &measured.value {
                Ok(value) => self.measure(&measured, value, families),
                Err(why) => self.withheld(&measured, *why, families),
            }
            if measured.measure == "mean" && measured.op.is_none() {
                self.histogram(&measured, families)?;
            }
        }
        Ok(())
    }

    fn scenario(&self) -> (&'static str, String) {
        ("scenario", self.name.clone())
    }

    /// What ran where, and what stands in the way of trusting it.
    fn about(&self, families: &mut Families) {
        let (run, host) = (self.run, &self.run.host);
        let labels = [
            self.scenario(),
            ("revision", run.build.revision.clone()),
            ("version", run.kvbench_version.clone()),
            ("method", run.method.to_string()),
            ("machine_key", host.details.machine_key.clone()),
            ("grade", fitness::grade(run).letter.to_string()),
            ("cpu", host.cpu.clone()),
            ("cores", host.cores.to_string()),
            ("kernel", host.kernel.clone()),
            ("filesystem", host.filesystem.clone()),
        ];
        let help = "What ran, and where.";
        families.family("kvbench_run", "info", "", help).sample("_info", &labels, "1", self.time);

        let help = "What stands in the way of trusting the run.";
        let holding = Caveat::of(run);
        let family = families.family("kvbench_caveat", "stateset", "", help);
        for caveat in Caveat::ALL {
            let labels = [self.scenario(), ("kvbench_caveat", caveat.word().to_owned())];
            family.sample("", &labels, flag(holding.contains(&caveat)), self.time);
        }
        let (disturbed, blocks) = compare::disturbed(run);
        for (state, n) in [("disturbed", disturbed.len()), ("quiet", blocks - disturbed.len())] {
            let help = "Blocks by what the host did meanwhile; none of a record that did not look.";
            let labels = [self.scenario(), ("state", state.to_owned())];
            let family = families.family("kvbench_blocks", "gauge", "", help);
            family.sample("", &labels, &n.to_string(), self.time);
        }
    }

    /// Targets and checks.
    fn verdicts(&self, one: &Judged<'_>, families: &mut Families) {
        for verdict in &one.comparison.verdicts {
            let target = || {
                [
                    self.scenario(),
                    ("target", verdict.target.id.clone()),
                    ("metric", verdict.target.metric.clone()),
                ]
            };
            let help = "What was answered to a target.";
            let family = families.family("kvbench_target", "stateset", "", help);
            for state in [Verdict::Met, Verdict::Missed, Verdict::Inconclusive] {
                let word = story::verdict_word(state).to_owned();
                let labels: Vec<_> =
                    target().into_iter().chain([("kvbench_target", word)]).collect();
                family.sample("", &labels, flag(verdict.verdict == state), self.time);
            }
            let known = |estimate: &compare::Estimate| estimate.pairs > 0;
            if let Some(estimate) = verdict.estimate.filter(known) {
                let help = "After over before, with its 95 % interval.";
                let family = families.family("kvbench_target_ratio", "gauge", "ratio", help);
                for (word, value) in estimates(estimate.ratio, estimate.interval) {
                    let labels: Vec<_> =
                        target().into_iter().chain([("estimate", word.to_owned())]).collect();
                    family.sample("", &labels, &value.to_string(), self.time);
                }
            }
        }
        for check in &self.run.checks {
            let help = "Whether answers were right.";
            let labels = [self.scenario(), ("check", check.id.clone())];
            let family = families.family("kvbench_check_passed", "gauge", "", help);
            family.sample("", &labels, flag(check.passed), self.time);
        }
    }

    /// Arm and place.
    fn labels(&self, measured: &Measured<'_>) -> Vec<(&'static str, String)> {
        let mut labels = vec![
            self.scenario(),
            ("arm", measured.arm.to_owned()),
            ("phase", measured.phase.to_owned()),
            ("load", load(measured).to_owned()),
            ("clients", measured.clients.to_string()),
        ];
        labels.extend(measured.op.map(|op| ("op", op.to_owned())));
        labels
    }

    fn measure(&self, measured: &Measured<'_>, value: &ArmValue, families: &mut Families) {
        let Shape { name, unit, scale } = Shape::of(measured);
        let help = format!(
            "Hodges-Lehmann location over trials, with its 95 % interval; see kvbench explain {}.",
            measured.measure
        );
        let family = families.family(&name, "gauge", unit, &help);
        for (word, value) in estimates(value.value, value.interval) {
            let mut labels = self.labels(measured);
            labels.push(("estimate", word.to_owned()));
            family.sample("", &labels, &(value / scale).to_string(), self.time);
        }
    }

    fn withheld(&self, measured: &Measured<'_>, why: Withheld, families: &mut Families) {
        let help = "Measures that are no number, and why.";
        let mut labels = self.labels(measured);
        labels.extend([
            ("measure", measured.measure.to_owned()),
            ("status", why.word().to_owned()),
            ("why", why.to_string()),
        ]);
        families.family("kvbench_withheld", "gauge", "", help).sample("", &labels, "1", self.time);
    }

    fn histogram(&self, mean: &Measured<'_>, families: &mut Families) -> Result<(), FormatError> {
        let cells = cells(self.run, mean);
        let all = Distribution::of(cells.into_iter().map(|cell| cell.latency()))?;
        let Some(all) = all else { return Ok(()) };
        let help = "Latencies of all trials that count; from the intended send time where the load is open.";
        let family = families.family("kvbench_latency_seconds", "histogram", "seconds", help);
        let (bounds_ns, words): (Vec<u64>, Vec<String>) = bounds().into_iter().unzip();
        for (word, count) in words.into_iter().zip(all.at_most(&bounds_ns)) {
            let mut labels = self.labels(mean);
            labels.push(("le", word));
            family.sample("_bucket", &labels, &count.to_string(), self.time);
        }
        let mut labels = self.labels(mean);
        labels.push(("le", "+Inf".to_owned()));
        let count = all.count().to_string();
        family.sample("_bucket", &labels, &count, self.time);
        let labels = self.labels(mean);
        family.sample("_sum", &labels, &(all.sum_ns() / NS_PER_S).to_string(), self.time);
        family.sample("_count", &labels, &count, self.time);
        Ok(())
    }
}

/// Each bound in ns, and in seconds as the format writes such numbers: `5e-06`, `0.001`, `2.0`.
fn bounds() -> Vec<(u64, String)> {
    let bound = |digit: u64, decade: u32| {
        let ns = digit * 10u64.pow(decade);
        let seconds = match SECOND.saturating_sub(decade) {
            small @ 5.. => format!("{digit}e-{small:02}"),
            _ => format!("{:?}", ns as f64 / NS_PER_S),
        };
        (ns, seconds)
    };
    DECADES.flat_map(|decade| [1, 2, 5].map(|digit| bound(digit, decade))).collect()
}

fn flag(holds: bool) -> &'static str {
    if holds { "1" } else { "0" }
}

/// A value and the ends of its interval, if it has one.
fn estimates(value: f64, interval: Option<(f64, f64)>) -> Vec<(&'static str, f64)> {
    let ends = interval.map(|(lower, upper)| [("lower", lower), ("upper", upper)]);
    [("location", value)].into_iter().chain(ends.into_iter().flatten()).collect()
}

/// How a measure is called, in which base unit, and what its values are divided by for that.
struct Shape {
    name: String,
    unit: &'static str,
    scale: f64,
}

impl Shape {
    fn of(measured: &Measured<'_>) -> Shape {
        let latency = ["mean", "p50", "p90", "p99", "p999", "max"];
        let of = if latency.contains(&measured.measure) { "latency_" } else { "" };
        let (unit, scale) = match measured.unit {
            Unit::PerSecond => ("per_second", 1.0),
            Unit::Time => ("seconds", NS_PER_S),
            Unit::Share => ("ratio", 1.0),
            Unit::Bytes => ("bytes", 1.0),
            Unit::Count => ("", 1.0),
        };
        let suffix = if unit.is_empty() { String::new() } else { format!("_{unit}") };
        Shape { name: format!("kvbench_{of}{}{suffix}", measured.measure), unit, scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Comparison;
    use crate::record::Warning;
    use crate::report::formats::tests::in_state;
    use crate::report::sample;
    use std::collections::BTreeMap;

    /// One sample: name, labels, value, time.
    type Sample = (String, BTreeMap<String, String>, f64, Option<i64>);

    fn read((run, comparison): &(Run, Comparison)) -> Vec<Sample> {
        parse(&render(&[Judged { run, comparison }]).unwrap())
    }

    /// Reads the text by the rules of the format: families stand together, a sample belongs to the last `# TYPE`, no sample twice.
    fn parse(text: &str) -> Vec<Sample> {
        let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
        let (mut samples, mut types, mut seen): (Vec<Sample>, BTreeMap<&str, &str>, BTreeSet<_>) =
            Default::default();
        let mut family = "";
        for line in body.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let (keyword, rest) = comment.split_once(' ').unwrap();
                let (name, rest) = rest.split_once(' ').unwrap();
                match keyword {
                    "TYPE" => {
                        assert!(types.insert(name, rest).is_none(), "{name} is split");
                        family = name;
                    }
                    "UNIT" => assert!(name == family && name.ends_with(&format!("_{rest}"))),
                    "HELP" => assert_eq!(name, family),
                    other => panic!("{other}"),
                }
                continue;
            }
            let sample = sample(line);
            let suffix = sample.0.strip_prefix(family).expect("it is of the family");
            let allowed: &[&str] = match types[family] {
                "gauge" | "stateset" => &[""],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_sum", "_count"],
                other => panic!("{other}"),
            };
            assert!(allowed.contains(&suffix), "{line}");
            assert!(seen.insert((sample.0.clone(), sample.1.clone())), "twice: {line}");
            samples.push(sample);
        }
        samples
    }

    fn sample(line: &str) -> Sample {
        let (name, rest) = line.split_once('{').unwrap();
        let (mut labels, mut rest) = (BTreeMap::new(), rest);
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            let mut value = String::new();
            let mut letters = after.char_indices();
            let end = loop {
                match letters.next().expect("the value ends") {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match letters.next().unwrap().1 {
                        'n' => '\n',
                        escaped @ ('\\' | '"') => escaped,
                        other => panic!("\\{other}"),
                    }),
                    (_, letter) => value.push(letter),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        let fields: Vec<&str> = rest.strip_prefix("} ").unwrap().split(' ').collect();
        let time = fields.get(1).map(|time| time.parse().unwrap());
        assert!(fields.len() <= 2, "{line}");
        (name.to_owned(), labels, fields[0].parse().unwrap(), time)
    }

    fn find<'s>(samples: &'s [Sample], name: &str, wanted: &[(&str, &str)]) -> Vec<&'s Sample> {
        let fits = |labels: &BTreeMap<String, String>| {
            wanted.iter().all(|(label, value)| labels.get(*label).is_some_and(|v| v == value))
        };
        samples.iter().filter(|sample| sample.0 == name && fits(&sample.1)).collect()
    }

    const AFTER: [(&str, &str); 3] = [("arm", "after"), ("clients", "50"), ("phase", "saturate")];

    #[test]
    fn values_are_in_base_units_at_the_time_of_the_run() {
        let samples = read(&in_state(sample::sample));
        let p50 = find(&samples, "kvbench_latency_p50_seconds", &AFTER);
        let words: Vec<&str> = p50.iter().map(|sample| sample.1["estimate"].as_str()).collect();
        assert_eq!(words, ["location", "lower", "upper"]);
        assert!((p50[0].2 / 0.00058 - 1.0).abs() < 0.05, "{p50:?}");
        assert!(samples.iter().all(|sample| sample.3 == Some(1_793_715_120)));
        let ratio = find(&samples, "kvbench_target_ratio", &[("target", "10x")]);
        assert!(ratio.len() == 3 && (ratio[0].2 - 18.28).abs() < 0.1, "{ratio:?}");
        let met = find(&samples, "kvbench_target", &[("kvbench_target", "met")]);
        assert!(met.len() == 2 && met.iter().all(|sample| (sample.2 - 1.0).abs() < 1e-9));
    }

    #[test]
    fn a_histogram_is_cumulative_and_ends_with_all_of_it() {
        let run = in_state(sample::sample);
        let samples = read(&run);
        let buckets = find(&samples, "kvbench_latency_seconds_bucket", &AFTER);
        assert_eq!(buckets.len(), 25);
        assert!(buckets.windows(2).all(|two| two[0].2 <= two[1].2));
        let count = find(&samples, "kvbench_latency_seconds_count", &AFTER)[0].2;
        assert!((count - 24_000.0).abs() < 0.5, "twelve trials of two thousand: {count}");
        assert!((buckets[24].2 - count).abs() < 0.5 && buckets[24].1["le"] == "+Inf");
        let sum = find(&samples, "kvbench_latency_seconds_sum", &AFTER)[0].2;
        assert!((sum / count / 0.00061 - 1.0).abs() < 0.05, "{sum}");
    }

    #[test]
    fn bounds_are_written_as_the_format_has_them() {
        let words: Vec<String> = bounds().into_iter().map(|(_, word)| word).collect();
        assert_eq!(words[..4], ["1e-06", "2e-06", "5e-06", "1e-05"]);
        assert_eq!(words[6..10], ["0.0001", "0.0002", "0.0005", "0.001"]);
        assert_eq!(words[21..], ["10.0", "20.0", "50.0"]);
    }

    #[test]
    fn what_is_invalid_is_withheld_with_its_reason() {
        let mut run = in_state(sample::sample);
        let (arm, cell) = ("after".to_owned(), "saturate@50".to_owned());
        run.0.warnings.push(Warning::LoadGeneratorBusy { arm, cell, share: 0.9 });
        let samples = read(&run);
        let of_arm = samples.iter().filter(|sample| {
            AFTER.iter().all(|(label, value)| sample.1.get(*label).is_some_and(|v| v == value))
        });
        let names: BTreeSet<&str> = of_arm.map(|sample| sample.0.as_str()).collect();
        assert_eq!(names, BTreeSet::from(["kvbench_withheld"]));
        let why = &find(&samples, "kvbench_withheld", &AFTER)[0].1;
        assert_eq!((why["status"].as_str(), why["measure"].as_str()), ("invalid", "throughput"));
    }

    #[test]
    fn hostile_names_stay_in_their_quotes() {
        let mut run = in_state(sample::hostile);
        run.0.scenario.name = "\\\" x\nkvbench_run_info{} 2".into();
        let samples = read(&run);
        let about = find(&samples, "kvbench_run_info", &[]);
        assert_eq!(about.len(), 1);
        assert_eq!(about[0].1["scenario"], "\\\" x kvbench_run_info{} 2");
        assert_eq!(about[0].3, None, "a time that is none");
    }

    #[test]
    fn families_of_several_runs_stand_together() {
        let (run, comparison) = in_state(sample::sample);
        let one = Judged { run: &run, comparison: &comparison };
        let twice = parse(&render(&[one, one]).unwrap());
        assert_eq!(twice.len(), 2 * read(&(run.clone(), comparison.clone())).len());
        assert!(parse(&render(&[]).unwrap()).is_empty());
    }

    #[test]
    fn a_broken_histogram_is_an_error() {
        let (run, comparison) = sample::sample();
        assert!(render(&[Judged { run: &run, comparison: &comparison }]).is_err());
    }
}
