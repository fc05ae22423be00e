"""Keep what a study came to: its tables, figures, plan, seeds, machine and times, without data and models.

    python benchmarks/keep_results.py STUDY docs/results/small

A study in which a network failed is not kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

KEPT = ("tables.md", "tables/*.csv", "computing.csv", "figures/*.png")


def main() -> int:
    """Copy, and say how much it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of a study that is done")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    if not (options.study / "summary.json").is_file():
        print(f"{options.study} holds no summary.json: name the folder of a study that is done", file=sys.stderr)
        return 1
    if options.out.exists() and any(options.out.iterdir()) and not (options.out / "summary.json").is_file():
        print(f"{options.out} holds other things than a study's results: name a folder of their own", file=sys.stderr)
        return 1
    summary = json.loads((options.study / "summary.json").read_text(encoding="utf-8"))
    if summary["failed"]:
        print(f"not kept: {', '.join(summary['failed'])} failed; run the study again", file=sys.stderr)
        return 1
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    for pattern in KEPT:
        for path in sorted(options.study.glob(pattern)):
            target = options.out / path.relative_to(options.study)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
    text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    (options.out / "summary.json").write_text(text, encoding="utf-8")
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"{options.out}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
