"""The table of kinds of pictures in docs/data.md: what the check says of each."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from document_tables import Form, check_names, check_row, outcome
from pictures import PLAIN, photo, saved, tiff
from PIL import Image as pil

from headstart.errors import DataError
from headstart.modalities.image import Image

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
FILES = Path(pydicom.__file__).parent / "data" / "test_files"
GREY, COLOURS = photo(40, 30).convert("L"), photo(40, 30)
DEEP = np.arange(0, 4096, 8, dtype=np.uint16).reshape(16, 32)
BANDS = np.random.default_rng(0).integers(0, 200, (16, 32, 6))


def of(raw: bytes, name: str = "1") -> Callable[[Path], Path]:
    """Write one file and answer with its path."""

    def write(folder: Path) -> Path:
        (folder / name).write_bytes(raw)
        return folder / name

    return write


def shipped(name: str) -> Callable[[Path], Path]:
    return of((FILES / name).read_bytes(), name)


def written(kind: str, name: str, picture: pil.Image = COLOURS, **options: Any) -> Any:
    return of(saved(picture, kind, **options), name)


def heic() -> bytes:
    import pillow_heif

    file = io.BytesIO()
    pillow_heif.from_pillow(COLOURS).save(file)
    return file.getvalue()


def volume(*shape: int) -> bytes:
    values = np.random.default_rng(0).integers(-500, 1500, shape, np.int16)
    return bytes(nibabel.Nifti1Image(values, np.eye(4)).to_bytes())


def read(path: Path) -> str:
    """What the check says, and that it is decoded."""
    raw, modality = path.read_bytes(), Image()
    check = modality.check(raw)
    if check.problem:
        raise DataError(check.problem)
    assert modality.recognises(raw[:1024])
    assert modality.decode(raw, PLAIN).shape == (3, 32, 32)
    return f"read: {', '.join(check.notes)}" if check.notes else "read"


GEO: dict[str, Any] = {"t262": (2,), "t338": (2,), "t33550": (10, 10, 0)}
TRANSPARENT = pil.new("RGBA", (8, 8), (0, 0, 0, 99))
FORMS = [
    Form("JPEG: `.jpg`, `.jfif`, none", written("JPEG", "a"), "read"),
    Form("PNG, also called `.jpg`", written("PNG", "a.jpg"), "read"),
    Form("WebP", written("WEBP", "a.webp"), "read"),
    Form("AVIF", written("AVIF", "a.avif"), "read"),
    Form("JPEG 2000: `.jp2`, `.j2k`", written("JPEG2000", "a.jp2"), "read"),
    Form("GIF", written("GIF", "a.gif"), "read: palette"),
    Form("BMP", written("BMP", "a.bmp"), "read"),
    Form("TIFF", written("TIFF", "a.tiff", compression="tiff_lzw"), "read"),
    Form("PPM, PGM, PBM, PFM", written("PPM", "a.ppm"), "read"),
    Form("ICO", written("ICO", "a.ico", sizes=[(40, 30)]), "read.*"),
    Form("QOI", written("QOI", "a.qoi"), "read"),
    Form("PCX", written("PCX", "a.pcx"), "read"),
    Form("SGI", written("SGI", "a.sgi"), "read"),
    Form("TGA", written("TGA", "a.tga"), "read"),
    Form("HEIC, HEIF", of(heic(), "a.heic"), "read"),
    Form("CMYK", written("JPEG", "a.jpg", COLOURS.convert("CMYK")), "read: CMYK"),
    Form("transparency", written("PNG", "a.png", TRANSPARENT), "read: alpha"),
    Form(
        "frames, as in an animation",
        written("GIF", "a.gif", GREY, save_all=True, append_images=[pil.new("L", (40, 30), 9)]),
        "read: .*animated",
    ),
    Form("16 bits in full", of(saved(pil.fromarray(DEEP * 16))), "read: 16-bit, greyscale"),
    Form("16 bits that hold 12", of(saved(pil.fromarray(DEEP))), "read: .*12-bit values"),
    Form(
        "TIFF of 16 bits where 0 is white",
        of(tiff(DEEP[..., None], t262=(0,)), "a.tif"),
        "read: 16-bit, greyscale, 12-bit values",
    ),
    Form(
        "TIFF of fractions with nodata",
        of(tiff(DEEP[..., None].astype(np.float32), t42113=b"0\0"), "a.tif"),
        "read: 32-bit",
    ),
    Form(
        "GeoTIFF of four bands",
        of(tiff(BANDS[..., :4].astype(np.uint8), **GEO), "a.tif"),
        "read: first 3 of 4 bands",
    ),
    Form(
        "GeoTIFF of six bands of 16 bits, band after band",
        of(tiff(BANDS.astype(np.uint16) * 300, planar=True), "a.tif"),
        "read: 16-bit, first 3 of 6 bands",
    ),
    Form(
        "TIFF of bands of 64 bits",
        of(tiff(BANDS.astype(np.float64)), "a.tif"),
        "refused: it is a TIFF of 6 bands of 64 bits .*",
    ),
    Form("DICOM with a window", shipped("MR_small.dcm"), "read: DICOM, greyscale, window"),
    Form("DICOM without a window", shipped("CT_small.dcm"), "read: DICOM, greyscale"),
    Form("DICOM in colour", shipped("examples_jpeg2k.dcm"), "read: DICOM"),
    Form("DICOM with a palette", shipped("examples_palette.dcm"), "read: DICOM, palette"),
    Form("DICOM of several frames", shipped("rtdose.dcm"), "read: .*first of several frames.*"),
    Form("DICOM without a picture", shipped("rtplan.dcm"), "refused: it is DICOM without .*"),
    Form("DICOM that is cut off", shipped("MR_truncated.dcm"), "refused: it is cut off.*"),
    Form(
        "DICOM in a compression that takes another library",
        shipped("MR_small_jpeg_ls_lossless.dcm"),
        "refused: it is DICOM compressed as JPEG-LS .*",
    ),
    Form("NIfTI: `.nii`", of(volume(8, 9, 5), "a.nii"), "read: NIfTI, middle slice"),
    Form(
        "NIfTI of several volumes: `.nii.gz`",
        of(gzip.compress(volume(8, 9, 5, 2)), "a.nii.gz"),
        "read: NIfTI, middle slice of the first volume",
    ),
    Form(
        "PostScript, under whatever name",
        of(b"%!PS-Adobe-3.0 EPSF-3.0\n", "a.png"),
        "refused: it is not a picture but PostScript.*",
    ),
    Form("PDF", of(b"%PDF-1.7\n", "a.png"), "refused: it is not a picture but a PDF.*"),
    Form(
        "SVG",
        of(b"<svg xmlns='x'/>", "a.svg"),
        "refused: it is not a picture but a drawing in SVG.*",
    ),
    Form("a text called `.jpg`", of(b"words", "a.jpg"), "refused: it is not a picture"),
    Form(
        "a JPEG that is cut off",
        of(saved(COLOURS, "JPEG")[:-300], "a.jpg"),
        "refused: it can't be decoded: .*truncated.*",
    ),
    Form("an empty file", of(b"", "a.jpg"), "refused: it is empty"),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_what_comes_of_a_kind_of_picture(form: Form, tmp_path: Path) -> None:
    check_row(PAGE, "pictures", form, outcome(form, tmp_path / "data", read))


def test_the_page_has_each_kind_in_this_order() -> None:
    check_names(PAGE, "pictures", FORMS)
