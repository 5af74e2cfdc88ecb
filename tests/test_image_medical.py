"""Medical pictures and HEIC: what their own libraries say, windows, slices, and missing extras."""

from __future__ import annotations

import gzip
import io
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from nibabel.nifti1 import Nifti1Extension
from pictures import PLAIN, difference, photo, saved, whole
from PIL import Image as pil
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from typer.testing import CliRunner

import headstart
from headstart.cli import app
from headstart.data.dataset import load
from headstart.data.schema import Schema
from headstart.modalities.image import Image
from headstart.modalities.image.opening import HEAD

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
RAMP = np.arange(0, 4096, 64, dtype=np.uint16).reshape(8, 8)


def shipped(name: str) -> bytes:
    """One of the files that pydicom brings along."""
    return (FILES / name).read_bytes()


def dicom(values: np.ndarray, syntax: Any = ExplicitVRLittleEndian, **elements: Any) -> bytes:
    """A file of these values, (height, width[, 3]) or with frames in front where said."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = UID("1.2.3")
    colour = values.shape[-1] == 3
    height, width = values.shape[-3:-1] if colour else values.shape[-2:]
    bits = 8 * values.itemsize
    plain: dict[str, Any] = {"Rows": height, "Columns": width, "BitsAllocated": bits}
    plain |= {"SamplesPerPixel": 3 if colour else 1, "BitsStored": bits, "HighBit": bits - 1}
    plain |= {"PixelRepresentation": int(values.dtype.kind == "i")}
    plain |= {"PhotometricInterpretation": "RGB" if colour else "MONOCHROME2"}
    if colour:
        plain["PlanarConfiguration"] = 0
    for name, value in {**plain, **elements}.items():
        setattr(data, name, value)
    data.PixelData = values.tobytes()
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def notes_of(raw: bytes) -> tuple[str, ...]:
    check = Image().check(raw)
    assert check.problem is None
    return check.notes


def stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    rows: np.ndarray = np.rint(255 * ((values - low) / (high - low)).clip(0, 1)).astype(np.uint8)
    return rows


def test_without_a_window_values_are_stretched_by_what_they_hold() -> None:
    raw = shipped("CT_small.dcm")
    values = pydicom.dcmread(io.BytesIO(raw)).pixel_array.astype(float)
    assert np.array_equal(whole(raw), stretched(values, values.min(), values.max()))
    assert notes_of(raw) == ("DICOM", "greyscale")


@pytest.mark.parametrize("name", ["MR_small.dcm", "examples_overlay.dcm", "693_J2KI.dcm"])
def test_the_first_window_is_applied_as_pydicom_does(name: str) -> None:
    raw = shipped(name)
    data = pydicom.dcmread(io.BytesIO(raw))
    values = apply_voi_lut(apply_modality_lut(pixel_array(data), data), data, index=0)
    ends = apply_voi_lut(np.array([-1e9, 1e9]), data, index=0)
    assert np.array_equal(whole(raw), stretched(values, *ends))
    assert "window" in notes_of(raw)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT"])
def test_windows_by_the_standard(function: str) -> None:
    """Centre 100, width 10 or 20, by the formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    width = 10 if function == "LINEAR" else 20
    values = np.array([[80, 91, 100, 109, 120]], np.uint16)
    if function == "LINEAR":
        share = (values - 99.5) / 9 + 0.5
    else:
        share = (values - 100.0) / 20 + 0.5
    raw = dicom(values, WindowCenter=100, WindowWidth=width, VOILUTFunction=function)
    assert np.array_equal(whole(raw), np.rint(255 * share.clip(0, 1)))
    several = dicom(values, WindowCenter=[100, 5], WindowWidth=[width, 2], VOILUTFunction=function)
    assert np.array_equal(whole(several), whole(raw))


def test_the_window_is_of_rescaled_values() -> None:
    raw = dicom(RAMP, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=40, WindowWidth=400)
    expected = ((RAMP * 2.0 - 1000 - 39.5) / 399 + 0.5).clip(0, 1)
    assert np.array_equal(whole(raw), np.rint(255 * expected))


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2000, "WindowWidth": 1000}])
def test_where_0_is_white_values_are_turned(window: dict[str, float]) -> None:
    dark = dicom(RAMP, PhotometricInterpretation="MONOCHROME1", **window)
    light = dicom(RAMP, **window)
    assert np.abs(255 - whole(dark).astype(int) - whole(light)).max() <= 1
    assert "0 is white" in notes_of(dark) and "0 is white" not in notes_of(light)


@pytest.mark.parametrize("width", [0, -5, None])
def test_a_window_that_is_none_is_passed_over(width: float | None) -> None:
    raw = dicom(RAMP, WindowCenter=100, WindowWidth=width)
    assert np.array_equal(whole(raw), stretched(RAMP, 0, RAMP.max()))
    assert "window" not in notes_of(raw)


def test_padding_does_not_stretch_and_is_black() -> None:
    values = RAMP.astype(np.int16) + 1000
    values[0] = -2000
    raw = dicom(values, PixelPaddingValue=-2000)
    assert (whole(raw)[0] == 0).all()
    assert np.array_equal(whole(raw)[1:], stretched(values[1:], values[1:].min(), values.max()))
    white = whole(dicom(values, PixelPaddingValue=-2000, PhotometricInterpretation="MONOCHROME1"))
    assert (white[0] == 0).all() and white[1, 0] == 255


def test_of_several_frames_the_first() -> None:
    frames = np.stack([RAMP, RAMP[::-1]])
    raw = dicom(frames, NumberOfFrames=2)
    assert np.array_equal(whole(raw), stretched(RAMP, 0, RAMP.max()))
    assert "first of several frames" in notes_of(raw)


def test_what_an_enhanced_file_says_of_frames_counts() -> None:
    rescale, window, shared, own = Dataset(), Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 2, -1000, "HU"
    window.WindowCenter, window.WindowWidth = 40, 400
    shared.PixelValueTransformationSequence = [rescale]
    own.FrameVOILUTSequence = [window]
    groups = {
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": [own, Dataset()],
    }
    raw = dicom(np.stack([RAMP, RAMP]), NumberOfFrames=2, **groups)
    plain = dicom(RAMP, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=40, WindowWidth=400)
    assert np.array_equal(whole(raw), whole(plain))


@pytest.mark.parametrize(
    "name",
    [
        *("SC_rgb_dcmtk_+eb+cr.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_jpeg_dcmtk.dcm"),
        *("examples_ybr_color.dcm", "examples_jpeg2k.dcm", "ExplVR_BigEnd.dcm", "SC_rgb_rle.dcm"),
    ],
)
def test_colours_are_those_of_pydicom(name: str) -> None:
    raw = shipped(name)
    expected = pixel_array(pydicom.dcmread(io.BytesIO(raw)), index=0)
    assert np.array_equal(whole(raw), expected)


@pytest.mark.parametrize("name", ["SC_rgb_rle_16bit.dcm", "SC_rgb_rle_32bit.dcm"])
def test_deep_colours_are_those_of_the_shallow_file(name: str) -> None:
    assert np.abs(whole(shipped(name)).astype(int) - whole(shipped("SC_rgb_rle.dcm"))).max() <= 1


def test_palettes() -> None:
    from pydicom.pixels.processing import apply_color_lut

    raw = shipped("examples_palette.dcm")
    data = pydicom.dcmread(io.BytesIO(raw))
    expected = apply_color_lut(data.pixel_array, data)
    assert expected.dtype == np.uint16
    assert np.abs(whole(raw) - expected / 257).max() <= 0.5
    assert "palette" in notes_of(raw)


@pytest.mark.parametrize("kind", ["_RLE", "_bigendian", "_implicit", "_jp2klossless", "_expb"])
def test_every_transfer_syntax_gives_the_same(kind: str) -> None:
    assert np.array_equal(whole(shipped(f"MR_small{kind}.dcm")), whole(shipped("MR_small.dcm")))


def test_a_file_without_preamble() -> None:
    data = pydicom.dcmread(io.BytesIO(shipped("MR_small.dcm")))
    raw = shipped("MR_small.dcm")
    start = 132 + 12 + int(data.file_meta.FileMetaInformationGroupLength)
    bare = raw[start:]
    assert Image().recognises(bare[:HEAD])
    assert np.array_equal(whole(bare), whole(raw))


@pytest.mark.parametrize("path", sorted(FILES.glob("*.dcm")), ids=lambda path: path.name)
def test_every_file_is_read_or_refused_in_one_sentence(path: Path) -> None:
    raw = path.read_bytes()
    check = Image().check(raw)
    if check.problem is None:
        assert Image().decode(raw, PLAIN).shape == (3, 32, 32)
    else:
        assert check.problem.startswith("it ") and "\n" not in check.problem


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("MR_truncated.dcm", "it is cut off"),
        ("reportsi.dcm", "it is DICOM without a picture"),
        ("MR_small_jpeg_ls_lossless.dcm", "pip install pylibjpeg"),
        ("SC_rgb_jpeg_gdcm.dcm", "it is DICOM compressed as JPEG Lossless"),
    ],
)
def test_what_can_not_be_read_is_refused(name: str, problem: str) -> None:
    assert problem in str(Image().check(shipped(name)).problem)


def test_headers_of_strangers_do_not_fill_the_memory() -> None:
    huge = dicom(RAMP, Rows=60_000, Columns=60_000)
    assert Image().check(huge).problem == "it has more than 178 million pixels"
    data = dicom(RAMP, DeflatedExplicitVRLittleEndian)
    start = 132 + 12 + int.from_bytes(data[140:144], "little")
    packing = zlib.compressobj(wbits=-15)
    block = packing.compress(bytes(1 << 24)) + packing.flush(zlib.Z_FULL_FLUSH)  # needs no other
    body = 65 * block + packing.flush()
    assert Image().check(data[:start] + body).problem == "it unpacks to more than 1024 MiB"
    assert Image().check(data).problem is None


def volume(shape: tuple[int, ...], affine: np.ndarray | None = None, **header: Any) -> Any:
    values = np.random.default_rng(0).integers(-500, 1500, shape, np.int16)
    image = nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    return image


def without_places(shape: tuple[int, ...]) -> bytes:
    """A volume that says where its voxels lie: all in one point."""
    raw = bytearray(volume(shape).to_bytes())
    raw[280:328] = bytes(48)
    return bytes(raw)


ORIENTATIONS = ["RAS", "LPS", "LAS", "PIR", "SAL", "ASR", "IPL"]


@pytest.mark.parametrize("shape", [(6, 8, 5), (7, 4, 6)])
@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_the_middle_slice_is_that_of_the_canonical_volume(
    axes: str, shape: tuple[int, int, int]
) -> None:
    turn = nibabel.orientations.axcodes2ornt(tuple(axes))
    affine = nibabel.orientations.inv_ornt_aff(turn, shape)
    image = volume(shape, affine)
    canonical = np.asarray(nibabel.as_closest_canonical(image).dataobj)
    middle = np.rot90(canonical[:, :, canonical.shape[2] // 2]).astype(float)
    expected = stretched(middle, middle.min(), middle.max())
    raw = image.to_bytes()
    assert np.array_equal(whole(raw), expected)
    assert notes_of(raw) == ("NIfTI", "middle slice")
    packed = gzip.compress(raw)
    assert Image().recognises(packed[:HEAD])
    assert np.array_equal(whole(packed), expected)


def test_kinds_of_volumes() -> None:
    plain = volume((5, 6, 4))
    middle = np.rot90(np.asarray(plain.dataobj)[:, :, 2]).astype(float)
    windowed = volume((5, 6, 4), cal_min=0, cal_max=1000).to_bytes()
    assert np.array_equal(whole(windowed), stretched(middle, 0, 1000))
    several = volume((5, 6, 4, 3))
    first = np.rot90(np.asarray(several.dataobj)[:, :, 2, 0]).astype(float)
    assert np.array_equal(whole(several.to_bytes()), stretched(first, first.min(), first.max()))
    assert "middle slice of the first volume" in notes_of(several.to_bytes())
    second = nibabel.Nifti2Image(np.asarray(plain.dataobj), np.eye(4)).to_bytes()
    assert np.array_equal(whole(second), whole(plain.to_bytes()))
    assert whole(volume((5, 6)).to_bytes()).shape == (6, 5)
    colours = np.zeros((5, 6, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours["G"] = 77
    assert (whole(nibabel.Nifti1Image(colours, np.eye(4)).to_bytes()) == [0, 77, 0]).all()
    assert np.array_equal(whole(without_places((5, 6, 4))), whole(plain.to_bytes()))


def test_volumes_of_strangers() -> None:
    image = volume((5, 6, 4))
    raw = bytearray(image.to_bytes())
    assert "cut off" in str(Image().check(bytes(raw[:-20])).problem)
    raw[42:48] = b"\xff\x7f" * 3
    assert "more than 1024 MiB" in str(Image().check(bytes(raw)).problem)
    raw[42:48] = b"\0\0" * 3
    assert "without any voxel" in str(Image().check(bytes(raw)).problem)
    pair = bytearray(image.to_bytes())
    pair[344:348] = b"ni1\0"
    assert "save both as one .nii file" in str(Image().check(bytes(pair)).problem)
    image.header.extensions.append(Nifti1Extension("comment", b"never looked at"))
    hidden = image.to_bytes()
    assert np.array_equal(whole(hidden), whole(volume((5, 6, 4)).to_bytes()))


def heic(picture: pil.Image, **options: Any) -> bytes:
    import pillow_heif

    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=95, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic_is_upright_once(orientation: int) -> None:
    upright = photo(64, 48)
    undo = {3: 3, 6: 2, 8: 4}
    exif = pil.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(pil.Transpose(undo[orientation])) if orientation > 1 else upright
    raw = heic(stored, exif=exif.tobytes())
    assert Image().recognises(raw[:HEAD])
    assert whole(raw).shape == (48, 64, 3)
    assert difference(whole(raw), np.asarray(upright)) < 6


def test_heic_with_transparency_lies_on_white() -> None:
    raw = heic(pil.new("RGBA", (32, 32), (0, 0, 0, 0)))
    assert "alpha" in notes_of(raw)
    assert whole(raw).min() >= 250


def test_a_heic_that_is_cut_off_is_refused() -> None:
    raw = heic(photo(64, 48))
    assert str(Image().check(raw[: len(raw) // 2]).problem).startswith("it can't be decoded")


@pytest.mark.parametrize(
    ("library", "extra", "raw"),
    [
        ("pydicom", "medical", shipped("MR_small.dcm")),
        ("nibabel.nifti1", "medical", volume((5, 6, 4)).to_bytes()),
        ("pillow_heif", "heic", heic(photo(64, 48))),
    ],
)
def test_the_extra_that_is_missing_is_named_and_the_file_read_once_it_is_there(
    library: str, extra: str, raw: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for label in ("a", "b"):
        (data / label).mkdir(parents=True)
        for n in range(6):
            level = n + 100 * (label == "b")
            (data / label / f"{n}.png").write_bytes(saved(pil.new("L", (9, 9), level)))
    (data / "a" / "medical").write_bytes(raw)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, library, None)
        assert f"pip install 'headstart[{extra}]'" in str(Image().check(raw).problem)
        skipped = load(data, Image(), Schema()).report.skipped
        assert [name for name, _ in skipped] == ["a/medical"]
    assert not load(data, Image(), Schema()).report.skipped


def test_decoders_warn_of_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in FILES.glob("*.dcm"):
            Image().check(path.read_bytes())
        Image().check(without_places((5, 6, 4)))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_folder_of_dicom_files_is_a_data_set(tmp_path: Path) -> None:
    """Slices of two studies, with and without suffixes, from a folder to answers."""
    sides = np.random.default_rng(0)
    for label, name in (("mr", "MR_small.dcm"), ("ct", "CT_small.dcm")):
        (tmp_path / "scans" / label).mkdir(parents=True)
        for n in range(24):
            data = pydicom.dcmread(io.BytesIO(shipped(name)))
            values = data.pixel_array + sides.integers(0, 40, data.pixel_array.shape, np.int16)
            data.PixelData = values.astype(np.int16).tobytes()
            data.save_as(tmp_path / "scans" / label / (f"{n}.dcm" if n % 2 else f"IM{n:04}"))
    model = tmp_path / "model"
    done = CliRunner().invoke(
        app, ["fit", str(tmp_path / "scans"), "-b", "seeded:residual?width=8", "-o", str(model)]
    )
    assert done.exit_code == 0, done.output
    predictor = headstart.load(model)
    answers = predictor.predict([tmp_path / "scans"])
    assert len(answers) == 48
    right = sum(Path(each.path).parent.name == each.label for each in answers)
    assert right >= 44
    assert "data:image/jpeg;base64," in (model / "report.html").read_text(encoding="utf-8")
