"""References in docstrings: ``:func:`f``` is shown as code, since the site has no roles of Sphinx."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`[~!]?")


class Roles(griffe.Extension):
    """Leaves out the roles."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every object of the package."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub("`", obj.docstring.value)
