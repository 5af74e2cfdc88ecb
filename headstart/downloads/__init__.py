"""Files from other machines: fetched, checked and unpacked, whole or not at all."""

from headstart.downloads.fetching import alone as alone
from headstart.downloads.fetching import fetch as fetch
from headstart.downloads.folders import Kept as Kept
from headstart.downloads.folders import fetch_folder as fetch_folder
from headstart.downloads.folders import recorded as recorded
from headstart.downloads.folders import tree_digest as tree_digest
from headstart.downloads.unpacking import MOST as MOST
from headstart.downloads.unpacking import unpack as unpack
