"""Reads what `kvbench report` writes with readers by other hands, and holds it against the record: read.py KVBENCH BUNDLE…

Each function takes one format of one bundle, or of all of them. A reader that refuses the text, or a number that is not the
record's, ends the script with its reason.
"""

import csv
import io
import json
import math
import subprocess
import sys
from pathlib import Path

import xmlschema
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from junitparser import Error, Failure, JUnitXml, Skipped
from prometheus_client.openmetrics.parser import text_string_to_metric_families

HERE = Path(__file__).parent


def report(kvbench, bundles, *form):
    """What the command prints; its exit code is a verdict and no failure."""
    ran = subprocess.run([kvbench, "report", *map(str, bundles), *form], capture_output=True, text=True)
    assert ran.returncode in (0, 1, 3) and not ran.stderr, f"{form}: exit {ran.returncode}: {ran.stderr}"
    return ran.stdout


def record(bundle):
    """The run file."""
    return json.loads((bundle / "result.json").read_text())


def place(cell):
    """`saturate@50`, or the phase where the load is open."""
    return cell["phase"] if "open" in cell else f"{cell['phase']}@{cell['clients']}"


def latency(cell):
    """What a client waits for: from the intended send time where the load is open."""
    return cell["open"]["response"] if "open" in cell else cell["service"]


# Warnings of a record after which a cell is no number.
INVALID = {"load-generator-busy", "littles-law", "agents-out-of-step", "send-lag"}


def invalid(run):
    """Arms at places whose load was not what it claims to be."""
    return {(w["arm"], w["cell"]) for w in run["warnings"] if w["kind"] in INVALID}


def cells(run, arm, where):
    """All of an arm at a place but A/A trials."""
    trials = [trial for trial in run["trials"] if trial["arm"] == arm and not trial["aa"]]
    return [cell for trial in trials for cell in trial["cells"] if place(cell) == where]


def places(run):
    """Every arm at every place."""
    named = [(trial["arm"], place(cell)) for trial in run["trials"] for cell in trial["cells"]]
    return list(dict.fromkeys(named))


def distribution(latencies):
    """Their histograms added up."""
    total = HdrHistogram(1, 3_600_000_000_000, 3)
    for one in latencies:
        total.decode_and_add(one["histogram"])
    return total


def near(a, b, within=0.005):
    """Whether two numbers are the same but for the width of a histogram's bucket."""
    return math.isclose(a, b, rel_tol=within)


def openmetrics(text, runs):
    """prometheus_client takes the text; values lie within those of trials, and histograms have all observations."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {"kvbench_run", "kvbench_caveat", "kvbench_latency_seconds"} <= families.keys(), families.keys()
    throughput = families["kvbench_throughput_per_second"].samples
    counts = [s for s in families["kvbench_latency_seconds"].samples if s.name.endswith("_count")]
    for run in runs:
        name = run["scenario"]["name"]
        for arm, where in places(run):
            phase, clients = where.split("@") if "@" in where else (where, None)

            def here(sample):
                labels = sample.labels
                same = (labels["scenario"], labels["arm"], labels["phase"]) == (name, arm, phase)
                return same and "op" not in labels and clients in (None, labels["clients"])

            if (arm, where) in invalid(run):
                assert not list(filter(here, throughput + counts)), f"{arm} {where} is invalid"
                continue
            taken = cells(run, arm, where)
            rates = [cell["throughput_per_s"] for cell in taken]
            for sample in filter(here, throughput):
                assert min(rates) <= sample.value <= max(rates), sample
                assert sample.timestamp is not None, sample
            for sample in filter(here, counts):
                assert sample.value == sum(latency(cell)["count"] for cell in taken), sample
    return f"{sum(len(family.samples) for family in families.values())} samples"


def junit(text, runs):
    """The schema holds, and junitparser finds what the command's verdicts are."""
    xmlschema.XMLSchema(str(HERE / "junit.xsd")).validate(io.StringIO(text))
    suites = list(JUnitXml.fromstring(text.encode()))
    assert len(suites) == len(runs)
    for suite, run in zip(suites, runs):
        assert len(list(suite)) == len(run["targets"]) + len(run["checks"]), suite.name
        bad = [case.name for case in suite if any(isinstance(r, (Failure, Error)) for r in case.result)]
        wrong = [check["id"] for check in run["checks"] if not check["passed"]]
        assert set(wrong) <= set(bad), (bad, wrong)
        assert suite.skipped == sum(any(isinstance(r, Skipped) for r in case.result) for case in suite)
    return f"{sum(len(list(suite)) for suite in suites)} cases"


def tidy(text, runs):
    """Every trial's throughput is there once, and is the record's, or is invalid and not there."""
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    whole = [row for row in rows if row["measure"] == "throughput" and row["op"] == "all"]
    found = [float(row["value"]) for row in whole if row["status"] == "ok"]
    taken = [(run, t, c) for run in runs for t in run["trials"] for c in t["cells"]]
    valid = [c["throughput_per_s"] for run, t, c in taken if (t["arm"], place(c)) not in invalid(run)]
    assert len(whole) == len(taken) and sorted(found) == sorted(valid), (len(found), len(valid))
    assert all((row["value"] == "") == (row["status"] != "ok") for row in rows)
    assert any(row["status"] == "withheld" for row in rows), "a short run withholds some tail"
    return f"{len(rows)} rows"


def benchfmt(text, runs):
    """As many lines as there are valid cells of trials, A/A left out, each of pairs of a number and a unit."""
    lines = [line.split() for line in text.splitlines() if line.startswith("Benchmark")]
    whole = [line for line in lines if "/op=" not in line[0]]
    taken = [(run, t, c) for run in runs for t in run["trials"] if not t["aa"] for c in t["cells"]]
    valid = [c for run, t, c in taken if (t["arm"], place(c)) not in invalid(run)]
    assert len(whole) == len(valid), (len(whole), len(valid))
    for line in lines:
        assert len(line) % 2 == 0 and int(line[1]) >= 0, line
        assert all(math.isfinite(float(value)) for value in line[2::2]), line
    return f"{len(lines)} lines"


def services(bmf, bigger, smaller):
    """Values lie within their intervals, and the two lists share no name."""
    metrics = [metric for measures in json.loads(bmf).values() for metric in measures.values()]
    for metric in metrics:
        assert metric.get("lower_value", -math.inf) <= metric["value"] <= metric.get("upper_value", math.inf), metric
    lists = [{entry["name"] for entry in json.loads(text)} for text in (bigger, smaller)]
    assert all(lists) and not lists[0] & lists[1]
    return f"{len(metrics)} metrics, lists of {len(lists[0])} and {len(lists[1])}"


def hgrm(kvbench, bundle, run):
    """Every point is where hdrhistogram finds as many values in the record's histograms."""
    points = 0
    for arm, where in places(run):
        lines = report(kvbench, [bundle], "--hgrm", f"{arm}:{where}").splitlines()
        wanted = distribution(latency(cell) for cell in cells(run, arm, where))
        for line in (line for line in lines[2:] if not line.startswith("#")):
            value, quantile, count = map(float, line.split()[:3])
            reached = count / wanted.get_total_count()
            found = wanted.get_value_at_percentile(reached * 100) / 1e6
            assert near(value, found) and quantile <= reached, f"{arm} {where} {line}: {found}"
            points += 1
            assert (arm, where) not in invalid(run), f"{arm} {where} is invalid"
    return f"{points} points"


def hlog(bundle, run):
    """hdrhistogram reads every cell's histogram back from the interval log, with the record's count, mean and largest."""
    intervals = 0
    for log in bundle.glob("*.hlog"):
        reader = HistogramLogReader(str(log), HdrHistogram(1, 3_600_000_000_000, 3))
        taken = [c for t in run["trials"] if t["arm"] == log.stem for c in t["cells"]]
        for cell in taken:
            found = reader.get_next_interval_histogram()
            service = cell["service"]
            assert found.get_total_count() == service["count"], log
            assert near(found.get_mean_value(), service["mean_ns"]), log
            assert near(found.get_max_value(), service["max_ns"]), log
            intervals += 1
        assert reader.get_next_interval_histogram() is None, log
        reader.close()
    return f"{intervals} intervals"


def main(kvbench, *folders):
    bundles = [Path(folder) for folder in folders]
    runs = [record(bundle) for bundle in bundles]

    def text(*form):
        return report(kvbench, bundles, *form)

    directions = [text("--github-benchmark", way) for way in ("bigger", "smaller")]
    print("openmetrics:", openmetrics(text("--openmetrics"), runs))
    print("junit:", junit(text("--junit"), runs))
    print("csv:", tidy(text("--csv"), runs))
    print("benchfmt:", benchfmt(text("--benchfmt"), runs))
    print("bmf, github-action-benchmark:", services(text("--bmf"), *directions))
    for bundle, run in zip(bundles, runs):
        print(f"{run['scenario']['name']}: hgrm: {hgrm(kvbench, bundle, run)}; hlog: {hlog(bundle, run)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
