"""Verbs that bring a model into use: `export bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser
from rich import box
from rich.console import Console
from rich.table import Table

from ..errors import ConfigError, InputError
from ..files import plain, write_text
from ..stamps import StampSet
from .verb import NEEDS_TORCH, Verb, bars, check_output_file, tell

if TYPE_CHECKING:
    from ..runtimes.certificate import Certificate

__all__ = ["VERBS", "show_certificate"]

#: Simulated pairs of frames where no stamps are given: some 400 stamps to calibrate on, 1,200 to certify on.
_PAIRS = {"stamps": 25, "held_out": 80, "gate_stamps": 80}
_SEEDS = {"stamps": 9001, "held_out": 9002, "gate_stamps": 9003}
#: Share of the stamps that go on, above which the user is told that a gate saves next to nothing.
_USELESS = 0.95


def _export_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("model", type=str, help="folder of a model or an ensemble; for a bundle also an .onnx file")
    add("-o", "--out", type=str, required=True,
        help=".onnx file to write; for an ensemble, or with --runtime or --precision a bundle, a folder")  # fmt: skip
    add("--runtime", type=str, default=None, help="write a bundle for onnx or openvino (default of a bundle: openvino)")
    add("--precision", type=str, default=None, help="of a bundle: f32, bf16 or int8 (default of a bundle: f32)")
    add("--stamps", type=str, default=None, metavar="STAMPS",
        help="stamps of the survey to calibrate int8 on, and int8 alone; simulated ones where absent")  # fmt: skip
    add("--held-out", type=str, default=None, metavar="STAMPS",
        help="labelled stamps for the certificate, none of those trained on; simulated ones where absent")  # fmt: skip
    add("--gate", type=str, default=None, metavar="MODEL",
        help="a quick model before the slow ones of a bundle, as `distil` makes it: what it takes for surely bogus "
        "they need not see")  # fmt: skip
    add("--gate-stamps", type=str, default=None, metavar="STAMPS",
        help="stamps of the survey to choose the gate's cut on, neither trained on nor held out; simulated ones where "
        "absent")  # fmt: skip


def _export(options: Any, console: Console, errors: Console) -> None:
    if options.runtime is None and options.precision is None:
        if options.stamps or options.held_out or options.gate or options.gate_stamps:
            raise ConfigError(
                "--stamps, --held-out and --gate belong to a bundle: name its --runtime or --precision as well"
            )
        _export_files(options, console)
        return
    runtime, precision = options.runtime or "openvino", options.precision or "f32"
    if options.stamps is not None and precision != "int8":
        raise ConfigError(
            f"--stamps calibrates int8, and this bundle is {precision}: leave it out, or --precision int8"
        )
    if options.gate_stamps is not None and options.gate is None:
        raise ConfigError("--gate-stamps are for a gate: name it with --gate, or leave them out")
    out = Path(options.out)
    if out.suffix in (".onnx", ".xml"):
        raise ConfigError(f"{out} names a file, and a bundle is a folder: leave out the ending {out.suffix}")
    try:
        from ..runtimes.bundle_files import check_bundle_place
        from ..runtimes.export_bundle import export_bundle
        from ..runtimes.runtime import resolve_runtime
    except ImportError as error:
        raise ConfigError(NEEDS_TORCH) from error
    from .learning import open_classifier

    resolve_runtime(runtime, precision)
    check_bundle_place(out)  # now, not after minutes
    model = open_classifier(options.model)
    gate = None if options.gate is None else open_classifier(options.gate)
    wanted = ["held_out", *(["stamps"] if precision == "int8" else []), *(["gate_stamps"] if gate is not None else [])]
    # what is given is opened before anything is simulated: a mistyped name must not cost minutes
    given = {what: StampSet.load(options[what]) for what in wanted if options[what] is not None}
    sets = {what: given[what] if what in given else _simulated(what, errors) for what in wanted}
    bundle = export_bundle(
        model, out, held_out=sets["held_out"], runtime=runtime, precision=precision, stamps=sets.get("stamps"),
        gate=gate, gate_stamps=sets.get("gate_stamps"),
    )  # fmt: skip
    if bundle.gate is not None:
        tell(
            console,
            f"gate: what {bundle.gate.node.card.name} scores below {bundle.gate.cut:.3g} keeps its score, "
            f"{bundle.gate.passed:.1%} of the held-out stamps go on to {model.card.name}"
            + (": the gate saves next to nothing, leave it out" if bundle.gate.passed > _USELESS else ""),
        )
    if bundle.certificate is not None:
        show_certificate(bundle.certificate, console, f"{model.card.name} in {runtime} {precision}")
    tell(console, f"written: {out}")


def _export_files(options: Any, console: Console) -> None:
    try:
        from ..ensemble import Ensemble
        from ..model import Model
        from ..runtimes import load_classifier
        from ..runtimes.bundle_files import refuse_bundle
        from ..runtimes.export import export_onnx
        from ..runtimes.export_ensemble import export_ensemble
    except ImportError as error:
        raise ConfigError(NEEDS_TORCH) from error
    refuse_bundle(options.out)  # before any work
    model = load_classifier(options.model) if Path(options.model).is_dir() else Model.load(options.model)
    if isinstance(model, Ensemble):
        export_ensemble(model, options.out)
    elif isinstance(model, Model):
        export_onnx(model, Path(options.out))
    else:
        raise InputError(f"{options.model} is a bundle: export the model or ensemble that it came from")
    tell(console, f"written: {options.out}, which reproduces the model")


def _simulated(what: str, errors: Console) -> StampSet:
    from ..dataset.assemble import simulate_stamps

    with bars(errors) as progress:
        return simulate_stamps(
            "varied", _PAIRS[what], seed=_SEEDS[what], progress=lambda done, of: progress(f"simulate {what}", done, of)
        )


def show_certificate(certificate: Certificate, console: Console, title: str) -> None:
    """Print a certificate as a table."""
    rows = certificate.rows()
    facts = (
        f"{certificate.stamps} held-out stamps, {certificate.real} real; worked out in {certificate.arithmetic} on "
        f"{certificate.processor}"
    )
    table = Table(title=title, title_justify="left", caption=facts, caption_justify="left", box=box.SIMPLE_HEAD)
    for head in ("", "before", "after", "change"):
        table.add_column(head, justify="right" if head else "left", no_wrap=head != "")
    for row in rows:
        table.add_row(*row)
    console.print(table, highlight=False)


def _bench_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("model", type=str, help="a bundle, an .onnx file, a model folder, or `default`")
    add("-o", "--out", type=str, default=None, metavar="FILE", help="write the numbers as JSON as well")
    add(
        "--threads",
        type=int,
        nargs="*",
        action="extend",
        default=[],
        metavar="N",
        help="to try (default: 1 and all processors)",
    )
    add("--batches", type=int, nargs="*", default=[1, 32, 512], metavar="N", help="stamps handed in at a time "
        "(default: 1 32 512)")  # fmt: skip
    add("--seconds-each", type=float, default=2.0, metavar="S", help="of one measurement (default: %(default)s)")
    add("--rounds", type=int, default=2, help="turns of each contender; the best counts (default: %(default)s)")
    add("--starts", type=int, default=3, help="fresh processes that time the cold start (default: %(default)s)")
    add("--device", type=str, default="cpu", help="cpu or cuda, for all of them (default: cpu)")
    add("--stamps", type=str, default=None, metavar="STAMPS",
        help="time it on stamps of this set; random ones where absent, of which a gate lets as many go on as of those "
        "held out")  # fmt: skip
    add("--alone", action="store_true", help="without eager PyTorch and ONNX Runtime beside it")
    add("--alerts", type=float, default=1e8, metavar="N", help="to be scored (default: 1e8, SiTian's night)")
    add("--seconds", type=float, default=36000.0, metavar="T", help="in so many seconds (default: 36000)")


def _bench(options: Any, console: Console, errors: Console) -> None:
    from ..runtimes import default_model
    from ..runtimes.bench import bench
    from ..runtimes.need import needs, ratios, workers_needed
    from .learning import open_classifier

    out = None if options.out is None else check_output_file(Path(options.out))
    workers_needed(options.alerts, options.seconds, 1, 1)  # refused now, not after minutes
    open_classifier(options.model, device=options.device)
    path = default_model() if options.model == "default" else Path(options.model)
    with bars(errors) as progress:
        found = bench(
            path, threads=options.threads, batches=options.batches, seconds=options.seconds_each,
            rounds=options.rounds, starts=options.starts, say=progress, device=options.device,
            stamps=options.stamps, contenders=("itself",) if options.alone else ("itself", "pytorch", "onnxruntime"),
        )  # fmt: skip
    found |= {"times_as_quick": ratios(found), "workers": needs(found, options.alerts, options.seconds)}
    console.print(_speeds(found), highlight=False)
    for name, reason in found["left_out"].items():
        tell(console, f"left out {name}: {reason}")
    if found["model"]["passed"] is not None:
        whose = f"of {options.stamps}" if options.stamps else "that were held out, and so of those timed"
        tell(console, f"gated: {found['model']['passed']:.1%} of the stamps {whose} go on to the networks behind it")
    for name, ratio in found["times_as_quick"].items():
        tell(console, f"{found['model']['runtime']} is {ratio:.2f} times as quick as {name}, best against best")
    if found["cold_start_s"]:
        shown = ", ".join(f"{value:.2f}" for value in found["cold_start_s"])
        tell(console, f"from a fresh process to the first score: {shown} s")
    for need in found["workers"]:
        tell(
            console,
            f"{options.alerts:g} alerts in {options.seconds:g} s: {need['workers']} workers of {need['threads']} "
            f"threads, {need['cores']} cores, at {need['rate']:,.0f} stamps/s each",
        )
    if out is not None:
        write_text(out, json.dumps(plain(found), indent=1) + "\n")
        tell(console, f"written: {out}")


def _speeds(found: dict[str, Any]) -> Table:
    machine = found["machine"]
    table = Table(
        title=f"{found['model']['name']} {found['model']['version']}: from stamps in memory to scores",
        title_justify="left",
        caption=f"{machine['processor']}, {machine['processors']} processors; the milliseconds are those of a batch",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("runtime", no_wrap=True)
    for head in ("threads", "batch", "stamps/s", "p50 ms", "p90 ms", "p99 ms", "MB"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in found["speeds"]:
        times = (f"{row[key]:.1f}" for key in ("p50_ms", "p90_ms", "p99_ms"))
        table.add_row(row["runtime"], str(row["threads"]), str(row["batch"]), f"{row['rate']:,.0f}", *times,
                      f"{row['memory_mb']:,.0f}")  # fmt: skip
    return table


VERBS = (
    Verb("export", "export a model to ONNX or a bundle, with proof that it scores alike", _export_arguments, _export),
    Verb("bench", "measure how quick a model is here, beside PyTorch and ONNX Runtime", _bench_arguments, _bench),
)
