"""Recipes, augmentation, losses, optimisers and schedules."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from deepfer.data import open_dataset
from deepfer.errors import RecipeError
from deepfer.metrics import log_loss
from deepfer.modelfile import InputSpec
from deepfer.models import create_model
from deepfer.preprocess import normalize, to_pixels
from deepfer.recipes import list_recipes, recipe_text
from deepfer.training.augment import augment, mixup
from deepfer.training.batches import TensorSet
from deepfer.training.export import fit_temperature
from deepfer.training.objectives.expressions import (
    ExpressionLoss,
    dense_penalty,
    teacher_probabilities,
)
from deepfer.training.optimize import build_optimizer, lr_factor
from deepfer.training.recipe import (
    Augment,
    Distill,
    Loss,
    Optimizer,
    Schedule,
    from_json,
    load_recipe,
)

CPU = torch.device("cpu")
EVERYTHING = Augment(
    flip=True,
    rotate=15,
    scale=0.2,
    shift=0.1,
    shear=5,
    brightness=0.2,
    contrast=0.3,
    noise=0.05,
    erase=1.0,
)


class TestRecipe:
    @pytest.mark.parametrize("name", list_recipes())
    def test_every_shipped_recipe_is_valid(self, name: str) -> None:
        recipe = load_recipe(name)
        create_model(recipe.model, num_classes=7, **recipe.model_options)
        assert from_json(recipe.to_json(), name) == recipe

    def test_overrides(self) -> None:
        name = list_recipes()[0]
        recipe = load_recipe(name, ["optimizer.lr=0.5", "init=run/x", "model_options.dropout=0.1"])
        assert recipe.optimizer.lr == 0.5
        assert recipe.init == "run/x"
        assert recipe.model_options["dropout"] == 0.1
        assert recipe.fingerprint() != load_recipe(name).fingerprint()

    @pytest.mark.parametrize("override", ["lr", "=1", "seed.x=1"])
    def test_bad_overrides(self, override: str) -> None:
        with pytest.raises(RecipeError):
            load_recipe(list_recipes()[0], ["seed=1", override])

    def test_freezing_needs_weights(self) -> None:
        with pytest.raises(RecipeError, match=r"freeze: .* init, which is not set"):
            load_recipe("drawn_deepfer_fast", ["freeze=['convolutions']"])

    @pytest.mark.parametrize("reset", ["attention", "attention.0"])
    def test_parts_are_frozen_or_reset(self, reset: str) -> None:
        own = ["init=run/x", "freeze=['convolutions', 'attention']", f"reset=['{reset}']"]
        with pytest.raises(RecipeError, match=f"'attention' would stay random.*'{reset}'"):
            load_recipe("drawn_deepfer_fast", own)

    @pytest.mark.parametrize(
        ("override", "expected"),
        [
            ("optimizer.lr=inf", "optimizer.lr: Input should be"),
            ("optimizer.lr=nan", "optimizer.lr: Input should be"),
            ("loss.dense_penalty=inf", "loss.dense_penalty: Input should be"),
            ("optimizer.betas=[1.0, 0.9]", "optimizer.betas.0: Input should be less than 1"),
            ("seed=99999999999999999999", "seed: "),
            ("distill.weight=0.5", "distill: needs both"),
            ("distill.teachers=['runs/x']", "distill: needs both"),
            ("saliency.stride=17", "saliency.stride: 17 is more than the patch of 16"),
        ],
    )
    def test_values_that_cannot_be_meant(self, override: str, expected: str) -> None:
        with pytest.raises(RecipeError, match=expected):
            load_recipe("drawn_deep_emotion", [override])

    def test_a_byte_order_mark_is_forgiven(self, tmp_path: Path) -> None:
        text = recipe_text("drawn_deep_emotion")
        (tmp_path / "own.toml").write_text(text, encoding="utf-8-sig")
        assert load_recipe(str(tmp_path / "own.toml")) == load_recipe("drawn_deep_emotion")

    def test_no_toml(self, tmp_path: object) -> None:
        with pytest.raises(RecipeError, match="cannot read"):
            load_recipe("nowhere.toml")


class TestAugment:
    def test_range_shape_and_seed(self) -> None:
        faces = torch.rand(16, 1, 48, 48)
        torch.manual_seed(3)
        once = augment(faces, EVERYTHING, plain=False)
        torch.manual_seed(3)
        again = augment(faces, EVERYTHING, plain=False)
        assert torch.equal(once, again)
        assert once.shape == faces.shape
        assert once.min() >= 0
        assert once.max() <= 1
        assert not torch.allclose(once, faces, atol=0.1)

    def test_nothing_asked_nothing_done(self) -> None:
        faces = torch.rand(4, 1, 48, 48)
        assert torch.equal(augment(faces, Augment(), plain=False), faces)

    def test_flip_mirrors_half_exactly(self) -> None:
        torch.manual_seed(0)
        faces = torch.rand(200, 1, 12, 12)
        result = augment(faces, Augment(flip=True), plain=False)
        same = (result - faces).abs().amax((1, 2, 3)) < 1e-4
        mirrored = (result - faces.flip(3)).abs().amax((1, 2, 3)) < 1e-4
        assert (same ^ mirrored).all()
        assert 60 < same.sum() < 140

    def test_erasing_stops_for_plain_epochs(self) -> None:
        faces = torch.rand(8, 1, 48, 48)
        assert torch.equal(augment(faces, Augment(erase=1.0), plain=True), faces)
        changed = (augment(faces, Augment(erase=1.0), plain=False) != faces).float().mean((1, 2, 3))
        assert (changed > 0.01).all()
        assert (changed < 0.35).all()

    def test_mixup_blends_faces_and_targets_alike(self) -> None:
        torch.manual_seed(0)
        faces = torch.arange(6.0).view(6, 1, 1, 1)
        targets = functional.one_hot(torch.arange(6)).float()
        mixed, found = mixup(faces, {"targets": targets}, 1.0)
        blended = found["targets"]
        expected = (blended * torch.arange(6.0)).sum(1)
        torch.testing.assert_close(mixed.flatten(), expected)
        torch.testing.assert_close(blended.sum(1), torch.ones(6))


def test_training_and_recognition_normalize_alike() -> None:
    drawn = open_dataset("drawn", None, per_class=1).load("val")
    spec = InputSpec(48, 48)
    tensors = TensorSet(drawn, spec, torch.device("cpu"))
    trained = tensors.normalized(tensors.faces(torch.arange(8)))
    used = normalize(to_pixels(drawn.images, spec)[:8], spec)
    np.testing.assert_allclose(trained, used, atol=1e-6)


class TestLoss:
    logits = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3]])
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    counts = torch.tensor([10, 20, 70])

    def test_plain_is_cross_entropy(self) -> None:
        loss = ExpressionLoss(Loss(), Distill(), self.counts)(self.logits, self.targets)
        expected = functional.cross_entropy(self.logits, torch.tensor([0, 2]))
        torch.testing.assert_close(loss, expected)

    def test_class_weights_are_inverse_frequency_with_mean_one(self) -> None:
        weights = ExpressionLoss(Loss(class_weights=True), Distill(), self.counts).weights
        assert weights is not None
        torch.testing.assert_close(weights.mean(), torch.tensor(1.0))
        torch.testing.assert_close(weights[0] / weights[2], torch.tensor(7.0))

    def test_logit_adjustment_adds_the_log_prior(self) -> None:
        loss = ExpressionLoss(Loss(logit_adjustment=1.0), Distill(), self.counts)
        expected = functional.cross_entropy(
            self.logits + torch.tensor([0.1, 0.2, 0.7]).log(), torch.tensor([0, 2])
        )
        torch.testing.assert_close(loss(self.logits, self.targets), expected)

    def test_votes_add_a_second_cross_entropy(self) -> None:
        votes = torch.tensor([[0.5, 0.5], [0.0, 0.0]])
        vote_logits = torch.tensor([[1.0, 0.0], [5.0, 5.0]])
        loss = ExpressionLoss(Loss(votes=2.0), Distill(), self.counts)
        total = loss(self.logits, self.targets, vote_logits=vote_logits, vote_targets=votes)
        second = -functional.log_softmax(vote_logits[0], 0).mean() / 2  # the empty row counts zero
        plain = functional.cross_entropy(self.logits, torch.tensor([0, 2]))
        torch.testing.assert_close(total, plain + 2 * second)

    def test_distillation_from_itself_costs_nothing(self) -> None:
        distill = Distill(weight=1.0, temperature=2.0)
        teacher = torch.softmax(self.logits / 2, 1)
        loss = ExpressionLoss(Loss(), distill, self.counts)
        value = loss(self.logits, self.targets, teacher=teacher)
        torch.testing.assert_close(value, torch.tensor(0.0), atol=1e-6, rtol=0)
        assert loss(self.logits.flip(1), self.targets, teacher=teacher) > 0.1

    def test_teachers_are_averaged_over_both_mirror_images(self) -> None:
        class Left(nn.Module):
            def forward(self, faces: torch.Tensor) -> torch.Tensor:
                return torch.stack([faces[:, 0, 0, 0], faces[:, 0, 0, -1]], 1)

        faces = torch.tensor([[[[3.0, 1.0]]]])
        both = teacher_probabilities([Left()], faces, Distill(mirror=True))
        torch.testing.assert_close(both, torch.tensor([[0.5, 0.5]]))

    def test_penalty_is_the_squared_norm_of_the_dense_weights(self) -> None:
        network = create_model("deepfer", num_classes=7)
        expected = sum(
            float((m.weight.detach() ** 2).sum())
            for name, m in network.named_modules()
            if isinstance(m, nn.Linear) and not name.startswith("transformer")
        )
        assert float(dense_penalty(network).detach()) == pytest.approx(expected, rel=1e-5)


class TestOptimizer:
    @pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
    def test_decay_spares_biases_and_norms(self, name: str) -> None:
        module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        optimizer = build_optimizer(module, Optimizer(name=name, weight_decay=0.1), CPU)  # type: ignore[arg-type]
        decayed, spared = optimizer.param_groups
        assert [p.ndim for p in decayed["params"]] == [2]
        assert decayed["weight_decay"] == 0.1
        assert spared["weight_decay"] == 0
        every = build_optimizer(module, Optimizer(weight_decay=0.1, decay_all=True), CPU)
        assert len(every.param_groups[0]["params"]) == 4

    def test_schedules(self) -> None:
        assert lr_factor(Schedule(), 0.7, 0) == 1
        cosine = Schedule(name="cosine", final=0.1)
        assert lr_factor(cosine, 0, 0.1) == 0
        assert lr_factor(cosine, 0.05, 0.1) == pytest.approx(0.5)
        assert lr_factor(cosine, 0.1, 0.1) == pytest.approx(1)
        assert lr_factor(cosine, 0.55, 0.1) == pytest.approx(0.55)
        assert lr_factor(cosine, 1, 0.1) == pytest.approx(0.1)
        one = Schedule(name="one_cycle")
        values = [lr_factor(one, p, 0) for p in np.linspace(0, 1, 101)]
        assert values[0] == pytest.approx(0.04)
        assert np.argmax(values) == 30
        assert values[100] == pytest.approx(0)


def test_temperature_is_the_least_log_loss() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 7)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    true = np.array([random.choice(7, p=p) for p in probabilities])
    assert fit_temperature(logits, logits.argmax(1)) == 1  # all right: no optimum
    assert fit_temperature(logits, random.permutation(true)) == 4  # chance: bounded
    found = fit_temperature(logits * 3, true)
    assert found == pytest.approx(3, rel=0.05)

    def loss(temperature: float) -> float:
        scaled = np.exp(logits * 3 / temperature)
        return log_loss(scaled / scaled.sum(1, keepdims=True), true)

    assert loss(found) <= min(loss(found * 0.97), loss(found * 1.03))
