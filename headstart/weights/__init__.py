"""Weight files: read without running code, checked, hashed, and written whole or not at all."""

from headstart.weights.fitting import Fitted as Fitted
from headstart.weights.fitting import fit as fit
from headstart.weights.fitting import linear as linear
from headstart.weights.opening import TORCH_SUFFIXES as TORCH_SUFFIXES
from headstart.weights.opening import Weights as Weights
from headstart.weights.opening import header as header
from headstart.weights.opening import names_file as names_file
from headstart.weights.opening import read as read
from headstart.weights.tensors import State as State
from headstart.weights.tensors import digest as digest
from headstart.weights.tensors import load_into as load_into
from headstart.weights.tensors import save as save
