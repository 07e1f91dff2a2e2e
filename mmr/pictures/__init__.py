"""Pictures: find them in folders and tars, read them whole, decode them safely, make thumbnails."""

from mmr.pictures.decode import open_picture
from mmr.pictures.read import digest, read_bytes
from mmr.pictures.thumbnails import thumbnail
from mmr.pictures.walk import Found, Walk

__all__ = ["Found", "Walk", "digest", "open_picture", "read_bytes", "thumbnail"]
