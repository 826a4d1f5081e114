"""Which devices and machines a run computes on, by its settings and TF_CONFIG."""

import functools
import json
import os

import tensorflow as tf
from absl import logging

from t2t_mm.training import distribution


def make_distribution(strategy: str, num_devices: int) -> distribution.Distribution:
    """Returns where to run. Call it before TensorFlow does anything.

    Args:
      strategy: as in `RunConfig`. "auto" is "multi_worker" if TF_CONFIG names other
        workers, else "mirrored" if more than one device is wanted or to be had.
      num_devices: of this machine; 0 for all GPUs, or the CPU.

    Raises:
      ValueError: if there are not as many devices, or TF_CONFIG does not fit.
    """
    if strategy == "auto":
        strategy = _choose_strategy(num_devices)
    if strategy == "one" and num_devices > 1:
        raise ValueError(
            f"`strategy` 'one' is of one device; `num_devices` is {num_devices}. For "
            "several devices, take 'mirrored'."
        )
    if strategy == "tpu":
        return distribution.Distribution(_tpu_strategy())
    if strategy == "multi_worker":
        return _multi_worker(num_devices)
    if strategy == "one":
        return distribution.Distribution()
    return distribution.Distribution(_mirrored_strategy(tuple(_devices(num_devices))))


@functools.cache
def _mirrored_strategy(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """Returns the strategy of a process over some devices, always the same one.

    Strategies number their collective operations from the same number on. TensorFlow
    takes equal numbers for one operation, and those of a second strategy for ones with
    a wrong shape: it would end the second run of a process, as in a search.
    """
    return tf.distribute.MirroredStrategy(devices)


def _choose_strategy(num_devices: int) -> str:
    if sum(_cluster_sizes().values()) > 1:
        return "multi_worker"
    num_devices = num_devices or len(tf.config.list_physical_devices("GPU"))
    return "mirrored" if num_devices > 1 else "one"


def _devices(num_devices: int) -> list[str]:
    """Returns the names of the devices to use, and hides other GPUs."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return _parts_of_cpu(max(num_devices, 1))
    count = num_devices or len(gpus)
    if count > len(gpus):
        raise ValueError(
            f"`num_devices` is {count}, but TensorFlow sees {len(gpus)} GPUs. Lower "
            "it, or look at CUDA_VISIBLE_DEVICES."
        )
    if count < len(gpus):
        tf.config.set_visible_devices(gpus[:count], "GPU")
    return [f"GPU:{number}" for number in range(count)]


def _parts_of_cpu(count: int) -> list[str]:
    """Returns the names of parts of the CPU that are devices to TensorFlow."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) < count:
        parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        tf.config.set_logical_device_configuration(cpu, parts)
    if count > 1:
        logging.warning(
            "There is no GPU: %d replicas share the CPU, which tries several devices "
            "out, but makes nothing faster.",
            count,
        )
    return [f"CPU:{number}" for number in range(count)]


def _cluster_sizes() -> dict[str, int]:
    """Returns how many processes TF_CONFIG names, by what they do."""
    text = os.environ.get("TF_CONFIG", "{}")
    try:
        cluster = json.loads(text).get("cluster", {})
        return {job: len(addresses) for job, addresses in cluster.items()}
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            'TF_CONFIG must read {"cluster": {"worker": ["host:port", ...]}, "task": '
            f'{{"type": "worker", "index": 0}}}}; got \'{text}\'.'
        ) from None


def _multi_worker(num_devices: int) -> distribution.Distribution:
    sizes = _cluster_sizes()
    if set(sizes) - {"chief", "worker"} or not sizes:
        raise ValueError(
            "`strategy` 'multi_worker' needs a TF_CONFIG that names workers, and "
            f"perhaps a chief, and nothing else; it names {sorted(sizes) or 'none'}."
        )
    if tf.config.list_physical_devices("GPU"):
        _devices(num_devices)
    elif num_devices > 1:
        raise ValueError(
            f"`num_devices` is {num_devices}, but there is no GPU, and a worker of "
            "several has one CPU."
        )
    logging.info("Waiting for all %d workers.", sum(sizes.values()))
    return distribution.Distribution(tf.distribute.MultiWorkerMirroredStrategy())


def _tpu_strategy() -> tf.distribute.Strategy:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)
