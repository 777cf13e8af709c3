"""Help, the ways to start the program, global options, and the answers to mistyped calls."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipapp
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any
from unittest import mock

from runway_cli import __version__
from runway_cli.cli import help as help_texts
from runway_cli.cli import parser
from runway_cli.cli.parser import TOPICS
from runway_cli.commands.options import GLOBAL_OPTIONS
from runway_cli.terminal import program
from tests.fake import FakeRunway, Fault
from tests.program import EXITS, ROOT, SECRET_VARIABLES, ProgramTest, call, environment, run, shell_words
from tests.served import ServedTest

NETWORK = {"urllib", "http", "ssl", "_ssl", "socket", "email"}  # packages that only a request needs
LISTING = """import sys
from runway_cli.cli.main import main
status = main()
print(*sys.modules, file=sys.stderr)  # -X importtime does not show what importlib imports
sys.exit(status)
"""
VARIABLES = (
    *("RUNWAY_SKILLS_BASE_URL", "RUNWAY_SKILLS_HISTORY", "RUNWAY_SKILLS_OPENAPI_URL", "RUNWAY_SKILLS_DIR"),
    *("LOWCODEAPI_BASE_URL", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
CLIENT = "123e4567-e89b-42d3-a456-426614174000"
OTHER_CLIENT = "00000000-0000-4000-8000-000000000001"


def levels() -> Iterator[tuple[str, ...]]:
    """The words of the program, of every group of commands and of every command."""
    paths = parser.declared_commands()
    yield from dict.fromkeys(path[:size] for path in paths for size in range(len(path) + 1))


def examples(text: str) -> list[str]:
    """The examples of a help, each as one shell command."""
    lines = text.partition("\nExamples:\n")[2].replace("\\\n", "").splitlines()
    return [line.strip() for line in takewhile(lambda line: line.startswith("  "), lines)]


def overlong(text: str, width: int) -> list[str]:
    """The lines of a help that are wider; on Windows an example has one line, however long."""
    shown = text.partition("Examples:")[0] if os.name == "nt" else text
    return [line for line in shown.splitlines() if len(line) > width]


class HelpTest(ProgramTest):
    def test_every_level_shows_the_same_help_however_it_is_asked_for(self) -> None:
        for path in levels():
            with self.subTest(path=path):
                result = call(*path, "--help")
                self.assert_success(result, stderr="")
                self.assertRegex(result.stdout, "^Usage: runway-cli " + " ".join(path))
                self.assertGreater(len(examples(result.stdout)), 0)
                for words in ((*path, "-h"), ("help", *path)):
                    self.assertEqual(call(*words).stdout, result.stdout)
                if path not in parser.declared_commands():  # a group of commands alone
                    self.assert_success(call(*path), stdout=result.stdout)

    def test_help_is_no_wider_than_80_columns_or_the_window(self) -> None:
        for window, width in ((50, 50), (200, 80)):
            with mock.patch.object(help_texts, "terminal_size", return_value=(window, 24)):
                texts = [*map(help_texts.text, levels()), *(help_texts.text((), topic) for topic in TOPICS)]
            for text in texts if window > 80 else texts[1:]:  # the examples of the program itself need 80
                with self.subTest(text.partition("\n")[0], window=window):
                    self.assertEqual(overlong(text, width), [])

    def test_the_programs_help_fits_a_small_terminal(self) -> None:
        text = call("--help").stdout
        self.assertLessEqual(len(text.splitlines()), 23, "and the prompt below it")
        self.assertEqual(len(examples(text)), 2)
        for name in parser.COMMAND_NAMES:
            self.assertRegex(text, rf"(?m)^  ([a-z]+, )*{name}\b")

    def test_help_names_every_variable(self) -> None:
        options, environment = call("help", "options").stdout, call("help", "environment").stdout
        for option in GLOBAL_OPTIONS:
            with self.subTest(option.flags):
                shown = rf"\n  {', '.join(option.flags)}\b[^\[]*"
                self.assertRegex(options, shown + (rf"\[env:\s+{option.variable}\]\n" if option.variable else ""))
                self.assertIn(option.variable or "", environment)
        for variable in (*SECRET_VARIABLES, *VARIABLES):
            with self.subTest(variable):
                self.assertIn(variable, environment)

    def test_help_exit_names_every_exit_status(self) -> None:
        text = call("help", "exit").stdout
        for status in EXITS:
            with self.subTest(status):
                self.assertRegex(text, rf"(?m)^  {status}\b")

    def test_every_example_is_a_call_that_can_be_pasted(self) -> None:
        for path in levels():
            for example in examples(call(*path, "--help").stdout):
                with self.subTest(example):
                    program, *words = shell_words(example)
                    self.assertEqual(program, "runway-cli")
                    self.assertTrue(callable(parser.parse(words).command.run))

    def test_no_example_goes_on_in_another_line_on_windows(self) -> None:
        with mock.patch.object(help_texts, "IS_WINDOWS", True), mock.patch.object(program, "IS_WINDOWS", True):
            for path in levels():
                with self.subTest(path=path):
                    self.assertNotIn("\\\n", call(*path, "--help").stdout)

    def test_version(self) -> None:
        for words in (["-v"], ["-V"], ["--version"], ["avatars", "--version"], ["--stage", "-v"], ["wait", "-V"]):
            with self.subTest(words=words):
                result = call(*words)
                self.assert_success(result, stdout=__version__ + "\n", stderr="")


class StartUpTest(ProgramTest):
    def imported(self, *argv: str) -> set[str]:
        """The modules that a call imports, in a process that no site's hooks add to."""
        result = run(*argv, start=("-S", "-c", LISTING))
        self.assert_success(result)
        found = set(result.stderr.split())
        self.assertIn("runway_cli.cli.main", found)
        return found

    def test_help_and_version_import_nothing_of_the_network(self) -> None:
        for argv in (["--help"], ["--version"], ["request", "--help"], ["avatars", "list", "--help"], ["auth"]):
            with self.subTest(argv=argv):
                self.assertEqual({name.partition(".")[0] for name in self.imported(*argv)} & NETWORK, set())

    def test_the_programs_help_imports_no_command(self) -> None:
        commands = {name for name in self.imported("--help") if name.startswith("runway_cli.commands.")}
        self.assertEqual(commands, {"runway_cli.commands.options"})

    def test_a_command_imports_no_other(self) -> None:
        own = {
            name
            for name in self.imported("request", "GET", "/v1/organization", "--dry-run")
            if name.startswith("runway_cli.")
        }
        self.assertIn("runway_cli.commands.request", own)
        others = {"commands.lists", "commands.auth", "files.download", "jobs.tasks"}
        self.assertEqual(own & {f"runway_cli.{other}" for other in others}, set())
        packages = {name.split(".")[1] for name in own}
        self.assertEqual(packages & {"contract", "files", "transport"}, set())

    def test_the_version_imports_no_service(self) -> None:
        found = self.imported("--version")
        self.assertEqual({name for name in found if name.startswith("runway_cli.api")}, set())
        self.assertNotIn("argparse", found)


def path_word(path: Path) -> str:
    """A path with a space as examples show it."""
    return shlex.quote(path.as_posix())


class WaysToStartTest(ProgramTest):
    """The examples of each way, pasted into a shell, go the same way again."""

    def setUp(self) -> None:
        self.fake = FakeRunway()
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        folder = tempfile.TemporaryDirectory(prefix="ways to start ")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.package = self.folder / "my skills" / "runway_cli"
        shutil.copytree(ROOT / "runway_cli", self.package, ignore=shutil.ignore_patterns("__pycache__"))

    def goes_on(self, expected: str, *start: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
        """A mistyped call started in this way has an example that starts it the same way, and works when pasted."""
        surroundings = {**self.fake.env(), "PYTHONPATH": "", **(env or {})}
        result = run("avatars", "lst", "--limit", "3", env=surroundings, start=start, cwd=cwd)
        self.assert_error(result, 2, kind="usage")
        example = result.error["example"]
        self.assertTrue(example.endswith(f"{expected} avatars list --limit 3"), example)
        done = subprocess.run(
            shell_words(example) if os.name == "nt" else example,  # PowerShell may be missing
            shell=os.name != "nt",
            env=environment(surroundings),
            capture_output=True,
            cwd=cwd,
            timeout=30,
            check=False,
        )
        self.assertEqual(done.returncode, 0, example)
        self.assertEqual(done.stdout, b'{"data":[]}\n', example)
        self.assertEqual(done.stderr, b"", example)

    def test_as_a_module(self) -> None:
        self.goes_on(" -m runway_cli", "-m", "runway_cli", cwd=self.package.parent)

    def test_as_a_folder_from_anywhere_without_an_install(self) -> None:
        self.goes_on(f" {path_word(self.package)}", str(self.package), cwd=self.folder)

    def test_as_a_folder_by_a_relative_path(self) -> None:
        self.goes_on(" runway_cli", "runway_cli", cwd=self.package.parent)

    def test_as_a_zipapp(self) -> None:
        archive = self.folder / "runway-cli.pyz"
        Path(self.package.parent, "__main__.py").write_text(
            "from runway_cli.cli.main import run\nrun()\n", encoding="utf-8"
        )
        zipapp.create_archive(self.package.parent, archive)
        self.goes_on(f" {path_word(archive)}", str(archive), cwd=self.package)

    @unittest.skipIf(os.name == "nt", "an installed command is an .exe there")
    def test_as_an_installed_command(self) -> None:
        script = self.folder / "bin" / "runway-cli"
        script.parent.mkdir()
        script.write_text(f"#!{sys.executable}\nfrom runway_cli.cli.main import run\nrun()\n", encoding="utf-8")
        script.chmod(0o755)
        found = {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(self.package.parent)}
        self.goes_on("runway-cli", str(script), env=found)
        self.goes_on(shlex.quote(str(script)), str(script), env={"PYTHONPATH": str(self.package.parent)})

    @unittest.skipIf(os.name == "nt", "the name python3 is not usual there")
    def test_the_python_is_named_so_that_a_shell_finds_the_same_one(self) -> None:
        bare = self.folder / "bare"
        bare.mkdir()
        for path, python in ((str(bare), shlex.quote(sys.executable)), (os.path.dirname(sys.executable), "python")):
            result = run("nonsense", env={"PATH": path})
            self.assertRegex(result.error["example"], f"^{python}[0-9.]* -m runway_cli --help$")


class MistypedTest(ProgramTest):
    # call | words of the error | example: the call repaired where every mistake in it is known, else help
    CASES = """
avatras list | unknown command 'avatras' | avatars list
avatars lst | unknown command 'avatars lst'; did you mean list? | avatars list
request GTE /v1/x | must be one of GET, POST, PATCH, PUT, DELETE, not 'GTE'; did you mean GET? | request GET /v1/x
avatars list --limt 3 | unknown option --limt; did you mean --limit? | avatars list --limit 3
avatars list --limt=3 | unknown option --limt; did you mean --limit? | avatars list --limit=3
--outptu jsonl avatars list | unknown option --outptu; did you mean --output? | --output jsonl avatars list
help optoins | unknown command or topic 'optoins'; did you mean options? | help options
avatars list - | unexpected argument '-' | avatars list --help
- | unknown command '-': | --help
wait ID --downlaod x | unknown option --downlaod; did you mean --download? | wait ID --download x
avatars lst --helpp | did you mean | avatars list --help
requst GTE /v1/x --dryrun | did you mean request? | request GET /v1/x --dry-run
requst GET | did you mean request? | request --help
zzzz | unknown command 'zzzz': use one of generate, request, batch, wait, | --help
avatars list --zzzz | unknown option --zzzz | avatars list --help
avatars list more | unexpected argument 'more' | avatars list --help
wait | name the ids to wait for, or use --unfinished | wait --help
avatars list --limit | --limit: needs a value | avatars list --help
avatars list --limit --quiet | --limit: needs a value | avatars list --help
avatars list --quiet=1 | -q/--quiet: takes no value, not '1' | avatars list --help
--output jsn avatars list | must be one of json, jsonl, table, markdown, not 'jsn'; did you mean json? | --output json avatars list
--output=jsn avatars list | did you mean json? | --output=json avatars list
--stage --gateway lowcodeapi avatars list | --stage and --gateway contradict each other | --stage avatars list
avatars list --url-format old | --url-format is for a gateway | avatars list --url-format old --gateway lowcodeapi
"""  # noqa: E501

    def test_the_error_names_the_nearest_word_and_repairs_the_call(self) -> None:
        for case in self.CASES.strip().splitlines():
            line, words, example = case.split(" | ")
            with self.subTest(call=line):
                result = call(*line.split())
                self.assert_error(result, 2, kind="usage", example=f"runway-cli {example}")
                self.assertEqual(sorted(result.error), ["error", "example", "kind"])
                self.assertIn(words, result.error["error"])
                self.assertEqual(result.stdout, "")
                self.assertEqual(result.notes, [])
                if "help" in example:
                    self.assert_success(call(*example.split()))
                else:
                    self.assertTrue(callable(parser.parse(example.split()).command.run))


class GlobalOptionsTest(ProgramTest):
    def shown(self, *argv: str, env: dict[str, str] | None = None) -> Any:
        """What a dry run with these words shows."""
        result = call(*argv, env=env)
        self.assertEqual(result.exit, 0, result)
        return result.json

    def test_they_stand_before_or_after_the_command(self) -> None:
        tail = ["request", "GET", "/v1/avatars", "--dry-run"]
        for argv in (
            ["--stage", *tail],
            [*tail, "--stage"],
            ["request", "--stage", *tail[1:]],
            ["--stage", *tail, "-q"],
            ["--stage", *tail, "--stage"],
        ):
            with self.subTest(argv=argv):
                self.assertEqual(self.shown(*argv)["url"], "https://api.dev-stage.runwayml.com/v1/avatars")

    def test_the_last_of_two_counts(self) -> None:
        shown = self.shown("--client-id", CLIENT, "request", "GET", "/v1/x", "--dry-run", "--client-id", OTHER_CLIENT)
        self.assertEqual(shown["headers"]["X-Runway-Client-Id"], OTHER_CLIENT)

    def test_a_value_may_stand_in_the_same_word(self) -> None:
        for words in (["-f", "a=b c"], ["-fa=b c"], ["-f=a=b c"], ["--field=a=b c"], ["-qf", "a=b c"], ["-qfa=b c"]):
            with self.subTest(words=words):
                self.assertEqual(self.shown("request", "POST", "/v1/x", "--dry-run", *words)["body"], {"a": "b c"})

    def test_a_value_may_begin_with_a_dash_where_it_looks_like_no_option(self) -> None:
        for value in ("-5", "-0.5", "-", "-y is no option"):
            result = call("request", "POST", "/v1/x", "--dry-run", "--text-file", value)
            self.assert_error(result, 2, error=f"--text-file: must be KEY=FILE, not {value!r}")

    def test_a_variable_sets_a_value_and_the_option_wins(self) -> None:
        env = {"RUNWAY_SKILLS_CLIENT_ID": CLIENT, "RUNWAY_SKILLS_GATEWAY": "lowcodeapi", "LOWCODEAPI_URL_FORMAT": "old"}
        words = ("request", "GET", "/v1/tasks/T", "--dry-run")
        self.assertEqual(
            self.shown(*words, env=env)["url"], "https://api.lowcodeapi.com/runwayml/v1/tasks/id?id=T&api_token=***"
        )
        self.assertEqual(
            self.shown(*words, "--url-format", "new", env=env)["url"],
            "https://api.lowcodeapi.com/runwayml/v1/tasks/T?api_token=***",
        )
        del env["RUNWAY_SKILLS_GATEWAY"]
        for given, expected in (((), CLIENT), (("--client-id", OTHER_CLIENT), OTHER_CLIENT)):
            self.assertEqual(self.shown(*words, *given, env=env)["headers"]["X-Runway-Client-Id"], expected)

    def test_variables_for_retries_quiet_verbose_and_timeout(self) -> None:
        with FakeRunway() as fake:
            fake.fault(Fault("status", status=503), times=None)
            for word, count in (("0", 1), ("1", 2), ("", 3)):
                fake.requests.clear()
                result = call("avatars", "list", env={**fake.env(), "RUNWAY_SKILLS_RETRIES": word})
                self.assert_error(result, 1, kind="api", status=503)
                self.assertEqual(len(fake.requests), count, word)
                self.assertEqual(len(result.notes), count - 1, word)
            quiet = call("avatars", "list", env={**fake.env(), "RUNWAY_SKILLS_QUIET": "1"})
            self.assert_error(quiet, 1, kind="api")
            self.assertEqual(quiet.notes, [])
            verbose = call("avatars", "list", env={**fake.env(), "RUNWAY_SKILLS_VERBOSE": "1"})
            self.assertEqual(sum(line.startswith("> GET ") for line in verbose.notes), 3, verbose)
            fake.clear_faults()
            fake.fault(Fault("no_answer"), times=None)
            slow = call("avatars", "list", "--retries", "0", env={**fake.env(), "RUNWAY_SKILLS_TIMEOUT": "0.2"})
            self.assert_error(slow, 69, kind="network")

    def test_an_unusable_variable_is_named(self) -> None:
        for variable, words in (
            ("RUNWAY_SKILLS_TIMEOUT", ("soon", "0", "1e400", "\u0663")),
            ("RUNWAY_SKILLS_RETRIES", ("-1", "101", "1_0")),
            ("RUNWAY_SKILLS_CLIENT_ID", ("two words", CLIENT + "\nX: y")),
            ("RUNWAY_SKILLS_GATEWAY", ("other",)),
            ("LOWCODEAPI_URL_FORMAT", ("oldest",)),
            ("RUNWAY_SKILLS_STAGE", ("maybe",)),
            ("RUNWAY_SKILLS_QUIET", ("2",)),
        ):
            for word in words:
                with self.subTest(variable=variable, word=word):
                    result = call("avatars", "list", env={variable: word})
                    self.assert_error(result, 78, kind="config", example="runway-cli help environment")
                    self.assertTrue(result.error["error"].startswith(f"{variable} must be "), result)

    def test_stage_and_a_gateway_from_the_environment_contradict_each_other(self) -> None:
        result = call("avatars", "list", "--stage", env={"RUNWAY_SKILLS_GATEWAY": "lowcodeapi"})
        self.assert_error(result, 2, kind="usage", example="runway-cli help environment")
        self.assertIn("contradict", result.error["error"])


class DashesTest(ServedTest):
    """`--` ends the options, wherever it stands."""

    def test_it_may_stand_before_between_and_after_the_words_of_a_command(self) -> None:
        for line in (
            "-- request GET /v1/organization",
            "request -- GET /v1/organization",
            "request GET /v1/organization --",
            "--quiet -- request GET /v1/organization",
            "request --retries 0 GET -- /v1/organization",
        ):
            with self.subTest(line):
                self.assertEqual(self.call(*line.split()).json, self.fake.organization)

    def test_what_follows_it_is_an_operand(self) -> None:
        for line, words in (
            ("request GET /v1/x -- --dry-run", "unexpected argument '--dry-run'"),
            ("-- request GET /v1/x --dry-run", "unexpected argument '--dry-run'"),
            ("request GET /v1/x -- --", "unexpected argument '--'"),
            ("-- --version", "unknown command '--version'"),
            ("-- --help", "unknown command '--help'"),
        ):
            with self.subTest(line):
                result = self.call(*line.split())
                self.assert_error(result, 2, kind="usage")
                self.assertTrue(result.error["error"].startswith(words), result)
                self.assertNotIn("did you mean", result.error["error"])
        self.assertEqual(self.fake.requests, [])

    def test_an_id_that_looks_like_an_option_can_be_waited_for(self) -> None:
        result = self.call("wait", "--max-wait", "1", "--", "-x", "--quiet")
        self.assert_error(result, 1, kind="api", status=400)
        self.assertEqual(sorted(self.polls()), ["/v1/tasks/--quiet", "/v1/tasks/-x"])
