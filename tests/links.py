"""Tests of symbolic links, which not every system makes."""

from __future__ import annotations

import os
import tempfile
import unittest


def _are_possible() -> bool:
    """Returns whether a link exists once it was made: Windows demands a right, and an emulation may make nothing."""
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "link")
        try:
            os.symlink("target", link)
        except OSError:
            return False
        return os.path.islink(link)


ARE_POSSIBLE = _are_possible()
need_links = unittest.skipUnless(ARE_POSSIBLE, "no symbolic links can be made here")
