"""What a model has seen, and whether what it is asked about now is like that.

Everything here reads stored features and outputs alone, in NumPy; nothing imports torch.
"""

from __future__ import annotations

from headstart.drift.conformal import Sets as Sets
from headstart.drift.familiarity import Familiarity as Familiarity
from headstart.drift.limits import FIT_AGAIN as FIT_AGAIN
from headstart.drift.limits import NO_REFERENCE as NO_REFERENCE
from headstart.drift.limits import UNFAMILIAR as UNFAMILIAR
from headstart.drift.limits import UNLIKE as UNLIKE
from headstart.drift.limits import AnswerLimits as AnswerLimits
from headstart.drift.limits import Limits as Limits
from headstart.drift.limits import demand_refusing as demand_refusing
from headstart.drift.reference import FILE as FILE
from headstart.drift.reference import MOST as MOST
from headstart.drift.reference import TOKENS_A_WORD as TOKENS_A_WORD
from headstart.drift.reference import Reference as Reference
from headstart.drift.reference import chosen as chosen
