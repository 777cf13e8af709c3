"""`download`: signed output URLs as files."""

from __future__ import annotations

import os

from ..client import connect
from ..errors import DeniedError, Interrupted, RunwayError, UsageError
from .waiting import summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..client import Arguments as GlobalArguments
    from ..client import Client
    from ..downloads import Place, Saved
    from ..parser import Parser

    class Arguments(GlobalArguments):
        urls: list[str]
        to: str
        force: bool


COLUMNS = {"Saved": "saved", "Bytes": "bytes"}


def configure(parser: Parser) -> None:
    parser.operands = "URL..."
    parser.examples = (
        ("download", "URL"), ("download", "URL", "--to", "outputs/"), ("download", "URL", "--to", "fox.png"))
    parser.add_argument("urls", nargs="+", metavar="URL", help="an output's URL, https only")
    parser.several = "urls"
    parser.option("--to", metavar="PATH", default=".", help="a folder (it exists, or ends in /) or a file (default: .)")
    parser.option("--force", action="store_true", help="replace files that exist")
    parser.set_defaults(run=run)


def run(args: Arguments) -> int:
    """Saves each URL and prints where; one that fails does not stop the others."""
    from ..media import url_fault

    for url in args.urls:
        fault = url_fault(url)
        if fault:
            raise UsageError(f"{url!r} {fault}")
    client = connect(args, with_secret=False)
    failures: list[tuple[str, RunwayError]] = []
    try:
        for url, place in zip(args.urls, _places(args.urls, args.to)):
            try:
                saved = _save(args, client, url, place)
            except RunwayError as error:
                failures.append((place.path, error))
                continue
            if saved.skipped:
                args.console.note(f"{saved.path} is already saved")
            args.console.row({"saved": saved.path, "bytes": saved.size}, alone=len(args.urls) == 1)
    except Interrupted as stop:
        stop.message += ": what is not whole was not kept"
        raise
    finally:
        args.console.end_rows(COLUMNS)
    if failures:
        raise summary(failures, len(args.urls))
    return 0


def _save(args: Arguments, client: Client, url: str, place: Place) -> Saved:
    """One file, with a bar."""
    from ..downloads import save
    from ..progress import Transfer

    try:
        with Transfer(args.console, os.path.basename(place.path)) as bar:
            return save(client, url, place, force=args.force, report=bar)
    except DeniedError as error:
        error.message += "; an expired URL is renewed by reading its task: wait ID --download PATH"
        error.example = ("wait", "--help")
        raise


def _places(urls: list[str], to: str) -> list[Place]:
    """In a folder the URLs' own names made safe, each once; else the name given, numbered where there are several."""
    from ..downloads import Place, is_folder, name_of, places

    if not is_folder(to):
        return places(to, "", len(urls))
    folder = "" if to == os.curdir else to
    taken: set[str] = set()
    found = []
    for url in urls:
        root, extension = os.path.splitext(name_of(url))
        name, number = root + extension, 1
        while name.lower() in taken:
            number += 1
            name = f"{root}-{number}{extension}"
        taken.add(name.lower())
        found.append(Place(os.path.join(folder, name), folder=True))
    return found
