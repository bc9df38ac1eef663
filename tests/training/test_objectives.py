"""What objectives other than plain cross-entropy do to networks, on faces that nobody drew."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from deepfer.data.base import ImageSet
from deepfer.errors import DataError, RecipeError
from deepfer.labels import Expression
from deepfer.modelfile import InputSpec
from deepfer.models import create_model
from deepfer.models.ib_cnn import weak
from deepfer.models.st_rnn import SpatialRNN
from deepfer.training import checkpoint
from deepfer.training.augment import augment
from deepfer.training.batches import TensorSet
from deepfer.training.loop import train
from deepfer.training.objective import Batch, Objective, Task
from deepfer.training.objectives import create_objective, list_objectives
from deepfer.training.objectives.boosted import boost, evenly
from deepfer.training.objectives.identity import contrast, side_by_side
from deepfer.training.objectives.island import crowding, moves
from deepfer.training.objectives.peaks import pull
from deepfer.training.recipe import Augment, Optimizer, Recipe

LABELS = tuple(Expression)[:3]
FRAMES = 4


def toy(subjects: int = 6, *, seed: int = 0, side: int = 48) -> ImageSet:
    """Recordings of four frames: a subject's own gray, and a patch that grows where its class is.

    Each subject shows each of three expressions once.
    """
    random = np.random.default_rng(seed)
    faces, labels, who, sequences = [], [], [], []
    for subject in range(subjects):
        for label in range(len(LABELS)):
            for frame in range(FRAMES):
                face = random.normal(100 + 10 * (subject % 5), 5, (side, side))
                top = 4 + 14 * label
                face[top : top + 10, 10:38] += 30 * frame
                faces.append(face.clip(0, 255).astype(np.uint8))
                labels.append(label)
                who.append(f"S{subject:02}")
                sequences.append(f"S{subject:02}_{label}")
    return ImageSet(
        images=np.stack(faces),
        labels=np.array(labels),
        expressions=LABELS,
        ids=tuple(map(str, range(len(faces)))),
        subjects=tuple(who),
        sequences=tuple(sequences),
    )


SMALL: dict[str, dict[str, Any]] = {
    "deepfer_fast": {"widths": [4] * 7, "hidden": 16, "dropout": 0.0},
    "tri_conv": {"widths": [4, 4, 8], "hidden": 8, "dropout": 0.0},
    "ib_cnn": {"widths": [4, 4, 8], "units": 32},
    "st_rnn": {"widths": [4] * 7, "frames": FRAMES, "dropout": 0.0},
}
MODEL = {"boosted": "ib_cnn", "sequences": "st_rnn"}
"""By objective: the network that it needs."""


def recipe(objective: str, model: str = "", **options: Any) -> Recipe:
    model = model or MODEL.get(objective, "deepfer_fast")
    return Recipe(
        model=model,
        model_options=SMALL[model],
        dataset="ckplus",
        objective=objective,
        objective_options=options,
        batch_size=24,
        precision="float32",
        epochs=2,
        optimizer=Optimizer(name="sgd", lr=0.01),
        select="last",
    )


def made(own: Recipe, images: ImageSet) -> Objective:
    torch.manual_seed(0)
    network = create_model(own.model, num_classes=len(LABELS), **own.model_options)
    data = TensorSet(images, InputSpec(48, 48), torch.device("cpu"))
    return create_objective(Task(own, network, data, LABELS, torch.float32))


def batch(objective: Objective, chosen: Tensor) -> Batch:
    data = objective.task.data
    faces = data.normalized(data.faces(chosen))
    return Batch(faces, chosen, objective.targets(chosen))


def weights(own: Recipe, run: Path, **more: Any) -> dict[str, Tensor]:
    train(own, toy(), toy(2, seed=1), run=run, **more)
    return load_file(run / checkpoint.BEST)


class TestEveryObjective:
    @pytest.mark.parametrize("name", list_objectives())
    def test_goes_on_where_it_was_stopped(self, name: str, tmp_path: Path) -> None:
        """To the bit: what it keeps beside the network is kept with the run."""

        class StoppedError(Exception):
            pass

        def stop(row: dict[str, Any]) -> None:
            if row["epoch"] == 1:
                raise StoppedError

        own = recipe(name)
        whole = weights(own, tmp_path / "whole")
        with pytest.raises(StoppedError):
            weights(own, tmp_path / "parts", after_epoch=stop)
        parts = weights(own, tmp_path / "parts", resume=True)
        assert all(torch.equal(whole[n], parts[n]) for n in whole)

    @pytest.mark.parametrize("name", list_objectives())
    def test_says_what_the_data_does_not(self, name: str, tmp_path: Path) -> None:
        images = replace(toy(), subjects=None, sequences=None)
        needs = made(recipe(name), toy()).needs
        if needs:
            with pytest.raises(DataError, match=f"{name} needs to know the {needs[0]}"):
                train(recipe(name), images, images, run=tmp_path)

    @pytest.mark.parametrize("name", list_objectives())
    def test_the_number_of_steps_does_not_depend_on_the_order(self, name: str) -> None:
        objective = made(recipe(name), toy())
        count, size = len(objective.task.data), 24
        plain = objective.batches(torch.arange(count // size * size), size)
        for seed in range(5):
            order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
            parts = objective.batches(order[: count // size * size], size)
            assert [len(p) for p in parts] == [len(p) for p in plain]
            assert all(len(p) % objective.together == 0 for p in parts)


def test_faces_that_belong_together_are_changed_alike() -> None:
    faces = torch.rand(3, 1, 24, 24).repeat_interleave(4, dim=0)
    every = Augment(flip=True, rotate=15, scale=0.2, shift=0.1, contrast=0.3, erase=1.0)
    torch.manual_seed(0)
    changed = augment(faces, every, plain=False, together=4).reshape(3, 4, 24, 24)
    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert not torch.allclose(changed[0, 0], faces[0, 0], atol=0.1)


class TestIsland:
    @pytest.mark.parametrize("width", [2, 64])
    def test_seven_free_centres_part_as_far_as_seven_can(self, width: int) -> None:
        torch.manual_seed(0)
        centres = torch.randn(7, width, requires_grad=True)
        optimizer = torch.optim.Adam([centres], lr=0.05)
        for _ in range(400):
            optimizer.zero_grad()
            crowding(centres).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        assert float(crowding(centres).detach()) == pytest.approx(35.0, abs=0.05)  # K (K - 2)

    def test_the_printed_push_is_the_gradient_over_twelve(self) -> None:
        torch.manual_seed(0)
        centres = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(crowding(centres), centres)
        none = torch.zeros(0, 5, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
        torch.testing.assert_close(slope, 12 * moves(centres.detach(), *none, lambda1=1.0))

    def test_an_absent_expression_moves_by_the_push_only(self) -> None:
        centres = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
        x, labels = torch.tensor([[3.0, 0.0], [2.0, 1.0], [0.0, 4.0]]), torch.tensor([0, 0, 1])
        alone = moves(centres, x, labels, 0.0)
        both, push = moves(centres, x, labels, 10.0), moves(centres, x[:0], labels[:0], 10.0)
        torch.testing.assert_close(both - alone, push)
        assert not alone[2].any()
        torch.testing.assert_close(alone[0], torch.tensor([-3.0, -1.0]) / 3)  # over 1 + n
        torch.testing.assert_close(alone[1], torch.tensor([0.0, -2.0]) / 2)

    def test_weighed_by_nothing_it_is_cross_entropy(self, tmp_path: Path) -> None:
        """To the bit, over a whole run."""
        plain = weights(recipe("expressions", "tri_conv"), tmp_path / "plain")
        island = weights(recipe("island", "tri_conv", lambda_c=0.0), tmp_path / "island")
        assert all(torch.equal(plain[n], island[n]) for n in plain)

    def test_the_loss_is_the_printed_sum_and_centres_move_in_training_only(self) -> None:
        own = recipe("island", lambda_c=0.5, lambda1=3.0, alpha=0.7)
        objective = made(own, toy())
        centres = torch.randn(3, 16)
        objective.centres.copy_(centres)  # type: ignore[operator]
        chosen = torch.arange(0, 72, 5)
        objective.eval()
        step = objective(batch(objective, chosen))
        labels = objective.task.data.labels[chosen]
        x = objective.network.features(batch(objective, chosen).faces)
        entropy = functional.cross_entropy(step.logits, labels)
        sums = sum(
            float((x[i] - centres[labels[i]]).square().sum().detach()) / 2
            for i in range(len(chosen))
        )
        expected = float(entropy.detach()) + 0.5 * (sums + 3.0 * float(crowding(centres)))
        assert float(step.loss.detach()) == pytest.approx(expected, rel=1e-5)
        assert torch.equal(objective.centres, centres)  # type: ignore[arg-type]
        objective.train()
        step = objective(batch(objective, chosen))
        assert not torch.equal(objective.centres, centres)  # type: ignore[arg-type]
        step.loss.backward()

    def test_centres_make_classes_tight_and_islands_part_them(self) -> None:
        """Distance to the own class over distance between classes, with two features."""
        ratios, crowded = [], []
        for name, lambda1 in (("expressions", 0), ("island", 0.0), ("island", 10.0)):
            options = {"lambda_c": 0.1, "lambda1": lambda1, "alpha": 0.5, "reduction": "mean"}
            own = recipe(name, "tri_conv", **(options if name == "island" else {}))
            objective = made(replace(own, model_options=own.model_options | {"hidden": 2}), toy())
            learn(objective, epochs=40)
            x, labels = features(objective), objective.task.data.labels
            means = torch.stack([x[labels == k].mean(0) for k in range(len(LABELS))])
            inside = (x - means[labels]).norm(dim=1).mean()
            ratios.append(float(inside / torch.pdist(means).mean()))
            crowded.append(float(crowding(means)))
        assert max(ratios[1:]) < ratios[0]
        assert crowded[2] < crowded[1]


class TestIdentity:
    def test_pairs_that_are_as_they_should_be_are_left_alone(self) -> None:
        """Equal faces of one kind, and faces of two kinds beyond the margin: no loss, no slope."""
        x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 3.0]], requires_grad=True)
        names = torch.tensor([0, 0, 1])
        same, every = names[:, None] == names, torch.ones(3, 3, dtype=torch.bool)
        loss = contrast(x, same, every, 2.0)
        (slope,) = torch.autograd.grad(loss, x)
        assert float(loss.detach()) == 0
        assert not slope.any()

    def test_contrast_is_the_two_means(self) -> None:
        x = torch.tensor([[0.0, 0.0], [0.0, 0.5], [0.0, 1.0]])
        names = torch.tensor([0, 0, 1])
        same, every = names[:, None] == names, torch.ones(3, 3, dtype=torch.bool)
        expected = 0.5 * 0.25 + 0.5 * ((2 - 1) ** 2 + (2 - 0.5) ** 2) / 2
        assert float(contrast(x, same, every, 2.0)) == pytest.approx(expected)
        turned = torch.tensor([2, 0, 1])  # who stands first in a pair does not matter
        other = contrast(x[turned], same[turned][:, turned], every, 2.0)
        assert float(other) == pytest.approx(expected)
        assert float(contrast(x, same, ~same, 2.0)) == pytest.approx(expected - 0.125)

    def test_weighed_by_nothing_it_is_cross_entropy(self) -> None:
        """In the same batches."""
        states = []
        for own in (recipe("expressions"), recipe("identity", expression=0.0, identity=0.0)):
            objective = made(own, toy())
            optimizer = torch.optim.SGD(objective.network.parameters(), lr=0.05)
            for start in range(0, 72, 24):
                optimizer.zero_grad()
                objective(batch(objective, torch.arange(start, start + 24))).loss.backward()
                optimizer.step()
            states.append(objective.network.state_dict())
        assert all(torch.equal(states[0][n], states[1][n]) for n in states[0])

    def test_persons_stand_side_by_side_and_every_image_once(self) -> None:
        names = torch.arange(72) // 12
        order = torch.randperm(72, generator=torch.Generator().manual_seed(0))[:60]
        found = side_by_side(order, names, 8)
        assert sorted(found.tolist()) == sorted(order.tolist())
        runs = torch.unique_consecutive(names[found], return_counts=True)[1]
        assert runs.max() <= 12
        assert len(runs) <= 12

    @pytest.mark.parametrize(("model", "least"), [("tri_conv", 0.8), ("deepfer_fast", 0.5)])
    def test_halves_say_what_they_are_to_say(self, model: str, least: float) -> None:
        """The nearest mean of a subject's features tells who another frame shows, and what."""
        own = recipe("identity", model, expression=1.0, identity=1.0, faces=4)
        images = toy(4)
        objective = made(own, images)
        learn(objective, epochs=40)
        expression, person = features(objective).chunk(2, dim=1)
        assert images.subjects is not None
        who = torch.from_numpy(np.unique(images.subjects, return_inverse=True)[1])
        assert nearest(person, who) > nearest(expression, who) + 0.2
        assert nearest(person, who) > least  # chance: 0.25


def nearest(x: Tensor, names: Tensor) -> float:
    """Return how often a row of unit length is nearest to the mean of its own name."""
    x = functional.normalize(x, dim=1)
    means = torch.stack([x[names == name].mean(0) for name in names.unique()])
    return float((torch.cdist(x, means).argmin(1) == names).float().mean())


class TestPeaks:
    @pytest.mark.parametrize("detach", [True, False])
    def test_peaks_are_not_pulled_where_their_slope_is_suppressed(self, detach: bool) -> None:
        output = torch.randn(6, 5, requires_grad=True)
        (slope,) = torch.autograd.grad(pull(output, detach=detach), output)
        assert slope[1::2].any()
        expected = torch.zeros(3, 5) if detach else -slope[1::2]
        assert torch.equal(slope[0::2], expected)

    def test_a_peak_paired_with_itself_costs_twice_its_cross_entropy(self) -> None:
        objective = made(recipe("peaks", mu=5.0), toy()).eval()
        twice = torch.tensor([3, 7, 11]).repeat_interleave(2)
        step = objective(batch(objective, twice))
        labels = objective.task.data.labels[twice]
        expected = 2 * functional.cross_entropy(step.logits, labels)
        torch.testing.assert_close(step.loss, expected)

    def test_pairs_are_the_peak_and_another_frame_of_its_sequence(self) -> None:
        objective = made(recipe("peaks"), toy())
        names, drawn = objective.task.data.sequences, set()
        assert names is not None
        for seed in range(6):
            order = torch.randperm(72, generator=torch.Generator().manual_seed(seed))
            for part in objective.batches(order[:48], 12):
                peaks, weak = part[0::2], part[1::2]
                assert len(peaks) == 6
                assert torch.equal(names[peaks], names[weak])
                assert (peaks % FRAMES == FRAMES - 1).all()
                assert (weak < peaks).all()
                assert len(set(peaks.tolist())) == 6
                drawn |= set((weak % FRAMES).tolist())
        assert drawn == {0, 1, 2}

    def test_layers_by_name(self) -> None:
        chosen = torch.tensor([3, 1, 7, 5])
        sums = []
        for layers in (["features"], ["convolutions"], ["convolutions", "features"]):
            objective = made(recipe("peaks", layers=layers, mu=1.0), toy()).train()
            step = objective(batch(objective, chosen))
            labels = objective.task.data.labels[chosen]
            entropy = functional.cross_entropy(step.logits, labels)
            sums.append(float((step.loss - 2 * entropy).detach()))
        assert sums[2] == pytest.approx(sums[0] + sums[1], rel=1e-3)
        assert min(sums) > 1e-3
        with pytest.raises(RecipeError, match="no part 'trunk'; its parts: features, attention"):
            made(recipe("peaks", layers=["trunk"]), toy())

    def test_a_strong_pull_spoils_the_peaks_unless_it_is_suppressed(self) -> None:
        """Weak faces that are noise: where they pull as well, the peaks lose what they had."""
        found = {}
        images = toy(4)
        faces = np.array(images.images)
        weak = np.arange(len(faces)) % FRAMES != FRAMES - 1
        faces[weak] = np.random.default_rng(5).integers(0, 256, faces[weak].shape)
        images = replace(images, images=faces)
        for name, mu, detach in (("none", 0.0, True), ("one", 30.0, True), ("both", 30.0, False)):
            objective = made(recipe("peaks", mu=mu, detach=detach), images)
            learn(objective, epochs=50)
            peaks = torch.arange(FRAMES - 1, len(images), FRAMES)
            with torch.inference_mode():
                labels = objective.task.data.labels[peaks]
                logits = objective.network(batch(objective, peaks).faces)
                found[name] = float(functional.cross_entropy(logits, labels))
        assert found["both"] > 1.5 * found["one"], found
        assert found["none"] < 0.5


class TestBoosted:
    def test_weak_answers(self) -> None:
        """Between -1 and 1, and as steep at the threshold as half a deviation says."""
        x = torch.linspace(-50, 50, 101, dtype=torch.float64, requires_grad=True)
        answers = weak(x)
        assert answers.abs().max() < 1
        (slope,) = torch.autograd.grad(answers.sum(), x)
        assert float(slope[50]) == pytest.approx(2.0)

    def test_a_unit_that_knows_is_found_among_many_that_do_not(self) -> None:
        random = torch.Generator().manual_seed(0)
        mean = torch.zeros(1, 128)
        for _ in range(5):
            truth = torch.where(torch.rand(1, 100, generator=random) < 0.2, 1.0, -1.0)
            answers = torch.rand(100, 128, generator=random) * 2 - 1
            answers[:, 7] = -truth[0] * (0.5 + 0.2 * torch.rand(100, generator=random))
            mean += boost(answers, truth, evenly(truth), 20) / 5
        assert float(mean[0, 7]) < -0.5  # turned around
        assert float(mean.abs().sum()) <= 1 + 1e-5

    def test_boosting_separates_what_no_unit_does(self) -> None:
        """Three units that err on different thirds of the faces."""
        truth = torch.where(torch.arange(90) % 2 == 0, 1.0, -1.0).unsqueeze(0)
        answers = truth[0].repeat(3, 1).T.clone()
        for unit in range(3):
            answers[30 * unit : 30 * unit + 30, unit] *= -1
        alpha = boost(answers, truth, evenly(truth), 20)
        assert (torch.sign(alpha @ answers.T) == truth).all()

    def test_even_shares(self) -> None:
        shares = evenly(torch.tensor([[1.0, -1, -1, -1], [-1, -1, -1, -1]]))
        torch.testing.assert_close(shares[0], torch.tensor([3.0, 1, 1, 1]) / 6)
        torch.testing.assert_close(shares[1], torch.full((4,), 0.25))

    @pytest.mark.parametrize("incremental", [True, False])
    def test_the_classifier_is_the_mean_of_all_batches(self, incremental: bool) -> None:
        objective = made(recipe("boosted", incremental=incremental), toy()).train()
        found, orders = [], torch.randperm(72, generator=torch.Generator().manual_seed(0))
        for chosen in orders.split(12):
            data = batch(objective, chosen)
            with torch.no_grad():
                answers = objective.network.features(data.faces)
            truth = 2 * data.targets["expressions"].T - 1
            found.append(boost(answers, truth, evenly(truth), 20))
            objective(data)
        expected = torch.stack(found).mean(0) if incremental else found[-1]
        weights = objective.network.classifier.weight
        torch.testing.assert_close(weights, expected, atol=1e-5, rtol=1e-4)

    def test_units_that_were_never_chosen_do_not_learn(self) -> None:
        objective = made(recipe("boosted", rounds=3), toy()).train()
        step = objective(batch(objective, torch.arange(0, 72, 3)))
        step.loss.backward()
        unused = ~objective.network.classifier.weight.bool().any(0)
        assert 0 < unused.sum() < 32
        slope = objective.network.hidden[1].weight.grad  # type: ignore[index]
        assert not slope[unused].any()
        assert slope[~unused].any(1).all()

    def test_it_learns(self) -> None:
        objective = made(recipe("boosted"), toy())
        learn(objective, epochs=15)
        every = torch.arange(72)
        with torch.inference_mode():
            logits = objective.network(batch(objective, every).faces)
        late = every % FRAMES > 0  # the first frame shows nothing
        right = logits.argmax(1) == objective.task.data.labels
        assert right[late].float().mean() > 0.9


class TestSequences:
    @staticmethod
    def net() -> SpatialRNN:
        torch.manual_seed(0)
        net = SpatialRNN(inputs=5, hidden=4, side=6, slots=3)
        torch.nn.init.normal_(net.bias)
        return net

    @torch.inference_mode()
    def test_a_mirrored_map_gets_the_mirrored_states(self) -> None:
        """Where ↘ and ↙, and ↖ and ↗, change their weights, and places are mirrored as well."""
        net, maps = self.net(), torch.randn(2, 5, 6, 6)
        before, swap = net(maps).reshape(2, 4, -1), [1, 0, 3, 2]
        for weights in net.parameters():
            weights.copy_(weights[swap].clone())
        places = net.places.reshape(4, 3, 6, 6).flip(3)
        net.places.copy_(places.reshape(4, 3, 36))
        after = net(maps.flip(3)).reshape(2, 4, -1)
        torch.testing.assert_close(after[:, swap], before, atol=1e-6, rtol=1e-5)

    @torch.inference_mode()
    def test_without_what_comes_before_it_is_a_layer_on_places(self) -> None:
        net, maps = self.net(), torch.randn(2, 5, 6, 6)
        net.onward.zero_()
        for d, states in enumerate(net.states(maps)):
            expected = torch.einsum("nchw,ck->nkhw", maps, net.inward[d])
            expected = torch.tanh(expected + net.bias[d, 0][:, None, None])
            torch.testing.assert_close(states, expected)

    @torch.inference_mode()
    def test_an_impulse_goes_its_direction_only(self) -> None:
        net, maps = self.net(), torch.randn(1, 5, 6, 6)
        other = maps.clone()
        other[0, :, 2, 3] += 1
        moved = (net.states(maps) != net.states(other)).any(2)[:, 0]  # (4, 6, 6)
        inside = torch.zeros(4, 6, 6, dtype=torch.bool)
        inside[0, 2:, 3:] = inside[1, 2:, :4] = inside[2, :3, :4] = inside[3, :3, 3:] = True
        assert torch.equal(moved, inside)

    def test_the_states_are_the_recursion(self) -> None:
        net, x = self.net(), torch.randn(1, 5, 6, 6)
        states = net.states(x)[0, 0].detach()  # lower right
        with torch.no_grad():
            nothing = torch.zeros(4)
            three = [states[:, 1, 2], states[:, 2, 1], states[:, 1, 1]]
            own = x[0, :, 2, 2] @ net.inward[0] + net.bias[0, 0]
            expected = torch.tanh(own + torch.cat(three) @ net.onward[0])
            torch.testing.assert_close(states[:, 2, 2], expected)
            first = torch.cat([nothing, states[:, 0, 0], nothing])
            own = x[0, :, 0, 1] @ net.inward[0] + net.bias[0, 0]
            torch.testing.assert_close(states[:, 0, 1], torch.tanh(own + first @ net.onward[0]))

    def test_batches_are_whole_sequences_in_order(self) -> None:
        objective = made(recipe("sequences"), toy())
        order = torch.randperm(72, generator=torch.Generator().manual_seed(0))
        parts = objective.batches(order, 24)
        runs = torch.cat(list(parts)).reshape(-1, FRAMES)
        assert torch.equal(runs - runs[:, :1], torch.arange(FRAMES).expand(18, FRAMES))
        assert sorted(runs[:, 0].tolist()) == list(range(0, 72, FRAMES))
        uneven = toy().take(np.arange(71))
        with pytest.raises(DataError, match=r"sequences have 3 to 4 images, .*frames is 4"):
            made(recipe("sequences"), uneven)
        with pytest.raises(RecipeError, match="needs model st_rnn"):
            made(recipe("sequences", "tri_conv"), toy())

    @pytest.mark.parametrize("head", ["recurrent", "pooled"])
    def test_order_is_told_by_the_recurrent_network_alone(self, head: str) -> None:
        """Two frames: the left half is bright and then the right one, or the other way around."""
        random = np.random.default_rng(0)
        faces = random.normal(100, 5, (80, 48, 48))
        for i in range(80):
            left = (i % 2 == 0) == (i // 2 % 2 == 0)
            faces[i, :, slice(0, 24) if left else slice(24, 48)] += 80
        images = ImageSet(
            images=faces.clip(0, 255).astype(np.uint8),
            labels=np.arange(80) // 2 % 2,
            expressions=LABELS,
            ids=tuple(map(str, range(80))),
            sequences=tuple(f"{i // 2:02}" for i in range(80)),
        )
        own = recipe("sequences")
        options = {**own.model_options, "frames": 2, "head": head}
        objective = made(replace(own, model_options=options), images)
        learn(objective, epochs=15)
        every = torch.arange(80)
        with torch.inference_mode():
            found = objective.network(batch(objective, every).faces).argmax(1)
        right = float((found == objective.task.data.labels).float().mean())
        assert right == 1 if head == "recurrent" else right < 0.8

    def test_places_go_to_zero(self) -> None:
        """Whole ones, as the group norm wants."""
        found = []
        for lambda1 in (0.0, 0.1):
            objective = made(recipe("sequences", lambda1=lambda1), toy())
            learn(objective, epochs=30, falling=True)
            found.append(objective.network.hidden[0].spatial.places.norm(dim=1))  # type: ignore[index, union-attr, operator]
        assert found[1].max() < 0.05 < found[0].min()


def learn(objective: Objective, epochs: int, *, falling: bool = False) -> None:
    """Train without a loop, run folder or validation; the learning rate may fall to zero."""
    count, random = len(objective.task.data), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.01)
    objective.train()
    for epoch in range(epochs):
        if falling:
            optimizer.param_groups[0]["lr"] = 0.01 * (1 - epoch / epochs)
        order = torch.randperm(count, generator=random)[: count // 24 * 24]
        for chosen in objective.batches(order, 24):
            optimizer.zero_grad()
            objective(batch(objective, chosen)).loss.backward()
            optimizer.step()
    objective.eval()


@torch.inference_mode()
def features(objective: Objective) -> Tensor:
    """Return the features of all its faces."""
    every = torch.arange(len(objective.task.data))
    return objective.network.features(batch(objective, every).faces)
