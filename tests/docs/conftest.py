import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
# kernels compiled by one run of the tests serve the next, and the user's own cache stays untouched
os.environ.setdefault("NTKVERIFY_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"ntkverify-tests-{os.getuid()}"))
