"""Check theorems about wide two-layer networks, symbolically and numerically."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_HOME = {
    "Theorem": "theorem.theorem",
    "Source": "theorem.parts",
    "Instance": "theorem.instance",
    "NtkVerifyError": "errors",
    "always": "judging.quantifiers.always",
    "correlates": "judging.quantifiers.correlates",
    "identity": "judging.quantifiers.identity",
    "difference": "arrays",
    "in_law": "judging.quantifiers.in_law",
    "moment": "judging.quantifiers.moment",
    "in_law_of": "judging.quantifiers.in_law_of",
    "scales_as": "judging.quantifiers.scales_as",
    "with_probability": "judging.quantifiers.with_probability",
    "Check": "judging.check",
    "Report": "report.checked",
    "check_theorem": "report.checked",
    "diagnose": "diagnosis.diagnose",
    "load_theorem": "theorem.loading",
    "theorem_at": "data.at",
}
__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from ntkverify.arrays import difference as difference
    from ntkverify.data.at import theorem_at as theorem_at
    from ntkverify.diagnosis.diagnose import diagnose as diagnose
    from ntkverify.errors import NtkVerifyError as NtkVerifyError
    from ntkverify.judging.check import Check as Check
    from ntkverify.judging.quantifiers.always import always as always
    from ntkverify.judging.quantifiers.correlates import correlates as correlates
    from ntkverify.judging.quantifiers.identity import identity as identity
    from ntkverify.judging.quantifiers.in_law import in_law as in_law
    from ntkverify.judging.quantifiers.in_law_of import in_law_of as in_law_of
    from ntkverify.judging.quantifiers.moment import moment as moment
    from ntkverify.judging.quantifiers.scales_as import scales_as as scales_as
    from ntkverify.judging.quantifiers.with_probability import with_probability as with_probability
    from ntkverify.report.checked import Report as Report
    from ntkverify.report.checked import check_theorem as check_theorem
    from ntkverify.theorem.instance import Instance as Instance
    from ntkverify.theorem.loading import load_theorem as load_theorem
    from ntkverify.theorem.parts import Source as Source
    from ntkverify.theorem.theorem import Theorem as Theorem


def __getattr__(name: str) -> Any:
    # sympy and scipy load when a name is first used, so that importing the package, and with it
    # every pytest session on a machine where the plugin is installed, stays cheap
    if name in _HOME:
        import importlib

        return getattr(importlib.import_module(f"ntkverify.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ntkverify' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
