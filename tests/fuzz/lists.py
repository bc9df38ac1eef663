"""Lists of photos and of a data set's images: CSV and Parquet."""

import io
import shutil
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from deepfer.batch.plan import Options, plan
from deepfer.data import open_dataset

from .refusals import each

WORDS = (
    b"path",
    b"source",
    b"expression",
    b"split",
    b"subject",
    b"happy",
    b"a.png",
    b"PAR1",
    b"\xef\xbb\xbf",
)
_PIXELS = " ".join(["7"] * 2304)
_VOTES = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0\nPublicTest,,0,0,0,0,0,0,0,0,0,10\n"
)


@cache
def seeds() -> list[bytes]:
    parquet = io.BytesIO()
    pq.write_table(pa.table({"path": ["a.png", "b.png"], "n": [1, 2]}), parquet)
    texts = (
        "path,expression,split,subject,sex\na.png,happy,train,1,f\na.png,sad,test,2,m\n",
        '"path","expression"\n"a.png","joy"\n\n a.png , Anger \n',
        "source\na.png\nb/c.jpg\n",
        f"emotion,pixels,Usage\n3,{_PIXELS},Training\n0,{_PIXELS},PublicTest\n",
        _VOTES,
    )
    return [parquet.getvalue(), *(text.encode() for text in texts)]


def run(data: bytes) -> None:
    folder = Path("lists")
    folder.mkdir()
    try:
        Image.new("L", (48, 48), 90).save(folder / "a.png")
        each((_csv, _parquet, _manifest, _fer2013), folder, data)
    finally:
        shutil.rmtree(folder)


def _csv(folder: Path, data: bytes) -> None:
    (folder / "list.csv").write_bytes(data)
    plan(str(folder / "list.csv"), folder / "job", Options())


def _parquet(folder: Path, data: bytes) -> None:
    (folder / "list.parquet").write_bytes(data)
    plan(str(folder / "list.parquet"), folder / "other", Options())


def _manifest(folder: Path, data: bytes) -> None:
    (folder / "manifest.csv").write_bytes(data)
    dataset = open_dataset("manifest", folder)
    for split in dataset.splits:
        dataset.load(split)


def _fer2013(folder: Path, data: bytes) -> None:
    name, other = ("fer2013new.csv", "fer2013.csv")[:: 1 if data[:5] == b"Usage" else -1]
    (folder / name).write_bytes(data)
    (folder / other).write_bytes(seeds()[5 if other == "fer2013new.csv" else 4])
    open_dataset("fer2013", folder, perceived=True).load("train")
