"""The report of a run: one JSON object, from which the page is made. Fields are described in docs/loadtest.md."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtest.report.page import render

FOLDER = "loadtest-reports"  # in the working directory


def default_folder(name: str) -> Path:
    """Return where a run leaves its report unless it is told."""
    return Path(FOLDER) / f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"


def paths(report: Path) -> tuple[Path, Path]:
    """Return the files (JSON, HTML) of a report. report: a folder, or the JSON file, beside which the page goes."""
    if report.suffix == ".json":
        return report, report.with_suffix(".html")
    return report / "report.json", report / "report.html"


def save(report: Path, found: Mapping[str, Any], *, page: bool = True) -> Path:
    """Write a report, each file whole or not at all; return the file to open. Raises: OSError."""
    data, html = paths(report)
    data.parent.mkdir(parents=True, exist_ok=True)
    replace_file(data, json.dumps(found) + "\n")
    if not page:
        return data
    replace_file(html, render(found))
    return html


def finish(report: Path) -> Path | None:
    """Make the page of a report that was left without one, as by a run that was killed; None: nothing to do."""
    data, html = paths(report)
    if html.exists() or not data.exists():
        return None
    return save(report, json.loads(data.read_text()))


def replace_file(path: Path, text: str) -> None:
    """Write a file, whole or not at all. Raises: OSError."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(text)
    os.replace(unfinished, path)
