import pytest

from t2t_mm.decoding import decode_config


def test_options_are_parsed_by_the_names_of_tensor2tensor():
    config = decode_config.parse("beam_size=4,alpha=1,return_beams=true")

    assert (config.beam_size, config.alpha, config.num_results) == (4, 1.0, 4)
    assert decode_config.parse("beam_size=4").num_results == 1
    assert decode_config.parse("") == decode_config.DecodeConfig()


def test_changes_are_what_differs_from_the_defaults():
    config = decode_config.parse("alpha=0.6,beam_size=4,extra_length=7")

    assert config.changes() == {"beam_size": 4, "extra_length": 7}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("beam_size=0", "`beam_size` must be at least 1; got 0"),
        ("beamsize=4", "Did you mean beam_size"),
        ("extra_length=0", "`extra_length` must be at least 1"),
        ("sampling_temp=0", "`sampling_temp` must be above 0; got 0"),
        ("sampling_keep_top_p=1.5", "`sampling_keep_top_p` must be above 0 and at mo"),
        ("sampling_method=top_k", "must be one of argmax, random; got 'top_k'"),
        ("sampling_method=random,beam_size=2", "has no beams; got `beam_size=2`"),
        ("sampling_method=random,return_beams=true", "`return_beams` has no effect wi"),
        ("sampling_temp=0.5", "`sampling_temp` has no effect without `sampling_method"),
        ("alpha=-1", "`alpha` must be at least 0; got -1"),
        ("num_decodes=3", "unless `sampling_method=random`"),
        ("constrained=true,min_length_ratio=0.5", "`constrained` says when an output"),
        ("alpha=0.6,delimiter=x", "no `delimiter` in decoding: an input is a line"),
        ("shards=2", "no `shards` in decoding: decode parts of the input"),
        ("beam_size=4,identity_output=true", "jsonl has the ids"),
    ],
)
def test_options_that_make_no_sense_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        decode_config.parse(text)
