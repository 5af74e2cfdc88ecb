"""Sounds: what files are read, what is said of them, and what a network hears."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import RATE, chirps, encoded, soundfile, tone

from headstart import catalog
from headstart.data.clusters import near_copies
from headstart.errors import DataError
from headstart.modalities.audio import HEARD, Audio
from headstart.modalities.audio.opening import is_sound
from headstart.testing import check_part

FED = {"rate": RATE, "window": 8_000, "hop": 8_000, "resampler": "soxr-hq", "pad": "centre"}


@pytest.fixture
def audio() -> Audio:
    modality = catalog.modality("audio")
    assert isinstance(modality, Audio)
    return modality


def test_it_keeps_the_contract() -> None:
    check_part("modalities", "audio", example=encoded(tone(440)))


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        *[("WAV", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT")],
        *[("WAV", subtype) for subtype in ("DOUBLE", "ULAW", "MS_ADPCM")],
        *[("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS")],
        *[("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"), ("AU", "FLOAT")],
    ],
)
def test_formats_are_told_by_their_bytes_and_sound_alike(
    audio: Audio, form: str, subtype: str
) -> None:
    samples = tone(440, 0.5)
    raw = encoded(samples, form=form, subtype=subtype)
    assert is_sound(raw[:1024])
    assert audio.check(raw).problem is None
    heard = audio.decode(raw, FED)
    assert heard.shape[1] == 8_000  # some formats fill up their last block
    assert np.corrcoef(heard[0], samples)[0, 1] > (0.95 if subtype == "PCM_U8" else 0.98)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "it is empty"),
        (b"no sound at all", "no sound file"),
        (b"\0\0\0\x20ftypM4A " + bytes(40), "AAC in MPEG-4, which is not read (`ffmpeg"),
        (b"\0\0\0\x20ftypheic" + bytes(40), "no sound file"),
        (encoded(np.zeros(0, np.float32)), "no samples"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "can't be read as sound"),
        (encoded(np.full(400, np.nan, np.float32), subtype="FLOAT"), "no finite numbers"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "no sound file"),
    ],
)
def test_what_cannot_be_heard_is_said_in_a_line(audio: Audio, raw: bytes, words: str) -> None:
    problem = audio.check(raw).problem
    assert problem is not None and words in problem and "\n" not in problem


def test_what_is_peculiar_is_noted(audio: Audio) -> None:
    assert "silent" in audio.check(encoded(np.zeros(8_000, np.float32))).notes
    loud = np.clip(8 * tone(200), -1, 1)
    assert "clipped" in audio.check(encoded(loud)).notes
    assert "clipped" not in audio.check(encoded(tone(200))).notes
    both = np.stack([tone(200), tone(900)], axis=1)
    assert "stereo, heard as one channel" in audio.check(encoded(both)).notes
    notes = audio.check(encoded(tone(200, 2.0, 8_000), 8_000)).notes
    assert "at 8000 Hz" in notes and "1 to 10 s" in notes


def test_stereo_is_the_mean_of_its_channels(audio: Audio) -> None:
    one, two = tone(200), tone(900, seed=1)
    both = audio.decode(encoded(np.stack([one, two], axis=1), subtype="FLOAT"), FED)
    np.testing.assert_allclose(both[0], (one + two) / 2, atol=1e-6)


def test_a_rate_is_brought_to_the_networks(audio: Audio) -> None:
    """A tone keeps its pitch, whatever rate it was recorded at."""
    for rate in (8_000, 22_050, 44_100, 48_000):
        heard = audio.decode(encoded(tone(1_000, 0.5, rate), rate), FED)[0]
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        assert abs(spectrum.argmax() * RATE / len(heard) - 1_000) < 5


@given(st.integers(1, 40_000), st.integers(200, 9_000), st.floats(0.1, 1.0))
def test_windows_hold_every_sample_and_end_where_it_ends(
    length: int, window: int, share: float
) -> None:
    samples = np.arange(1, length + 1, dtype=np.float32) / length / 2
    fed = {**FED, "window": window, "hop": max(1, int(share * window))}
    heard = Audio().decode(encoded(samples, subtype="FLOAT"), fed)
    assert heard.shape[1] == window
    if length >= window:
        assert {*samples.tolist()} == {*heard.flatten().tolist()}
        assert heard[-1, -1] == samples[-1] and heard[0, 0] == samples[0]
    else:
        (row,) = heard
        inside = np.flatnonzero(row)
        assert row[inside].tolist() == samples.tolist()
        assert abs(int(inside[0]) - (window - 1 - int(inside[-1]))) <= 1


def test_a_long_sound_is_heard_at_places_spread_over_it(audio: Audio) -> None:
    seconds = 150
    samples = np.repeat(np.linspace(0.05, 0.9, seconds, dtype=np.float32), RATE)
    heard = audio.decode(encoded(samples, subtype="PCM_16"), FED)
    assert heard.shape == (int(HEARD / 0.5), 8_000)
    levels = heard.mean(axis=1)
    assert (np.diff(levels) >= -1e-3).all()
    assert abs(levels[0] - 0.05) < 0.01 and abs(levels[-1] - 0.9) < 0.01


def test_identical_recordings_are_told_whatever_file_they_are_in(audio: Audio) -> None:
    samples = np.round(chirps(1) * 20_000).astype(np.int16)
    whole = audio.check(encoded(samples))
    assert audio.check(encoded(samples, form="FLAC")).identity == whole.identity
    assert audio.check(encoded(samples, subtype="PCM_24")).identity == whole.identity
    assert audio.check(encoded(chirps(2))).identity != whole.identity


def test_near_copies_are_told_and_others_are_not(audio: Audio) -> None:
    sketches = [audio.check(encoded(chirps(seed))).sketch for seed in range(12)]
    assert all(sketches)
    softer = audio.check(encoded(chirps(3) * np.float32(0.4))).sketch
    lossy = audio.check(encoded(chirps(3), form="MP3", subtype="MPEG_LAYER_III")).sketch
    pairs = near_copies([*sketches, softer, lossy]).tolist()
    assert {number for pair in pairs for number in pair} <= {3, 12, 13}
    assert [3, 12] in [sorted(pair) for pair in pairs]
    assert audio.check(encoded(np.zeros(RATE, np.float32))).sketch == ""


def test_views_are_random_as_long_and_drawn_from_the_generator_alone(audio: Audio) -> None:
    raw = encoded(tone(440, 2.2))
    plain = audio.decode(raw, FED)
    one, two = (audio.decode(raw, FED, np.random.default_rng(5)) for _ in range(2))
    assert (one == two).all() and one.shape == plain.shape
    assert not np.allclose(one, plain)
    other = audio.decode(raw, FED, np.random.default_rng(6))
    assert not np.allclose(one, other)


def test_a_part_is_a_sound_of_its_own_and_always_the_same_bytes(audio: Audio) -> None:
    samples = chirps(4)
    raw = encoded(samples, subtype="FLOAT")
    part = audio.part(raw, 0.5, 1.25)
    assert part == audio.part(raw, 0.5, 1.25)
    heard = audio.decode(part, {**FED, "window": 12_000, "hop": 12_000})
    np.testing.assert_array_equal(heard[0], samples[8_000:20_000])
    assert len(audio.decode(audio.part(raw, 1.0, None), FED)) == 2
    for start, end in ((3.0, 4.0), (1.0, 1.0), (1.5, 0.5)):
        with pytest.raises(DataError, match="no sound from"):
            audio.part(raw, start, end)


def test_people_see_a_spectrogram_and_hear_the_beginning(audio: Audio) -> None:
    raw = encoded(tone(3_000, 20.0))
    assert audio.shown(raw, 96).shape[2] == 3
    played = audio.played(raw)
    assert played is not None and len(played) < 60_000
    samples, rate = soundfile.read(__import__("io").BytesIO(played))
    assert rate == RATE and 5 < len(samples) / rate < 7


def test_a_stranger_preprocessing_is_looked_at(audio: Audio) -> None:
    assert audio.accepts(FED)
    for change in (
        {"rate": 0},
        {"hop": 9_000},
        {"pad": "left"},
        {"window": 1 << 30},
        {"scale": "1"},
    ):
        assert not audio.accepts({**FED, **change})
    assert not audio.accepts({})


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_wav_file_that_lacks_its_end_is_said(share: float) -> None:
    """libsndfile counts the samples that are there, whatever the file says."""
    stream = io.BytesIO()
    soundfile.write(stream, np.sin(np.arange(8000) / 9), 8000, "PCM_U8", format="WAV")
    raw = stream.getvalue()
    notes = Audio().check(raw[: int(len(raw) * share)]).notes
    assert ("cut off before its end" in notes) == (share < 1)
