"""The target data set: found, read once, checked, and split by content."""

from __future__ import annotations

from headstart.data.added import in_splits, joined, load_added
from headstart.data.dataset import IN_MEMORY, Dataset, load, load_labelled
from headstart.data.folds import everything, fold_dataset, most_folds, nested, refolded
from headstart.data.inputs.reading import inputs_of
from headstart.data.items import demand_data, find_inputs, recognise
from headstart.data.memory import data_of
from headstart.data.schema import Columns, Schema
from headstart.data.sources import Data, FileSource, InlineSource, InMemory, Input, Item, Source
from headstart.data.summary import DataReport
from headstart.data.unlabelled import unlabelled

__all__ = [
    "IN_MEMORY",
    "Columns",
    "Data",
    "DataReport",
    "Dataset",
    "FileSource",
    "InMemory",
    "InlineSource",
    "Input",
    "Item",
    "Schema",
    "Source",
    "data_of",
    "demand_data",
    "everything",
    "find_inputs",
    "fold_dataset",
    "in_splits",
    "inputs_of",
    "joined",
    "load",
    "load_added",
    "load_labelled",
    "most_folds",
    "nested",
    "recognise",
    "refolded",
    "unlabelled",
]
