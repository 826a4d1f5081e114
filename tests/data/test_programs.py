import sys

import pytest

from t2t_mm.data import programs


def test_the_output_is_returned():
    assert programs.run([sys.executable, "-c", "print('sound')"]) == b"sound\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; sys.exit('first\\nsecond')", "^first$"),
        ("import sys; sys.exit(3)", "it ends with 3"),
        ("import time; time.sleep(60)", "it takes more than 2 seconds"),
    ],
)
def test_a_program_that_fails_or_hangs_is_a_bad_sample(script, message):
    with pytest.raises(ValueError, match=message):
        programs.run([sys.executable, "-c", script], max_seconds=2)
