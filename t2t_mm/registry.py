"""Names of problems, models, modalities and hparams sets.

Whatever a user can name on a command line is filed here by a decorator that stands at
its definition, with the name written out, so that grep finds what the user typed:

    @registry.register_problem("wmt_ende")
    class WmtEnde(text_problem.Text2TextProblem): ...

Nothing here imports TensorFlow: looking a name up, or failing to, is instant.
"""

import dataclasses
import difflib
import importlib
import pathlib
import re
import sys
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar, overload

from absl import logging

T = TypeVar("T")

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_VOCABULARY_FILE = re.compile(r"vocab\.([a-z0-9_]+)\.(\d+)\.subwords")
_VARIANT = re.compile(r"(.+?)(_rev)?(_copy)?")
_SUGGESTIONS = 3


class Alias(NamedTuple):
    """The entry that another name stands for, and what to say about it."""

    new: str
    remark: str


class Registry(Generic[T]):
    """Names of one kind of thing, such as problems or models."""

    def __init__(self, kind: str, article: str = "a") -> None:
        """Creates an empty registry.

        Args:
          kind: what the entries are, as error messages call it.
          article: "a" or "an", as `kind` needs it.
        """
        self._kind = kind
        self._article = article
        self._entries: dict[str, T] = {}
        self._aliases: dict[str, Alias] = {}
        self._said: set[str] = set()  # aliases that have been looked up

    def register(self, name: str) -> Callable[[T], T]:
        """Returns a decorator that files a class or function under `name`.

        Raises:
          ValueError: if `name` is taken (the message names both modules) or is not
            snake_case.
        """
        if not _SNAKE_CASE.fullmatch(name):
            raise ValueError(
                f"The name of {self._article} {self._kind} must be snake_case, such as "
                f"'my_{self._kind.split()[0]}1'; got '{name}'."
            )

        def file_under_name(entry: T) -> T:
            if name in self._entries:
                first = getattr(self._entries[name], "__module__", "?")
                second = getattr(entry, "__module__", "?")
                raise ValueError(
                    f"{self._article.capitalize()} {self._kind} named '{name}' is "
                    f"registered by {first} and again by {second}. Rename one, or "
                    "import the module under one name only."
                )
            self._entries[name] = entry
            return entry

        return file_under_name

    def get(self, name: str) -> T:
        """Returns the entry called `name`; dashes and capitals are forgiven.

        Raises:
          LookupError: if there is none; the message has the closest names.
        """
        normalised = name.replace("-", "_").lower()
        if normalised in self._entries:
            return self._entries[normalised]
        if normalised in self._aliases:
            return self._get_aliased(normalised)
        raise LookupError(self._unknown(name, normalised))

    def _get_aliased(self, old: str) -> T:
        alias = self._aliases[old]
        if alias.new not in self._entries:
            raise LookupError(
                f"'{old}' is another name of the {self._kind} '{alias.new}', which is "
                "not registered."
            )
        if old not in self._said:
            self._said.add(old)
            remark = f" {alias.remark}" if alias.remark else ""
            logging.info("'%s' is called '%s' here.%s", old, alias.new, remark)
        return self._entries[alias.new]

    def register_alias(self, old: str, new: str, remark: str = "") -> None:
        """Makes `get` answer to another name, and say so the first time.

        An entry that is called `old` itself comes first: a user's own problem may have
        the name that it had in Tensor2Tensor.

        Args:
          old: the other name.
          new: the name of an entry, which may be registered later.
          remark: what else a user of the old name should know, as sentences.

        Raises:
          ValueError: if `old` is an alias of another entry already.
        """
        alias = Alias(new, remark)
        if self._aliases.setdefault(old, alias) != alias:
            raise ValueError(
                f"'{old}' is another name of '{self._aliases[old].new}' already; it "
                f"cannot be one of '{new}' too."
            )

    def aliases(self) -> dict[str, str]:
        """Returns the name of the entry that each alias stands for."""
        return {old: alias.new for old, alias in sorted(self._aliases.items())}

    def _unknown(self, name: str, normalised: str) -> str:
        known = [*self._entries, *self._aliases]
        close = difflib.get_close_matches(normalised, known, _SUGGESTIONS, 0.5)
        if close:
            hint = "Did you mean " + " or ".join(f"'{match}'" for match in close) + "?"
        else:
            hint = "There are: " + (", ".join(self.names()) or "none") + "."
        return (
            f"No {self._kind} is named '{name}'. {hint} "
            "Modules of your own load with --t2t_usr_dir."
        )

    def names(self) -> list[str]:
        """Returns all names, sorted."""
        return sorted(self._entries)


BYTE_VOCABULARY = "bytes"  # of UTF-8 bytes: it has no file
VOCABULARY_ENDING = ".subwords"
DEFAULT_VOCABULARY = "default"  # the one that a problem declares


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocabularySpec:
    """A subword vocabulary that several problems share.

    Attributes:
      name: names its file, `vocab.<name>.<approx_vocab_size>.subwords`.
      approx_vocab_size: number of ids to aim at; a small corpus gives fewer.
      problems: names of the problems from whose training text it is built, in order.
      bytes_per_problem: how much text of each problem is sampled, in bytes.
      reserved_tokens: texts that get an id each, such as " /NP" with its space.
    """

    name: str
    approx_vocab_size: int = 2**13
    problems: tuple[str, ...]
    bytes_per_problem: int = 5_000_000
    reserved_tokens: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        """Name of the vocabulary's file in a data folder."""
        return f"vocab.{self.name}.{self.approx_vocab_size}{VOCABULARY_ENDING}"

    @classmethod
    def of_file(cls, filename: str) -> "VocabularySpec":
        """Returns the spec of a vocabulary that exists, by the name of its file.

        Raises:
          ValueError: if no vocabulary has such a name.
        """
        match = _VOCABULARY_FILE.fullmatch(filename)
        if match is None:
            raise ValueError(
                "A vocabulary's file must be called vocab.NAME.SIZE.subwords; got "
                f"'{filename}'."
            )
        return cls(name=match[1], approx_vocab_size=int(match[2]), problems=())


PROBLEMS: Registry[type[Any]] = Registry("problem")
MODALITIES: Registry[type[Any]] = Registry("modality")
MODELS: Registry[type[Any]] = Registry("model")
HPARAMS: Registry[Callable[[], Any]] = Registry("hparams set", "an")
RANGED_HPARAMS: Registry[Callable[[Any], None]] = Registry("ranged hparams set")
VOCABULARIES: Registry[VocabularySpec] = Registry("vocabulary")
SCORES: Registry[type[Any]] = Registry("score")

register_alias = PROBLEMS.register_alias
register_modality = MODALITIES.register
register_model = MODELS.register
register_hparams = HPARAMS.register
register_ranged_hparams = RANGED_HPARAMS.register
register_score = SCORES.register


@overload
def register_problem(name: type[T]) -> type[T]: ...


@overload
def register_problem(name: str | None = None) -> Callable[[type[T]], type[T]]: ...


def register_problem(name: type[T] | str | None = None) -> Any:
    """Returns a decorator that files a problem class and sets its `name`.

    Write the name out, so that it can be found. Without one, as Tensor2Tensor's users
    have it, a class TranslateEnde8k is filed as translate_ende8k; the decorator may
    then stand without brackets too.

    Raises:
      ValueError: if the name ends as those of variants do.
    """
    if name is None:
        return register_problem
    if isinstance(name, type):
        return register_problem(to_snake_case(name.__name__))(name)
    if name.endswith(("_rev", "_copy")):
        raise ValueError(
            "The name of a problem must not end in _rev or _copy, which turn any text "
            f"problem round or copy it; got '{name}'."
        )

    def file_under_name(problem_cls: type[T]) -> type[T]:
        problem_cls.name = name  # type: ignore[attr-defined]
        return PROBLEMS.register(name)(problem_cls)

    return file_under_name


def to_snake_case(class_name: str) -> str:
    """Returns what Tensor2Tensor calls a class: LSTMSeq2seq is lstm_seq2seq."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


def register_vocabulary(vocabulary: VocabularySpec) -> VocabularySpec:
    """Files a shared vocabulary under its own name and returns it."""
    return VOCABULARIES.register(vocabulary.name)(vocabulary)


def problem_class(name: str) -> type[Any]:
    """Returns the problem class `name`, or its variant `name`_rev or `name`_copy.

    Raises:
      LookupError: if there is none; the message has the closest names.
      ValueError: if the problem has no such variant.
    """
    base, *suffixes = _variant_of(name.replace("-", "_").lower())
    problem_cls = PROBLEMS.get(base)
    for suffix in filter(None, suffixes):
        problem_cls = problem_cls.variant(suffix)
    return problem_cls


def _variant_of(name: str) -> tuple[str, ...]:
    match = _VARIANT.fullmatch(name)
    return (name,) if match is None else match.groups()


def problem(name: str) -> Any:
    """Returns a new instance of the problem `name`, see `problem_class`."""
    return problem_class(name)()


def import_registrations(usr_dir: str | None = None) -> None:
    """Imports the packages that register things, then the user's folder if given.

    Problems and hparams sets are imported; neither needs TensorFlow. Models and
    modalities are left to `import_models`, but for those of the user.

    Args:
      usr_dir: folder that is imported as a package; its `__init__.py` must import the
        modules that register things.

    Raises:
      FileNotFoundError: if `usr_dir` is not a folder with an `__init__.py`.
    """
    importlib.import_module("t2t_mm.problems")
    importlib.import_module("t2t_mm.hparams")
    if usr_dir:
        _import_usr_dir(pathlib.Path(usr_dir).expanduser().resolve())


def import_models() -> None:
    """Imports the packages that register models and modalities: needs TensorFlow."""
    importlib.import_module("t2t_mm.modalities")
    importlib.import_module("t2t_mm.models.all_models")


def _import_usr_dir(folder: pathlib.Path) -> None:
    if not (folder / "__init__.py").is_file():
        raise FileNotFoundError(
            f"--t2t_usr_dir must be a folder with an __init__.py that imports your "
            f"modules; there is no '{folder / '__init__.py'}'."
        )
    if not folder.name.isidentifier():
        raise ValueError(
            f"--t2t_usr_dir is imported as a package, so the folder's name must be a "
            f"Python identifier; got '{folder.name}'."
        )
    if folder.name in sys.modules:
        loaded = pathlib.Path(sys.modules[folder.name].__file__ or "").parent
        if loaded == folder:
            return
        raise ValueError(
            f"--t2t_usr_dir cannot be imported as '{folder.name}': a module of that "
            f"name is loaded from '{loaded}'. Rename your folder."
        )
    sys.path.insert(0, str(folder.parent))
    importlib.import_module(folder.name)
