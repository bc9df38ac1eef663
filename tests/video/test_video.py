"""Videos: exact times, tracking, smoothing, rows, annotated copies and the command."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as PillowImage

from conftest import ROOT, Run
from deepfer import Recognizer
from deepfer.errors import InputError
from deepfer.files import claimed
from deepfer.find import FaceFinder
from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.types import Face, Image
from deepfer.video import FrameFaces, analyse
from deepfer.video.annotated import annotated_copy
from deepfer.video.frames import Camera, Frame, VideoFile
from deepfer.video.rows import row_file
from deepfer.video.search import search
from deepfer.video.summary import Summary
from deepfer.video.tracking import Smoother, Tracker, thumbnail

TIMES = [0.0, 0.04, 0.08, 0.2, 0.24, 0.28, 0.5, 0.9, 1.0, 1.04]
Make = Callable[..., Path]


@pytest.fixture(scope="session")
def portrait() -> PillowImage.Image:
    picture = PillowImage.open(ROOT / "examples" / "astronaut.png").convert("RGB")
    return picture.crop((130, 0, 330, 200))


@pytest.fixture
def make_video(tmp_path: Path, portrait: PillowImage.Image) -> Make:
    """Write a clip: the portrait at places over time, on gray, 320x240.

    With sound if wanted; `degrees` turns all of it to the left, by quarters.
    """

    def make(
        name: str = "clip.mp4",
        times: list[float] = TIMES,
        places: Callable[[float], list[tuple[int, int]]] = lambda t: [(60, 20)],
        *,
        sound: bool = False,
        degrees: int = 0,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as file:
            stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
            stream.width, stream.height = (240, 320) if degrees % 180 else (320, 240)
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, 90_000)
            voice = file.add_stream("aac", rate=16_000) if sound else None
            for time in times:
                picture = PillowImage.new("RGB", (320, 240), (90, 90, 90))
                for place in places(time):
                    picture.paste(portrait, place)
                frame = av.VideoFrame.from_image(picture.rotate(degrees, expand=True))
                frame.pts, frame.time_base = round(time * 90_000), Fraction(1, 90_000)
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
            if voice is not None:
                samples = np.zeros((1, 16_000), dtype=np.float32)
                tone = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                tone.sample_rate, tone.pts = 16_000, 0
                file.mux(voice.encode(tone))
                file.mux(voice.encode(None))
        return path

    return make


class TestFrames:
    def test_times_are_those_of_the_file(self, make_video: Make) -> None:
        with VideoFile(make_video()) as video:
            frames = list(video.frames())
        assert [f.number for f in frames] == list(range(10))
        np.testing.assert_allclose([f.time for f in frames], TIMES, atol=1e-4)
        assert frames[0].rgb.shape == (240, 320, 3)
        assert frames[0].gray.shape == (240, 320)
        assert frames[0].small(160).shape == (120, 160, 3)

    def test_every_start_and_end(self, make_video: Make) -> None:
        path = make_video()

        def times(**options: float) -> list[float]:
            with VideoFile(path) as video:
                return [round(f.time, 2) for f in video.frames(**options)]

        assert times(every=0.2) == [0.0, 0.2, 0.5, 0.9, 1.0]
        assert times(start=0.25, end=1.0) == [0.28, 0.5, 0.9]
        assert times(every=0.3, start=0.2) == [0.2, 0.5, 0.9]
        assert times(start=9) == []

    def test_turned_frames_are_brought_upright(self, portrait: PillowImage.Image) -> None:
        lying = portrait.resize((200, 100)).rotate(-90, expand=True)
        frame = Frame(0, 0.0, av.VideoFrame.from_image(lying), turns=1)
        assert frame.rgb.shape == (100, 200, 3)
        assert frame.small(50).shape == (25, 50, 3)
        difference = frame.rgb.astype(int) - np.asarray(portrait.resize((200, 100)))
        assert np.abs(difference).mean() < 3

    def test_bad_files(self, tmp_path: Path, make_video: Make) -> None:
        with pytest.raises(InputError, match="no such video"):
            VideoFile(tmp_path / "none.mp4")
        (tmp_path / "text.mp4").write_text("text")
        with pytest.raises(InputError, match="not a video"):
            VideoFile(tmp_path / "text.mp4")
        with av.open(str(tmp_path / "sound.wav"), "w") as file:
            voice = file.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
            frame.sample_rate = 8000
            file.mux(voice.encode(frame))
        with pytest.raises(InputError, match="only sound"):
            VideoFile(tmp_path / "sound.wav")
        whole = make_video("whole.mkv").read_bytes()
        (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
        with VideoFile(tmp_path / "cut.mkv") as video:
            assert 0 < len(list(video.frames())) < 10

    @pytest.mark.parametrize("name", ["10:30 meeting.mp4", "http:/a.mp4", "concat:b|c.mp4"])
    def test_names_are_never_addresses(
        self, tmp_path: Path, make_video: Make, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path(name).parent.mkdir(exist_ok=True)
        make_video("clip.mp4", [0.0, 0.1]).rename(name)
        for kind in (VideoFile, Camera):
            with kind(name) as video:
                assert len(list(video.frames())) == 2
        with VideoFile(name) as video, annotated_copy(Path("11:00.mp4"), Path(name)) as write:
            for found in analyse(video, Recognizer()):
                write(found)
        assert Path("11:00.mp4").exists()

    @pytest.mark.parametrize("kind", [VideoFile, Camera])
    def test_a_playlist_reads_no_neighbour(
        self, tmp_path: Path, make_video: Make, kind: type[VideoFile]
    ) -> None:
        clip = make_video("clip.ts", [0.0, 0.1])
        lists = {
            "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
            "concat": f"ffconcat version 1.0\nfile '{clip}'\n",
        }
        for name, content in lists.items():
            (tmp_path / f"{name}.mp4").write_text(content)
            with pytest.raises(InputError, match=r"cannot be opened|not a video"):
                kind(tmp_path / f"{name}.mp4")

    def test_a_kind_that_nobody_knows(self, make_video: Make, tmp_path: Path) -> None:
        odd = tmp_path / "odd.mkv"
        odd.write_bytes(
            make_video("clip.mkv").read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_NONE4/ISO/AVC")
        )
        with pytest.raises(InputError, match=r"odd\.mkv: its pictures are of an unknown kind"):
            VideoFile(odd)

    def test_a_frame_that_cannot_be_shown(self) -> None:
        class Odd:
            width = height = 16

            def reformat(self, *_: object, **__: object) -> None:
                raise av.error.OSError(95, "Operation not supported", "")

        with pytest.raises(InputError, match=r"frame 7 cannot be shown \(Operation not supported"):
            assert Frame(7, 0.0, Odd(), 0).rgb.size  # type: ignore[arg-type]

    def test_a_pixel_limit(
        self, make_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip = make_video()
        monkeypatch.setattr("deepfer.video.frames.MAX_PIXELS", 320 * 240 - 1)
        with pytest.raises(InputError, match=r"frames of 320x240 pixels; at most 76,799 are taken"):
            VideoFile(clip)

    @pytest.mark.parametrize("sound", [False, True])
    def test_joined_recordings_are_counted_on(
        self, make_video: Make, tmp_path: Path, sound: bool
    ) -> None:
        times = [i / 25 for i in range(12)]
        one = make_video("one.ts", times, sound=sound).read_bytes()
        joined = tmp_path / "joined.ts"
        joined.write_bytes(one * 3)
        with VideoFile(joined) as video:
            seen = [frame.time for frame in video.frames()]
            assert video.joined.startswith(f"{joined}: its times go back at frame 12")
        np.testing.assert_allclose(seen, [i / 25 for i in range(36)], atol=1e-3)
        with VideoFile(joined) as video:
            assert len(list(video.frames(every=0.2))) == 8
        with VideoFile(joined) as video, annotated_copy(tmp_path / "a.mp4", joined) as write:
            for found in analyse(video, Recognizer(), every=0.2):
                write(found)
        with av.open(str(tmp_path / "a.mp4")) as copy:
            assert len(list(copy.decode(video=0))) == 8
            assert len(copy.streams.audio) == sound

    @pytest.mark.parametrize("size", [(1, 1), (64, 1)])
    def test_one_pixel_wide(self, tmp_path: Path, size: tuple[int, int]) -> None:
        with av.open(str(tmp_path / "a.mkv"), "w") as file:
            stream = file.add_stream("ffv1", rate=10)
            stream.width, stream.height = size
            stream.pix_fmt = "bgr0"
            file.mux(stream.encode(av.VideoFrame.from_image(PillowImage.new("RGB", size))))
            file.mux(stream.encode(None))
        clip, target = tmp_path / "a.mkv", tmp_path / "b.mp4"
        with VideoFile(clip) as video, annotated_copy(target, clip) as write:
            for found in analyse(video, Recognizer()):
                write(found)
        with VideoFile(target) as video:
            assert next(video.frames()).size == tuple(max(2, side) for side in size)


def face(x: float, y: float, size: int = 40) -> Face:
    return Face((round(x), round(y), size, size), None, 0.9)


class TestTracker:
    def run(self, steps: Iterator[tuple[float, list[Face]]]) -> list[list[int]]:
        tracker, gray = Tracker(), thumbnail(np.full((48, 64), 90, dtype=np.uint8))
        return [tracker.update(time, faces, gray) for time, faces in steps]

    def test_moving_faces_keep_their_ids_whatever_their_order(self) -> None:
        pairs = ((i, [face(10 + 4 * i, 50), face(400 - 4 * i, 150)]) for i in range(60))
        found = self.run((i / 30, pair[:: -1 if i % 2 else 1]) for i, pair in pairs)
        assert found == [[2, 1] if i % 2 else [1, 2] for i in range(60)]

    def test_a_short_occlusion_keeps_the_id_and_a_long_one_does_not(self) -> None:
        def hidden(seconds: float) -> list[int]:
            steps = [*np.arange(0, 1, 1 / 30), *np.arange(1 + seconds, 2 + seconds, 1 / 30)]
            found = self.run((t, [face(100 + 20 * t, 100)]) for t in steps)
            return [ids[0] for ids in found]

        assert set(hidden(1.0)) == {1}
        assert hidden(3.0)[-1] == 2

    def test_a_cut_ends_all_tracks(self) -> None:
        tracker = Tracker()
        dark, light = (thumbnail(np.full((48, 64), v, dtype=np.uint8)) for v in (30, 200))
        assert tracker.update(0.0, [face(10, 10)], dark) == [1]
        assert tracker.update(0.04, [face(10, 10)], dark) == [1]
        assert tracker.update(0.08, [face(10, 10)], light) == [2]

    def test_one_track_is_not_given_to_two_faces(self) -> None:
        found = self.run(iter([(0.0, [face(10, 10)]), (0.04, [face(12, 10), face(18, 10)])]))
        assert found == [[1], [1, 2]]

    def test_a_much_larger_face_is_another_one(self) -> None:
        found = self.run(iter([(0.0, [face(10, 10, 30)]), (0.04, [face(10, 10, 90)])]))
        assert found == [[1], [2]]


def test_smoothing() -> None:
    smoother = Smoother(0.5)
    first, last = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert smoother.update(1, 0.0, first).tolist() == [1, 0]
    for i in range(1, 51):
        found = smoother.update(1, i / 100, last)
    assert found[1] == pytest.approx(1 - np.exp(-1), abs=1e-3)
    assert sum(found) == pytest.approx(1)
    assert smoother.update(2, 9.0, last).tolist() == [0, 1]


class TestSearch:
    """Which frames are searched, and what those between are filled with."""

    @pytest.fixture
    def follow(self, make_video: Make) -> Callable[..., tuple[int, list[FrameFaces]]]:
        def run(
            places: Callable[[float], list[tuple[int, int]]], every: float, frames: int = 22
        ) -> tuple[int, list[FrameFaces]]:
            recognizer, searched = Recognizer(), []
            find = recognizer.find
            recognizer.find = lambda picture: searched.append(1) or find(picture)
            clip = make_video(times=[i / 25 for i in range(frames)], places=places)
            with VideoFile(clip) as video:
                found = list(analyse(video, recognizer, search_every=every))
            assert [f.frame.number for f in found] == list(range(frames))
            return len(searched), found

        return run

    def test_calm_faces_are_filled_in(self, follow: Callable[..., Any]) -> None:
        def walk(time: float) -> list[tuple[int, int]]:
            return [(round(10 + 60 * time), 20), (round(200 - 30 * time), 30)]

        count, found = follow(walk, 0.1)
        everywhere, expected = follow(walk, 0.0)
        assert (count, everywhere) == (8, 22)  # 0, 3, 6 ... 21
        for one, other in zip(found, expected, strict=True):
            by_id, expected_by_id = (sorted(f.faces, key=lambda f: f.id) for f in (one, other))
            assert [f.id for f in by_id] == [f.id for f in expected_by_id]
            for a, b in zip(by_id, expected_by_id, strict=True):
                # from frame to frame the detector itself is unsure by as much
                np.testing.assert_allclose(a.now.face.box, b.now.face.box, atol=8)
                np.testing.assert_allclose(a.now.face.landmarks, b.now.face.landmarks, atol=5)
                for label, value in a.now.probabilities.items():
                    assert value == pytest.approx(b.now.probabilities[label], abs=0.03)

    @pytest.mark.parametrize("degrees", [90, 180, 270])
    def test_turned_videos(self, make_video: Make, degrees: int) -> None:
        """Someone lies, or the phone was held across: answers are those of the upright video."""

        def walk(time: float) -> list[tuple[int, int]]:
            return [(round(20 + 40 * time), 20)]

        times = [i / 25 for i in range(40)]
        found = []
        for turn in (0, degrees):
            clip = make_video(name=f"{turn}.mp4", times=times, places=walk, degrees=turn)
            with VideoFile(clip) as video:
                found.append(list(analyse(video, Recognizer())))
        for upright, turned in zip(*found, strict=True):
            ((one,), (other,)) = upright.faces, turned.faces
            assert (other.id, other.now.expression) == (1, one.now.expression)
            left, top, width, height = one.now.face.box
            middle = complex(left + width / 2 - 160, top + height / 2 - 120)
            middle *= {90: -1j, 180: -1, 270: 1j}[degrees]  # y runs down
            left, top, width, height = other.now.face.box
            size = (240, 320) if degrees % 180 else (320, 240)
            there = complex(left + width / 2 - size[0] / 2, top + height / 2 - size[1] / 2)
            assert abs(there - middle) < 15
            roll = other.now.quality.pose.roll
            assert abs((roll + degrees + 180) % 360 - 180) < 15

    def test_thorough_searches_are_seldom(
        self, make_video: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        searched = []
        search_all = FaceFinder.search
        monkeypatch.setattr(FaceFinder, "search", lambda *a: searched.append(1) or search_all(*a))
        clip = make_video(times=[i / 25 for i in range(60)], places=lambda t: [])
        with VideoFile(clip) as video:
            assert not any(f.faces for f in analyse(video, Recognizer()))
        assert len(searched) == 3  # 0, 1 and 2 seconds

    def test_the_last_frame_is_searched(self, follow: Callable[..., Any]) -> None:
        count, found = follow(lambda t: [(60, 20)], 0.1, frames=6)
        assert count == 3  # 0, 3, 5
        assert all(len(f.faces) == 1 for f in found)

    @pytest.mark.parametrize(
        "places",
        [
            lambda t: [(10, 20), (150, 30)] if t > 0.43 else [(10, 20)],  # someone comes
            lambda t: [(10 if t < 0.43 else 110, 20)],  # a leap
            lambda t: [] if 0.43 < t < 0.6 else [(10, 20)],  # nobody for a moment
        ],
    )
    def test_all_frames_are_searched_where_faces_change(
        self, follow: Callable[..., Any], places: Callable[[float], list[tuple[int, int]]]
    ) -> None:
        count, found = follow(places, 0.1)
        everywhere, expected = follow(places, 0.0)
        assert 8 < count < everywhere == 22
        for one, other in zip(found, expected, strict=True):
            assert {f.id for f in one.faces} == {f.id for f in other.faces}

    def find_in(
        self, shades: Sequence[int], times: Sequence[float], every: float = 0.1
    ) -> tuple[int, list[int]]:
        """Search plain frames; return how many were searched, and what stands in each.

        Dark frames have a face at 10, others one at 12.
        """

        class Pictures:
            detect_size = 64

            def find(self, picture: Image) -> list[Face]:
                searched.append(1)
                return [face(10 if picture.mean() < 100 else 12, 10)]

        def frames() -> Iterator[Frame]:
            for i, (shade, time) in enumerate(zip(shades, times, strict=True)):
                pixels = np.full((48, 64, 3), shade, dtype=np.uint8)
                yield Frame(i, time, av.VideoFrame.from_ndarray(pixels), 0)

        searched: list[int] = []
        with ThreadPoolExecutor(1) as pool:
            found = list(search(frames(), Pictures(), pool, every=every, ahead=6))  # type: ignore[arg-type]
        assert [f.frame.number for f in found] == list(range(len(times)))
        return len(searched), [f.faces[0].box[0] for f in found]

    def test_nothing_is_filled_in_across_a_cut(self) -> None:
        count, places = self.find_in([30] * 5 + [200] * 2, np.arange(7) / 30)
        assert places == [10] * 5 + [12] * 2
        assert count == 5  # 0, 3, 6, and 4 and 5, between which the scene changes

    def test_a_flash_between_is_searched(self) -> None:
        count, places = self.find_in([30] * 4 + [200] + [30] * 2, np.arange(7) / 30)
        assert places == [10] * 4 + [12] + [10] * 2
        assert count == 4  # 0, 3, 6 and the flash

    @pytest.mark.parametrize("every", [0.0, 0.1])
    @pytest.mark.parametrize(
        "times", [[0.0] * 12, [0.0, 0.1, 0.1, 0.1], [1.0, 1.04, 0.0, 0.04, 0.08, 0.12]]
    )
    def test_times_that_stand_still_or_go_back(self, times: list[float], every: float) -> None:
        count, places = self.find_in([30] * len(times), times, every)
        assert places == [10] * len(times)
        assert (count == len(times)) == (every == 0)

    def test_frames_are_taken_only_when_asked_for(self) -> None:
        taken: list[int] = []

        def frames() -> Iterator[Frame]:
            for i in range(3):
                taken.append(i)
                gray = np.zeros((48, 64, 3), dtype=np.uint8)
                yield Frame(i, i / 30, av.VideoFrame.from_ndarray(gray), 0)

        with ThreadPoolExecutor(1) as pool:
            found = search(frames(), Recognizer(), pool, every=0, ahead=0)
            for i in range(3):
                assert next(found).frame.number == i
                assert taken == list(range(i + 1))


class TestAnalysis:
    def test_two_people_and_an_occlusion(self, make_video: Make) -> None:
        def places(time: float) -> list[tuple[int, int]]:
            left = (round(4 * time), 20)
            return [(150, 40)] if 0.3 < time < 0.6 else [left, (150, 40)]

        clip = make_video(times=[i / 25 for i in range(25)], places=places)
        with VideoFile(clip) as video:
            found = list(analyse(video, Recognizer(), workers=2))
        assert [f.frame.number for f in found] == list(range(25))
        ids = [sorted(face.id for face in f.faces) for f in found]
        assert ids[0] == ids[-1] == [1, 2]
        assert {i for own in ids for i in own} == {1, 2}
        assert min(map(len, ids)) == 1
        for frame in found:
            for one in frame.faces:
                assert one.smoothed.expression == "happy"
                assert sum(one.smoothed.probabilities.values()) == pytest.approx(1, abs=1e-4)

    def test_small_and_large_searches_agree(self, make_video: Make) -> None:
        clip = make_video(times=[0.0, 0.04])
        boxes = []
        for size in (160, 320):
            with VideoFile(clip) as video:
                first = next(iter(analyse(video, Recognizer(detect_size=size))))
            boxes.append(np.array(first.faces[0].now.face.box))
        assert np.abs(boxes[0] - boxes[1]).max() <= 8


class TestFiles:
    def test_the_kinds_of_rows_agree(self, make_video: Make, tmp_path: Path) -> None:
        recognizer = Recognizer()
        paths = [tmp_path / f"rows.{kind}" for kind in ("csv", "parquet", "jsonl")]
        for path in paths:
            with (
                VideoFile(make_video()) as video,
                row_file(path, recognizer.labels) as write,
            ):
                for found in analyse(video, recognizer):
                    write("clip", found)
        text = list(csv.DictReader(paths[0].read_text().splitlines()))
        table = pq.read_table(paths[1]).to_pylist()
        lines = [json.loads(line) for line in paths[2].read_text().splitlines()]
        assert len(text) == len(table) == len(lines) == 10
        for a, b, c in zip(text, table, lines, strict=True):
            assert float(a["time_s"]) == b["time_s"] == c["time_s"]
            assert int(a["face"]) == b["face"] == c["faces"][0]["id"]
            assert float(a["p_happy"]) == b["p_happy"] == c["faces"][0]["probabilities"]["happy"]
            assert float(a["s_happy"]) == b["s_happy"] == c["faces"][0]["smoothed"]["happy"]

    def test_a_failure_leaves_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError), row_file(tmp_path / "a.csv", BASIC_EXPRESSIONS):
            raise RuntimeError
        with pytest.raises(InputError, match=r"\.parquet"), row_file(tmp_path / "a.txt", ()):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_the_copy_keeps_times_and_sound(self, make_video: Make, tmp_path: Path) -> None:
        clip = make_video("spoken.mp4", sound=True)
        for name in ("copy.mp4", "copy.mkv"):
            with VideoFile(clip) as video, annotated_copy(tmp_path / name, clip) as write:
                for found in analyse(video, Recognizer()):
                    write(found)
            with av.open(str(tmp_path / name)) as copy:
                assert len(copy.streams.audio) == 1
                assert sum(f.samples for f in copy.decode(audio=0)) >= 15_000
            with VideoFile(tmp_path / name) as video:
                frames = list(video.frames())
            np.testing.assert_allclose([f.time for f in frames], TIMES, atol=2e-3)
            assert frames[0].rgb.shape == (240, 320, 3)
        with pytest.raises(InputError, match="overwrite"), annotated_copy(clip, clip):
            pass

    def test_the_summary_is_bounded(self, make_video: Make) -> None:
        with VideoFile(make_video()) as video:
            found = next(iter(analyse(video, Recognizer())))
        summary = Summary(BASIC_EXPRESSIONS)
        for i in range(3000):
            frame = Frame(i, i * 0.2, found.frame.decoded, 0)
            summary.add(replace(found, frame=frame))
        assert len(summary._sums[1]) <= 600
        assert summary.width == 1.6
        shares = summary.shares()[1]
        assert shares["happy"] == pytest.approx(found.faces[0].smoothed.probabilities["happy"])
        assert summary.picture("clip")[:4] == b"\x89PNG"
        assert Summary(BASIC_EXPRESSIONS).picture("empty")[:4] == b"\x89PNG"


class TestCommand:
    def test_one_video(self, deepfer: Run, make_video: Make, tmp_path: Path) -> None:
        make_video()
        targets = ("--csv", "r.csv", "--out", "a.mp4", "--summary", "s.png")
        done = deepfer("video", "clip.mp4", *targets, "--start", "0.1s", "--every", "0.1s")
        assert done.returncode == 0, done.stderr
        assert "face 1: happy" in done.stdout
        rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
        times = [float(r["time_s"]) for r in rows]
        assert times == pytest.approx([0.2, 0.5, 0.9, 1.0], abs=1e-3)
        assert (tmp_path / "a.mp4").exists()
        assert (tmp_path / "s.png").exists()
        assert not list(tmp_path.glob(".*"))

    def test_several_videos_and_going_on(
        self, deepfer: Run, make_video: Make, tmp_path: Path
    ) -> None:
        make_video("a.mp4", times=[0.0, 0.1])
        make_video("b.mp4", times=[0.0, 0.1])
        (tmp_path / "c.mp4").write_text("no video")
        command = ("video", "a.mp4", "b.mp4", "c.mp4", "--csv", "rows.csv", "--parquet", "rows")
        done = deepfer(*command)
        assert done.returncode == 3
        assert "c.mp4" in done.stderr
        written = sorted(p.name for p in (tmp_path / "rows").iterdir())
        assert written == ["a.csv", "a.parquet", "b.csv", "b.parquet"]
        (tmp_path / "rows" / "b.csv").unlink()
        again = deepfer(*command, "--resume")
        assert "a.mp4: done before" in again.stderr
        assert (tmp_path / "rows" / "b.csv").exists()

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (("a/clip.mp4", "b/clip.mp4", "--out", "b"), "would overwrite the original"),
            (("a/clip.mp4", "b/clip.mp4", "--csv", "rows"), "is wanted of both a/clip.mp4 and b/"),
            (("a/clip.mp4", "--csv", "r.csv", "--json", "r.csv"), "two options name one file"),
        ],
    )
    def test_targets_that_clash_are_refused_before_any_work(
        self,
        deepfer: Run,
        make_video: Make,
        tmp_path: Path,
        arguments: tuple[str, ...],
        expected: str,
    ) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            make_video(f"{folder}/clip.mp4", times=[0.0, 0.1])
        before = {p: p.read_bytes() for p in tmp_path.rglob("*.mp4")}
        done = deepfer("video", *arguments)
        assert done.returncode == 1
        assert expected in done.stderr
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before

    def test_a_name_that_is_no_text(self, deepfer: Run, make_video: Make, tmp_path: Path) -> None:
        odd = tmp_path / os.fsdecode(b"m\xfcller.mp4")
        try:
            make_video(times=[0.0, 0.1]).rename(odd)
        except OSError:
            pytest.skip("this file system takes no such name")
        targets = ("--csv", "r.csv", "--json", "r.jsonl", "--parquet", "r.parquet")
        done = deepfer("video", odd, *targets, "--summary", "s.png")
        assert done.returncode == 0, done.stderr
        rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
        assert {row["source"] for row in rows} == {f"{tmp_path}/m\\xfcller.mp4"}
        assert pq.read_table(tmp_path / "r.parquet")["source"][0].as_py() == rows[0]["source"]

    @pytest.mark.skipif(sys.platform == "win32", reason="this system limits no file's size")
    @pytest.mark.parametrize("target", ["--csv=r.csv", "--parquet=r.parquet", "--out=c.mp4"])
    def test_what_cannot_be_written_is_named(
        self, make_video: Make, tmp_path: Path, target: str
    ) -> None:
        make_video()
        code = (
            "import resource, sys;"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900));"
            "from deepfer.cli.app import main; main()"
        )
        command = [sys.executable, "-c", code, "video", "clip.mp4", target]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(f"error: {target.split('=')[1]}: ")
        assert "File too large" in done.stderr
        assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]

    def test_leftovers_of_killed_runs_are_swept(
        self, deepfer: Run, make_video: Make, tmp_path: Path
    ) -> None:
        make_video(times=[0.0])
        (tmp_path / ".r.csv.partial-99999999").touch()
        (tmp_path / ".other.csv.partial-99999999").touch()
        assert deepfer("video", "clip.mp4", "--csv", "r.csv").returncode == 0
        names = {p.name for p in tmp_path.iterdir()}
        assert names == {"clip.mp4", "r.csv", ".other.csv.partial-99999999"}

    def test_two_runs_for_one_file(self, deepfer: Run, make_video: Make, tmp_path: Path) -> None:
        make_video(times=[0.0])
        with claimed(tmp_path, "r.csv"):
            done = deepfer("video", "clip.mp4", "--csv", "r.csv")
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith("error: r.csv: another deepfer is writing there")
            assert deepfer("video", "clip.mp4", "--csv", "s.csv").returncode == 0
        assert {p.name for p in tmp_path.iterdir()} == {"clip.mp4", "s.csv"}

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (("none.mp4",), "no such video"),
            (("clip.mp4", "--every", "often"), "no time"),
            (("clip.mp4", "--start", "2", "--end", "1"), "is not after"),
            (("clip.mp4", "--csv", "rows.txt"), ".parquet"),
            (("clip.mp4", "--out", "clip.avi"), ".mp4"),
            (("clip.mp4", "--out", "clip.mp4"), "overwrite"),
            (("clip.mp4", "--start", "1:00"), "no frame"),
        ],
    )
    def test_bad_input(
        self, deepfer: Run, make_video: Make, arguments: tuple[str, ...], expected: str
    ) -> None:
        before = make_video(times=[0.0, 0.1]).read_bytes()
        done = deepfer("video", *arguments)
        assert done.returncode in {1, 2}
        assert expected in done.stderr
        assert "Traceback" not in done.stderr
        assert make_video(times=[0.0, 0.1]).read_bytes() == before
