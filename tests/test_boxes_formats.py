"""The same boxes, whatever format they were annotated in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from annotations import BOUNDS, KEPT, OBJECT, boxes, coco, found, picture, voc, yolo
from pyarrow import parquet

from headstart import catalog
from headstart.data import load
from headstart.data.items import find
from headstart.data.schema import GUESSED
from headstart.errors import DataError


def _coco(folder: Path) -> None:
    coco(folder, {"image_id": 7, "bbox": [1, 2, 10, 20], "category_id": 9})


def _voc(folder: Path) -> None:
    voc(folder / "Annotations", OBJECT.format(BOUNDS))
    (folder / "Annotations" / "a.jpg").rename(folder / "a.jpg")


def _yolo(folder: Path) -> None:
    yolo(folder, "0 0.25 0.5 0.3 0.5\n", "path: .\nnames:\n  0: cat\n  1: dog\n")


def _darknet(folder: Path) -> None:
    picture(folder / "obj_train_data" / "a.jpg")
    (folder / "obj_train_data" / "a.txt").write_text("0 0.25 0.5 0.3 0.5\n")
    (folder / "obj.names").write_text("cat\n")
    (folder / "train.txt").write_text("data/obj_train_data/a.jpg\n")


def _polygons(folder: Path) -> None:
    yolo(folder, "0 0.1 0.25 0.4 0.25 0.4 0.75 0.1 0.75\n")


def _cvat(folder: Path) -> None:
    picture(folder / "images" / "a.jpg")
    box = '<box label="cat" xtl="10" ytl="20" xbr="40" ybr="60" occluded="0"/>'
    image = f'<image id="0" name="a.jpg" width="100" height="80">{box}</image>'
    (folder / "annotations.xml").write_text(f"<annotations>{image}</annotations>")


def _csv(folder: Path) -> None:
    picture(folder / "a.jpg")
    (folder / "_annotations.csv").write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,100,80,cat,10,20,40,60\n"
    )


def _shares(folder: Path) -> None:
    picture(folder / "a.jpg")
    (folder / "boxes.csv").write_text(
        "image_id,LabelName,XMin,XMax,YMin,YMax\na.jpg,cat,0.1,0.4,0.25,0.75\n"
    )


def _open_images(folder: Path) -> None:
    picture(folder / "train" / "a.jpg")
    (folder / "train-annotations-bbox.csv").write_text(
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n"
        "a,xclick,/m/01yrx,1,0.1,0.4,0.25,0.75,0\n"
    )
    (folder / "class-descriptions-boxable.csv").write_text("/m/0bt9lr,Dog\n/m/01yrx,cat\n")


def _bare(folder: Path) -> None:
    picture(folder / "a.jpg")
    picture(folder / "b.jpg")
    rows = "a.jpg,10,20,40,60,cat\nc.jpg,,,,,\n"
    rows += "".join(f"b.jpg,{n},5,50,50,cat\n" for n in range(9))
    (folder / "boxes.csv").write_text(rows)


def _lists(folder: Path) -> None:
    picture(folder / "a.jpg")
    (folder / "boxes.csv").write_text('image_id,bbox,label\na.jpg,"[10, 20, 30, 40]",cat\n')


def _objects(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    picture(folder / "a.jpg")
    content = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").unlink()
    objects = {"bbox": [[10.0, 20.0, 30.0, 40.0]], "category": [1]}
    kind = {"feature": {"names": ["dog", "cat"], "_type": "ClassLabel"}, "_type": "Sequence"}
    features = {"objects": {"feature": {"category": kind}, "_type": "Sequence"}}
    table = pa.table({"image": [{"bytes": content, "path": "a.jpg"}], "objects": [objects]})
    stated = json.dumps({"info": {"features": features}}).encode()
    parquet.write_table(
        table.replace_schema_metadata({"huggingface": stated}), folder / "train.parquet"
    )


def _metadata(folder: Path) -> None:
    picture(folder / "a.jpg")
    objects = {"bbox": [[10, 20, 30, 40]], "categories": ["cat"]}
    line = json.dumps({"file_name": "a.jpg", "objects": objects})
    (folder / "metadata.jsonl").write_text(f"{line}\n")


FORMS: dict[str, Any] = {
    "COCO": _coco,
    "Pascal VOC": _voc,
    "YOLO": _yolo,
    "Darknet, as CVAT exports it": _darknet,
    "YOLO's polygons": _polygons,
    "CVAT": _cvat,
    "one box a row": _csv,
    "shares, as in Open Images": _shares,
    "Open Images with names of classes": _open_images,
    "no header, as keras-retinanet has it": _bare,
    "lists in a cell": _lists,
    "objects in Parquet": _objects,
    "metadata.jsonl": _metadata,
}


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_a_box_is_the_same_in_every_format(tmp_path: Path, make: Any) -> None:
    make(tmp_path)
    contents = found(tmp_path)
    name = "a.jpg" if make is not _objects else "train.parquet#0"
    assert boxes(contents, name) == [KEPT]
    assert not contents.repaired
    row = next(row for row in contents.rows if row.id.endswith(name))
    assert row.source is not None and row.source.read()[:2] == b"\xff\xd8"


def test_faces_of_wider_are_read(tmp_path: Path) -> None:
    picture(tmp_path / "WIDER_train" / "images" / "0--Parade" / "a.jpg")
    picture(tmp_path / "WIDER_train" / "images" / "1--Run" / "b.jpg", (60, 60))
    face, none = "10 20 30 40 0 0 0 {} 0 0 \n", "0 0 0 0 0 0 0 0 0 0 \n"
    (tmp_path / "wider_face_split").mkdir()
    (tmp_path / "wider_face_split" / "wider_face_train_bbx_gt.txt").write_text(
        f"0--Parade/a.jpg\n2\n{face.format(0)}{face.format(1)}1--Run/b.jpg\n0\n{none}"
        f"c.jpg\n{'9' * 5000}\n"
    )
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [["face", *KEPT[1:]]] and boxes(contents, "b.jpg") == []
    where = "wider_face_train_bbx_gt.txt line 4"
    assert contents.repaired == (
        (where, "it is marked as invalid; left out"),
        (where.replace("4", "8"), "no count of faces follows it; left out"),
    )


def test_a_crowd_of_open_images_is_left_out(tmp_path: Path) -> None:
    _open_images(tmp_path)
    with (tmp_path / "train-annotations-bbox.csv").open("a") as file:
        file.write("a,xclick,/m/0bt9lr,1,0,0.9,0,0.9,1\n")
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT] and "a crowd" in contents.repaired[0][1]


def test_keypoints_and_segments_of_coco_stand_behind_its_objects(tmp_path: Path) -> None:
    marks = tmp_path / "annotations"
    coco(tmp_path, {"image_id": 7, "bbox": [1, 2, 10, 20], "category_id": 9})
    marks.mkdir()
    stated = json.loads((tmp_path / "instances.json").read_text())
    (tmp_path / "instances.json").rename(marks / "instances_train2017.json")
    segments = {"image_id": 0, "file_name": "a.png", "segments_info": [{"id": 1}]}
    for name, marked in (("keypoints", stated["annotations"][:1]), ("panoptic", [segments])):
        document = json.dumps(stated | {"annotations": marked})
        (marks / f"{'person_' * (name[0] == 'k')}{name}_train2017.json").write_text(document)
    by_folder = found(tmp_path)
    assert [row.id for row in by_folder.rows] == ["a.jpg", "b.jpg"]
    assert not by_folder.repaired and boxes(by_folder, "a.jpg") == [KEPT]
    by_file = find(marks / "instances_train2017.json", catalog.modality("image"), GUESSED)
    assert [row.source is not None for row in by_file.rows] == [True, True]
    (marks / "person_keypoints_train2017.json").unlink()
    (marks / "instances_train2017.json").unlink()
    with pytest.raises(DataError, match="panoptic form, with all segments"):
        found(tmp_path)


def test_splits_are_those_of_the_folders(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "valid", "test")):
        coco(tmp_path / split, {"bbox": [1, 2, 10 + number, 20], "category_id": 9})
        picture(tmp_path / split / "a.jpg", (100 + number, 80))
        picture(tmp_path / split / "b.jpg", (60 + number, 60))
        stated = json.loads((tmp_path / split / "instances.json").read_text())
        for place, image in enumerate(stated["images"]):
            image["width"] = (100, 60)[place] + number
        (tmp_path / split / "instances.json").unlink()
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(stated))
    contents = found(tmp_path)
    splits = {row.id: row.split for row in contents.rows}
    assert splits["train/a.jpg"] == "train" and splits["valid/a.jpg"] == "validation"
    dataset = load(tmp_path, catalog.modality("image"), GUESSED)
    assert (dataset.kind, dataset.labels, len(dataset.split("test"))) == (
        "boxes",
        ("Dog", "cat"),
        2,
    )
    rows = dataset.targets("train")
    assert rows.shape == (2, 3, 5)
    whole = rows[np_first(rows[:, 0, 2])]
    assert whole[0].tolist() == [100, 80, 2, 0, 0]
    assert whole[1:, 4].tolist() == [0, 1]
    assert whole[2, :4] * 100 == pytest.approx([10, 20, 40, 60], rel=1e-5)


def np_first(counts: Any) -> int:
    """The place of the picture with most boxes."""
    return int(counts.argmax())


def test_a_table_of_whole_pictures_is_none_of_boxes(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "labels.csv").write_text("image,label\na.jpg,cat\n")
    from headstart.data import annotated

    assert annotated.find(tmp_path, catalog.modality("image"), GUESSED) is None
