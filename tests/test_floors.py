"""Who may import whom: two towers, and what belongs to one place only."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = ("t2t_mm", "problems", "hparams", "bin")

# Rooms, and the modules in them by the beginning of their names.
ROOMS = {
    "ground": (
        "t2t_mm.__version__",
        "t2t_mm.registry",
        "t2t_mm.features",
        "t2t_mm.config_fields",
        "t2t_mm.gin_settings",
        "t2t_mm.hparam",
        "t2t_mm.hparam_range",
    ),
    "data": ("t2t_mm.problem", "t2t_mm.data"),
    "layers": ("t2t_mm.layers",),
    "modality": ("t2t_mm.modality", "t2t_mm.modalities"),
    "model": ("t2t_mm.model", "t2t_mm.models", "t2t_mm.averaging"),
    "runs": ("t2t_mm.runs",),
    "evaluation": ("t2t_mm.evaluation",),
    "decoding": ("t2t_mm.decoding",),
    "search": ("t2t_mm.hparams_search",),
    "training": ("t2t_mm.training",),
    "python": ("t2t_mm.trained_model",),
    "reporting": ("t2t_mm.reporting",),
    "problems": ("t2t_mm.problems",),
    "hparams": ("t2t_mm.hparams",),
    "bin": ("t2t_mm.bin",),
}
BOTH_TOWERS = {"ground", "data", "layers", "modality", "model"}
MAY_IMPORT = {
    "ground": {"ground"},
    "data": {"ground", "data"},
    "layers": {"layers"},
    "modality": {"ground", "layers", "modality"},
    "model": {"ground", "layers", "modality", "model"},
    "runs": {"ground", "data", "runs"},
    "evaluation": {"ground", "data", "evaluation"},
    "decoding": BOTH_TOWERS | {"runs", "evaluation", "decoding"},
    "training": BOTH_TOWERS | {"runs", "evaluation", "decoding", "training"},
    "search": {"ground", "runs", "training", "search"},
    "python": set(ROOMS) - {"reporting", "problems", "hparams", "bin", "search"},
    "reporting": set(ROOMS) - {"problems", "hparams", "bin", "search"},
    "problems": {"ground", "data", "problems"},
    "hparams": {"ground", "model", "hparams"},
    "bin": set(ROOMS),
}
# Packages of others that only some modules may import.
ONLY_IN = {
    "keras": (),
    "tensorflow.keras": (),
    "tf_keras": (),
    "gin": ("t2t_mm.gin_settings",),
    "optuna": ("t2t_mm.hparams_search",),
    "absl.flags": ("t2t_mm.bin",),
    "absl.app": ("t2t_mm.bin",),
}
NEED_NO_TENSORFLOW = (
    "t2t_mm.registry",
    "t2t_mm.features",
    "t2t_mm.config_fields",
    "t2t_mm.gin_settings",
    "t2t_mm.hparam",
)


def _module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "t2t_mm" else ("t2t_mm", *parts))


SOURCES = {
    _module_name(path): path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def _is_in(module, prefix):
    return module == prefix or module.startswith(f"{prefix}.")


def _room(module):
    rooms = [
        room
        for room, prefixes in ROOMS.items()
        if any(_is_in(module, prefix) for prefix in prefixes)
    ]
    assert len(rooms) == 1, f"{module} must be in one room; it is in {rooms}"
    return rooms[0]


def _imports(module):
    """Yields the full name of everything that a module imports, at any depth."""
    for node in ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _ours(module):
    return [name for name in _imports(module) if _is_in(name, "t2t_mm")]


@pytest.mark.parametrize("module", [name for name in SOURCES if name != "t2t_mm"])
def test_modules_import_from_the_rooms_below(module):
    allowed = MAY_IMPORT[_room(module)]

    for name in _ours(module):
        assert _room(name) in allowed, f"{module} imports {name}"


@pytest.mark.parametrize("module", SOURCES)
def test_packages_of_others_stay_in_their_place(module):
    for name in _imports(module):
        for package, places in ONLY_IN.items():
            if _is_in(name, package):
                assert any(_is_in(module, place) for place in places), (
                    f"{module} imports {name}"
                )


@pytest.mark.parametrize("module", SOURCES)
def test_nobody_uses_keras(module):
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))

    attributes = [n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    assert "keras" not in attributes


@pytest.mark.parametrize("module", NEED_NO_TENSORFLOW)
def test_the_ground_floor_needs_no_tensorflow(module):
    assert not any(_is_in(name, "tensorflow") for name in _imports(module))


@pytest.mark.parametrize(
    "name", ["t2t_mm/problems.py", "t2t_mm/hparams.py", "t2t_mm/bin.py"]
)
def test_no_module_hides_a_folder(name):
    assert not (ROOT / name).exists()
