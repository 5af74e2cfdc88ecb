"""Files from other machines: fetched, checked and unpacked, whole or not at all."""

from headstart.loading.downloads.fetching import alone as alone
from headstart.loading.downloads.fetching import cut_off as cut_off
from headstart.loading.downloads.fetching import fetch as fetch
from headstart.loading.downloads.fetching import file_sha256 as file_sha256
from headstart.loading.downloads.folders import FolderRecord as FolderRecord
from headstart.loading.downloads.folders import fetch_folder as fetch_folder
from headstart.loading.downloads.folders import recorded as recorded
from headstart.loading.downloads.folders import records as records
from headstart.loading.downloads.folders import tree_digest as tree_digest
from headstart.loading.downloads.unpacking import MOST as MOST
from headstart.loading.downloads.unpacking import unpack as unpack
