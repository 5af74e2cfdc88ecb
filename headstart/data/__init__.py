"""The target data set: found, read once, checked, and split by content."""

from __future__ import annotations

from headstart.data.added import in_splits as in_splits
from headstart.data.added import joined as joined
from headstart.data.added import load_added as load_added
from headstart.data.dataset import IN_MEMORY as IN_MEMORY
from headstart.data.dataset import Dataset as Dataset
from headstart.data.dataset import load as load
from headstart.data.dataset import load_labelled as load_labelled
from headstart.data.folds import everything as everything
from headstart.data.folds import fold_dataset as fold_dataset
from headstart.data.folds import most_folds as most_folds
from headstart.data.folds import nested as nested
from headstart.data.folds import refolded as refolded
from headstart.data.inputs.reading import inputs_of as inputs_of
from headstart.data.items import demand_data as demand_data
from headstart.data.items import find_inputs as find_inputs
from headstart.data.items import recognise as recognise
from headstart.data.memory import data_of as data_of
from headstart.data.remote import named as named
from headstart.data.schema import Columns as Columns
from headstart.data.schema import Schema as Schema
from headstart.data.sources import Data as Data
from headstart.data.sources import FileSource as FileSource
from headstart.data.sources import InlineSource as InlineSource
from headstart.data.sources import InMemory as InMemory
from headstart.data.sources import Input as Input
from headstart.data.sources import Item as Item
from headstart.data.sources import Source as Source
from headstart.data.summary import DataReport as DataReport
from headstart.data.unlabelled import unlabelled as unlabelled
