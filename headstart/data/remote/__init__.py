"""Data sets by address: listed, read item by item, and kept in the cache within a bound."""

from headstart.data.remote.addresses import address as address
from headstart.data.remote.mirrors import address_of as address_of
from headstart.data.remote.mirrors import by_address as by_address
from headstart.data.remote.mirrors import local as local
from headstart.data.remote.mirrors import mirror_at as mirror_at
from headstart.data.remote.mirrors import named as named
from headstart.data.remote.pointers import Pointer as Pointer
from headstart.data.remote.pointers import Remote as Remote
from headstart.data.remote.pointers import pointer_at as pointer_at
from headstart.data.remote.tars import indexed as indexed
