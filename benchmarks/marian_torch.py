"""The PyTorch side of `benchmarks.pytorch_marian`: Marian of Hugging Face transformers.

Runs in a Python that has torch and transformers; nothing else of this project is needed
there. Weights are random, so nothing is downloaded.
"""

import json
import sys
from concurrent import futures
from typing import Any

import torch
import transformers

from benchmarks import turns


def make_model(size: dict[str, Any]) -> transformers.MarianMTModel:
    """Returns a model of the size that `benchmarks.pytorch_marian` asks for."""
    torch.manual_seed(1)
    layers, heads, width = (size[n] for n in ("layers", "heads", "filter_size"))
    config = transformers.MarianConfig(
        vocab_size=size["vocab_size"],
        d_model=size["hidden_size"],
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=width,
        decoder_ffn_dim=width,
        max_position_embeddings=4 * size["length"],
        activation_function="relu",
        dropout=size["dropout"],
        attention_dropout=size["attention_dropout"],
        activation_dropout=size["relu_dropout"],
        scale_embedding=True,
        pad_token_id=0,
        eos_token_id=1,
        forced_eos_token_id=None,
        decoder_start_token_id=0,
        share_encoder_decoder_embeddings=True,
        tie_word_embeddings=True,
    )
    return transformers.MarianMTModel(config)


def main() -> None:
    """Builds the model, makes a first step and serves."""
    size = json.loads(sys.argv[1])
    model = make_model(size)
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=1e-5, fused=True
    )
    shape = (size["batch"], size["length"])
    generator = torch.Generator().manual_seed(0)
    inputs, targets = (
        torch.randint(2, size["vocab_size"], shape, generator=generator)
        for _ in range(2)
    )
    mask = torch.ones_like(inputs)

    def train() -> float:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=inputs, attention_mask=mask, labels=targets).loss
        loss.backward()
        if size["clip_grad_norm"]:
            torch.nn.utils.clip_grad_norm_(model.parameters(), size["clip_grad_norm"])
        optimizer.step()
        return loss.item()

    def decode(beams: int) -> None:
        model.eval()
        with torch.inference_mode():
            ids = model.generate(
                inputs,
                attention_mask=mask,
                num_beams=beams,
                do_sample=False,
                min_new_tokens=size["length"],
                max_new_tokens=size["length"],
            )
        if ids.shape != (size["batch"], size["length"] + 1):  # and the start
            raise ValueError(f"The outputs have another shape: {tuple(ids.shape)}.")

    def decode_batches(beams: int) -> None:
        for _ in range(size["batches"]):
            decode(beams)

    def decode_in_threads(beams: int) -> None:
        def decode_alone(_: int) -> None:
            torch.set_num_threads(1)  # of this thread
            decode(beams)

        with futures.ThreadPoolExecutor(torch.get_num_threads()) as threads:
            list(threads.map(decode_alone, range(size["batches"])))

    train()
    facts = {
        "first_step_seconds": turns.seconds_since_start(),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "version": f"torch {torch.__version__}, transformers "
        f"{transformers.__version__}, {torch.get_num_threads()} threads",
    }
    works = {
        "training step": train,
        "greedy": lambda: decode(1),
        "beam 4": lambda: decode(4),
        "greedy, batches": lambda: decode_batches(1),
        "beam 4, batches": lambda: decode_batches(4),
        "greedy, batches, both in threads": lambda: decode_in_threads(1),
        "beam 4, batches, both in threads": lambda: decode_in_threads(4),
    }
    turns.serve(facts, works)


if __name__ == "__main__":
    main()
