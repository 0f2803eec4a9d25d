"""Masks are drawn at the rates of Devlin et al. 2019, over whole steps, and in evaluation they are fixed."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, Features, Sequence, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from babelfit.batches.masking import Masking, fixed_draws, num_fixed
from babelfit.batches.ragged import NOBODY, Examples, RaggedBatch, StepBatch
from babelfit.batches.steps import EvaluationBatches, TrainingSteps
from babelfit.encoder.loading import load_tokenizer
from babelfit.errors import UserError

BEGIN, PAD, END, UNKNOWN, MASK = 0, 1, 2, 3, 199
SPECIAL = np.array([BEGIN, PAD, END, UNKNOWN, MASK])
SIZES = {0: 40, 1: 17, 2: 30}
"""Examples of each language."""

FEATURES = Features(
    {
        "input_ids": Sequence(Value("int32")),
        "windows": Sequence(Value("int32")),
        "index": Value("int64"),
        "maskable": Value("int32"),
        "second": Value("int32"),
    }
)


def masking(**options: Any) -> Masking:
    others = np.setdiff1d(np.arange(200), SPECIAL)
    return Masking(**{"mask_id": MASK, "special_ids": SPECIAL, "others": others} | options)


def tokens(language: int, row: int, *, pairs: bool = False) -> list[int]:
    """One text, or two, with special tokens around; an unknown one is in the middle."""
    generator = np.random.default_rng((language, row))
    first, second = (generator.integers(4, 199, generator.integers(3, 40)).tolist() for _ in range(2))
    first[len(first) // 2] = UNKNOWN
    return [BEGIN, *first, END, *([END, *second, END] if pairs else [])]


def dataset(language: int, num_examples: int, *, pairs: bool = False) -> Dataset:
    rows = [tokens(language, row, pairs=pairs) for row in range(num_examples)]
    columns = {
        "input_ids": rows,
        "windows": [[len(row)] for row in rows],
        "index": [1000 + row for row in range(num_examples)],
        "maskable": [int((~np.isin(row, SPECIAL)).sum()) for row in rows],
        "second": [row.index(END) + 1 if pairs else 0 for row in rows],
    }
    return Dataset.from_dict(columns, features=FEATURES)


def examples(**options: Any) -> Examples:
    return Examples([(language, dataset(language, size)) for language, size in SIZES.items()], **options)


Masked = dict[tuple[int, int], list[tuple[int, int, int]]]


def masks(*batches: RaggedBatch) -> Masked:
    """Of each language and row: the place, the token shown and the token meant, in the order of places."""
    found: Masked = {}
    for batch in batches:
        starts = batch.cu_seqlens[np.searchsorted(batch.cu_seqlens, batch.targets, side="right") - 1]
        rows = (batch.languages, batch.indices, batch.targets - starts, batch.input_ids[batch.targets], batch.gold)
        for language, index, *of_token in zip(*(row.tolist() for row in rows), strict=True):
            if language != NOBODY:
                found.setdefault((language, index - 1000), []).append(tuple(of_token))
    return {key: sorted(value) for key, value in found.items()}


def training(*, batch_size: int = 24, tokens_per_device: int = 300, seed: int = 1, **share: Any) -> TrainingSteps:
    return TrainingSteps(
        examples(), batch_size=batch_size, tokens_per_device=tokens_per_device, seed=seed, draw=masking(), **share
    )


def of_epochs(number: int, **options: Any) -> list[StepBatch]:
    steps = training(**options)
    return [steps[epoch, step] for epoch in range(number) for step in range(len(steps))]


def within(count: int, total: int, share: float) -> bool:
    """Whether a count lies within five standard deviations of what is expected."""
    return abs(count - share * total) <= 5 * (total * share * (1 - share)) ** 0.5


@pytest.mark.parametrize("language", [None, *SIZES])
def test_rates_are_those_of_bert_in_each_language(language: int | None) -> None:
    chosen = others = stayed = hidden = total = 0
    for epoch in range(40):
        steps = training()
        for step in range(len(steps)):
            for (of, _), found in masks(*steps[epoch, step].micro_batches).items():
                if language in (None, of):
                    chosen += len(found)
                    hidden += sum(shown == MASK for _, shown, _ in found)
                    stayed += sum(shown == meant for _, shown, meant in found)
                    others += sum(shown not in (MASK, meant) for _, shown, meant in found)
    for of, size in SIZES.items():
        if language in (None, of):
            total += 40 * sum(dataset(of, size)["maskable"])

    assert hidden + stayed + others == chosen
    assert within(chosen, total, 0.15)
    assert within(hidden, chosen, 0.8)
    # One of 195 other tokens is the same by chance.
    assert within(others, chosen, 0.1 * 194 / 195)
    assert within(stayed, chosen, 0.1 + 0.1 / 195)


def test_another_share_is_masked_in_training_alone_and_shown_in_the_same_ways() -> None:
    often = masking(share=0.4)
    steps = TrainingSteps(examples(), batch_size=100, tokens_per_device=300, seed=1, draw=often)
    found = [step for epoch in range(40) for step in masks(*steps[epoch, 0].micro_batches).values()]
    chosen = [(shown, meant) for row in found for _, shown, meant in row]

    assert within(len(chosen), 40 * sum(sum(dataset(of, size)["maskable"]) for of, size in SIZES.items()), 0.4)
    assert within(sum(shown == MASK for shown, _ in chosen), len(chosen), 0.8)
    assert within(sum(shown == meant for shown, meant in chosen), len(chosen), 0.1 + 0.1 / 195)
    assert steps[0, 0].weight == sum(len(batch.targets) for batch in steps[0, 0].micro_batches)
    assert evaluated(draw=often) == evaluated()


def test_what_is_meant_is_the_text_and_special_tokens_are_neither_guessed_nor_put_in() -> None:
    put_in = set()
    for step in of_epochs(60):
        for batch in step.micro_batches:
            borders = batch.cu_seqlens.tolist()
            shown = batch.input_ids.copy()
            put_in |= set(shown[batch.targets].tolist())
            shown[batch.targets] = batch.gold
            rows = {tuple(shown[a:b].tolist()) for a, b in pairwise(borders)}
            assert rows <= {tuple(tokens(language, row)) for language, size in SIZES.items() for row in range(size)}
            assert not np.isin(batch.gold, SPECIAL).any()
    assert put_in - {MASK} <= set(range(200)) - set(SPECIAL.tolist())
    assert len(put_in) > 190, "every other token may come"


def test_replacements_are_active_ids_where_these_are_all_that_there_are() -> None:
    narrowed = masking(others=np.array([10, 11, 12]))
    steps = TrainingSteps(examples(), batch_size=24, tokens_per_device=300, seed=1, draw=narrowed)
    found = masks(*(batch for epoch in range(20) for batch in steps[epoch, 0].micro_batches))
    put_in = {shown for row in found.values() for _, shown, meant in row if shown not in (MASK, meant)}
    assert put_in == {10, 11, 12}


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 7])
@pytest.mark.parametrize("tokens_per_device", [40, 300, 100_000])
def test_masks_depend_on_neither_devices_nor_token_budget(num_ranks: int, tokens_per_device: int) -> None:
    whole = of_epochs(2, tokens_per_device=500)
    ranks = [
        of_epochs(2, tokens_per_device=tokens_per_device, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)
    ]
    for place, step in enumerate(whole):
        shares = [rank[place] for rank in ranks]
        found = masks(*(batch for share in shares for batch in share.micro_batches))
        assert found == masks(*step.micro_batches)
        assert {share.weight for share in shares} == {sum(map(len, found.values()))}


def test_masks_are_others_in_another_epoch_step_or_seed_and_the_same_again() -> None:
    first = masks(*training()[0, 0].micro_batches)
    assert masks(*training()[0, 0].micro_batches) == first
    everything = [masks(*training(batch_size=100, seed=seed)[epoch, 0].micro_batches) for seed, epoch in
                  ((1, 0), (1, 1), (2, 0))]  # fmt: skip
    for row in first:
        assert len({str([found.get(row) for found in everything][place]) for place in range(3)}) > 1
    # Where an epoch takes a row twice, it is masked anew.
    twice = TrainingSteps(
        Examples([(0, dataset(0, 1)), (1, dataset(1, 63))]),
        batch_size=1, tokens_per_device=300, seed=1, exponent=0.0, draw=masking(),
    )  # fmt: skip
    seen = [str(found[0, 0]) for step in range(64) if (0, 0) in (found := masks(*twice[0, step].micro_batches))]
    assert len(seen) > 10
    assert len(set(seen)) > len(seen) // 2


def test_a_step_in_which_nothing_is_masked_has_no_targets() -> None:
    rows = Dataset.from_dict(
        {"input_ids": [[BEGIN, 10, END]], "windows": [[3]], "index": [0], "maskable": [1], "second": [0]},
        features=FEATURES,
    )
    steps = TrainingSteps(Examples([(0, rows)]), batch_size=1, tokens_per_device=10, seed=1, draw=masking())
    numbers = {steps[epoch, 0].weight: steps[epoch, 0] for epoch in range(40)}
    assert numbers.keys() == {0, 1}
    (batch,) = numbers[0].micro_batches
    assert (batch.num_tokens, len(batch.targets), len(batch.gold)) == (3, 0, 0)


def evaluated(among: Examples | None = None, **options: Any) -> Masked:
    batches = EvaluationBatches(among or examples(), **{"tokens_per_device": 300, "draw": masking()} | options)
    return masks(*(batches[place] for place in range(len(batches))))


def test_in_evaluation_masks_depend_on_the_row_alone_and_show_nothing() -> None:
    found = evaluated()

    assert found.keys() == {(language, row) for language, size in SIZES.items() for row in range(size)}
    assert {shown for row in found.values() for _, shown, _ in row} == {MASK}
    # Another language beside it, fewer rows, another budget or more devices change nothing.
    alone = evaluated(Examples([(2, dataset(2, 9))]), tokens_per_device=40)
    assert alone == {(2, row): found[2, row] for row in range(9)}
    ranks = [evaluated(rank=rank, num_ranks=2) for rank in range(2)]
    assert ranks[0] | ranks[1] == found
    assert not ranks[0].keys() & ranks[1].keys()
    # Nor do the ids that replacements are drawn from.
    assert evaluated(draw=masking(others=np.array([5, 6]))) == found


@given(st.lists(st.integers(0, 60), min_size=1, max_size=50), st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_in_evaluation_each_example_has_a_mask_and_the_count_is_told_beforehand(sizes: list[int], first: int) -> None:
    counts, indices = np.array(sizes), np.arange(len(sizes)) + first
    number = num_fixed(indices, counts=counts)

    assert ((number > 0) == (counts > 0)).all()
    assert len(fixed_draws(indices, counts=counts)) == counts.sum()
    for place in range(len(sizes)):
        alone = num_fixed(indices[place : place + 1], counts=counts[place : place + 1])
        assert alone.tolist() == [number[place]]


def test_in_evaluation_the_rate_is_that_of_training() -> None:
    counts = np.full(2000, 120)
    draws = fixed_draws(np.arange(2000), counts=counts)
    assert within(int(num_fixed(np.arange(2000), counts=counts).sum()), 240_000, 0.15)
    # Places and neighbours are as good as independent.
    for shares in (draws.reshape(2000, 120).mean(0), draws.reshape(2000, 120).mean(1)):
        assert abs(shares - 0.5).max() < 5 * (1 / 12 / 120) ** 0.5
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.01


def test_positions_begin_again_in_the_second_sentence_where_that_is_asked_for() -> None:
    rows = dataset(0, 5, pairs=True)
    plain, reset = (Examples([(0, rows)], reset_positions=resets).ragged([3, 1]) for resets in (False, True))
    lengths, seconds = ([rows[row][name] for row in (3, 1)] for name in ("windows", "second"))

    assert plain.position_ids.tolist() == [place for (length,) in lengths for place in range(length)]
    assert reset.position_ids.tolist() == [
        place - (second if place >= second else 0)
        for (length,), second in zip(lengths, seconds, strict=True)
        for place in range(length)
    ]
    assert reset.input_ids.tolist() == plain.input_ids.tolist()
    single = Examples([(0, dataset(0, 5))], reset_positions=True).ragged([2])
    assert single.position_ids.tolist() == list(range(single.num_tokens))


def test_the_ids_are_those_of_the_tokenizer() -> None:
    tokenizer = load_tokenizer("mini")
    of_mini = Masking.of(tokenizer, share=0.2)

    assert (of_mini.mask_id, of_mini.share) == (tokenizer.mask_token_id, 0.2)
    assert set(of_mini.special_ids) == set(tokenizer.all_special_ids)
    assert set(of_mini.others) == set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)
    among = np.array([tokenizer.mask_token_id, 7, 9])
    assert Masking.of(tokenizer, share=0.2, among=among).others.tolist() == [7, 9]
    tokenizer.mask_token = None
    with pytest.raises(UserError, match="has no mask token"):
        Masking.of(tokenizer, share=0.15)
