import io
import sys

from absl import logging

from t2t_mm.bin import flags


def test_output_is_utf8_whatever_the_locale(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(flags, "start_logging", logging.get_absl_handler)

    status = flags.run("program", lambda argv: sys.stdout.write("Tür\n") and None)

    stream.flush()
    assert (status, stream.buffer.getvalue()) == (0, "Tür\n".encode())
