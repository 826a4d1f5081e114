"""Gives our variables the values that the original has under other names.

Each model's golden test holds a table of rows `(pattern, find)`. A `pattern` fits whole
names of our variables, without that of the model; `find(originals, *groups)` returns
the value. Groups of digits arrive as ints.
"""

import re

import numpy as np


class Originals:
    """Variables by original name, of which it remembers those that were asked for."""

    def __init__(self, variables):
        self._variables = variables
        self._used = set()

    def __getitem__(self, name):
        self._used.add(name)
        return self._variables[name]

    def __contains__(self, name):
        return name in self._variables

    def names(self, pattern):
        """Returns the names in which `pattern` occurs, numbers in numeric order."""
        found = [name for name in self._variables if re.search(pattern, name)]
        return sorted(found, key=lambda n: [int(d) for d in re.findall(r"\d+", n)])

    def table(self, scope):
        """Joins the pieces `weights_i` of an embedding table, in the order of i."""
        pieces = self.names(f"{re.escape(scope)}/weights_" + r"\d+$")
        return np.concatenate([self[piece] for piece in pieces])

    def unused(self):
        return sorted(set(self._variables) - self._used)


def assign(module, variables, rows, *, ignored=(), absent=()):
    """Sets every variable of `module`; nothing may be left over on either side.

    Args:
      module: whose variables are named "<module>/...".
      variables: values by original name.
      rows: the table.
      ignored: patterns of original names that have no effect and no counterpart.
      absent: patterns of our names that the original did not build; they stay.
    """
    originals = Originals(variables)
    for variable in module.variables:
        name = variable.name.partition("/")[2].removesuffix(":0")
        if any(re.match(pattern, name) for pattern in absent):
            continue
        value = np.asarray(_find(rows, name, originals), np.float32)
        assert value.size == np.prod(variable.shape), (name, value.shape)
        variable.assign(value.reshape(variable.shape))
    left = [n for n in originals.unused() if not any(re.search(p, n) for p in ignored)]
    assert not left, f"variables of the original that nothing of ours takes: {left}"


def _find(rows, name, originals):
    fits = [(m, find) for row, find in rows if (m := re.fullmatch(row, name))]
    assert len(fits) == 1, f"{len(fits)} rows of the table fit our '{name}'"
    match, find = fits[0]
    groups = [int(g) if g and g.isdigit() else g for g in match.groups()]
    return find(originals, *groups)
