"""What Tensor2Tensor's users may define in a problem and nothing here reads."""

from collections.abc import Iterator

# What to do instead; docs/migrating.md says more.
_INSTEAD = {
    "additional_training_datasets": "yield them in `generate_samples`",
    "decode_hooks": "name `scores`",
    "eval_hooks": "name `metrics`",
    "eval_metric_fns": "name `metrics`, which a modality of your own may define",
    "eval_metrics": "name `metrics`",
    "example_reading_spec": "define `record_types`",
    "feature_encoders": "define `encode_inputs` and `encode_targets`",
    "generate_data": "define `generate_samples`",
    "generate_encoded_samples": "define `encode`",
    "hparams": "define `inputs_spec` and `targets_spec`",
    "input_space_id": "define `input_space`",
    "max_samples_for_vocab": "nothing: vocabularies are built from a bounded sample",
    "packed_length": "nothing: records hold one example each",
    "preprocess_example": "define `preprocess`, which gets whole batches",
    "source_data_files": "define `generate_samples`",
    "source_vocab_name": "name a `vocabulary`",
    "target_space_id": "define `target_space`",
    "target_vocab_name": "name a `vocabulary`",
    "targeted_vocab_size": "define `approx_vocab_size`",
    "use_subword_tokenizer": "define `vocab_type`",
    "use_vocab_from_other_problem": "name a `vocabulary`",
    "vocab_filename": "name a `vocabulary`",
}


def remarks(problem_cls: type) -> Iterator[str]:
    """Yields a sentence for each of those names that a class or its bases define."""
    for name, instead in _INSTEAD.items():
        if hasattr(problem_cls, name):
            yield (
                f"`{name}` of {problem_cls.__name__} is Tensor2Tensor's and has no "
                f"effect here. Instead: {instead}."
            )
