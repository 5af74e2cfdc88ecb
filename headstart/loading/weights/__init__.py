"""Weight files: read without running code, checked, hashed, and written whole or not at all."""

from headstart.loading.weights.fitting import Fitted as Fitted
from headstart.loading.weights.fitting import apart as apart
from headstart.loading.weights.fitting import fit as fit
from headstart.loading.weights.fitting import linear as linear
from headstart.loading.weights.fitting import load_with_head as load_with_head
from headstart.loading.weights.opening import SUFFIXES as SUFFIXES
from headstart.loading.weights.opening import Weights as Weights
from headstart.loading.weights.opening import header as header
from headstart.loading.weights.opening import names_file as names_file
from headstart.loading.weights.opening import read as read
from headstart.loading.weights.tensors import State as State
from headstart.loading.weights.tensors import digest as digest
from headstart.loading.weights.tensors import load_into as load_into
from headstart.loading.weights.tensors import save as save
