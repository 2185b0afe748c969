"""Make the report's font again: the signs that theorems use, of STIX Two Math 2.13 (OFL), with its MATH table.

    python scripts/math_font.py STIXTwoMath-Regular.otf ntkverify/report/page/assets/math.woff2

needs fonttools and brotli. The font is in fonts/static_otf at https://github.com/stipub/stixfonts, tag v2.13. Without a
MATH table brackets and roots would not stretch, and no system is sure to have a font with one.
"""

import sys

from fontTools.subset import main

#: Latin, Greek, operators, arrows, and the alphabets of mathematics
SIGNS = (
    "U+20-7E,U+A0,U+AC,U+AF,U+B1,U+B7,U+D7,U+2C6,U+2DC,U+302,U+303,U+304,U+307,U+308,U+331,U+391-3A9,U+3B1-3C9,"
    "U+3D1,U+3D5,U+3D6,U+3F0,U+3F1,U+3F5,U+2013,U+2014,U+2016,U+2018-201D,U+2026,U+2032-2034,U+2044,U+2061-2064,"
    "U+20D7,U+2102,U+210B,U+2112,U+2113,U+2115,U+2119,U+211A,U+211D,U+2124,U+2190-2194,U+21A6,U+21D0-21D4,U+2200,"
    "U+2202-2213,U+2215-221E,U+2220-222B,U+222E,U+223C,U+2243,U+2245,U+2248,U+2254,U+2260-2262,U+2264,U+2265,"
    "U+226A,U+226B,U+227A-2280,U+2282-2287,U+2295,U+2297,U+22A4,U+22A5,U+22C5,U+22EE,U+22EF,U+22F1,U+2308-230B,"
    "U+23B4,U+23B5,U+23DE,U+23DF,U+25A1,U+27C2,U+27E8,U+27E9,U+2A7D,U+2A7E,U+2AAF,U+2AB0,U+1D400-1D467,"
    "U+1D49C-1D4CF,U+1D538-1D56B,U+1D6A8-1D6E1,U+1D6FC-1D71B"
)

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    font, made = sys.argv[1:]
    options = ["--flavor=woff2", "--layout-features=ssty", "--desubroutinize", "--no-hinting"]
    main([font, f"--unicodes={SIGNS}", *options, f"--output-file={made}"])
