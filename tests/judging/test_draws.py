"""Instances are the same in every process, whatever else it has imported."""

import subprocess
import sys
import textwrap

DRAW = """
import hashlib, sys
sys.path.insert(0, {folder!r})
{extra}
from hypothesis import strategies as st
from ntkverify import Instance
from ntkverify.judging.draws import draw_instances
from ntkverify.theorem.parts import Family

def build(draw):
    size = float(draw(st.integers(0, 2**40)))
    share, width = draw(st.floats(0, 1)), draw(st.integers(1, 10**7))
    return Instance(data={{"x": size}}, parameters={{"share": share}}, width=width)

drawn = draw_instances(Family("any", run=object, build=build, counts={{}}), 300, entropy=5)
drawn = [repr((i.data, i.parameters, i.width)) for i in drawn]
print(len(set(drawn)), hashlib.sha256("".join(drawn).encode()).hexdigest())
"""


def drawn(folder, extra):
    script = folder / f"draw{len(extra)}.py"
    script.write_text(textwrap.dedent(DRAW).format(folder=str(folder), extra=extra))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_constants_of_other_modules_do_not_matter(tmp_path):
    constants = ", ".join(str(10**6 + 7919 * i) for i in range(300))
    (tmp_path / "full_of_constants.py").write_text(f"VALUES = [{constants}]\nSHARES = [0.123, 0.456, 0.789]\n")
    alone, beside = drawn(tmp_path, ""), drawn(tmp_path, "import full_of_constants")
    assert alone == beside
    assert int(alone[0]) > 250
