import os
import sys
import tempfile
from pathlib import Path

# the simulated device is that of the execution tests, small instances are those of the search's
for folder in ("execution", "search"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
os.environ.setdefault("NTKVERIFY_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"ntkverify-tests-{os.getuid()}"))
