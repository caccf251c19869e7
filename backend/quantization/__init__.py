"""Quantization: one module a method, jobs, their progress and results. A new method is one line in QUANT_METHODS."""

from collections.abc import Mapping

from backend.quantization.awq import Awq
from backend.quantization.base import QuantMethod
from backend.quantization.smooth_quant import SmoothQuant

QUANT_METHODS: Mapping[str, QuantMethod] = {method.name: method for method in (Awq(), SmoothQuant())}
