"""How programs that decode spend the machine."""

from absl import flags


def define_execution(values: flags.FlagValues) -> None:
    """Defines --jit_compile and --batches_at_once, which leave outputs as they are."""
    flags.DEFINE_bool(
        "jit_compile",
        None,
        "Search for outputs with XLA, which takes seconds for each shape of a batch; "
        "--nojit_compile for never. Default: for shapes that come up often.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "batches_at_once",
        0,
        "Batches that are decoded at the same time, each with caches in memory; 0 for "
        "one more than there are cores, at most 8, and one with a GPU.",
        lower_bound=0,
        flag_values=values,
    )
