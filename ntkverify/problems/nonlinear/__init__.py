"""Networks trained in all weights on residuals of any equation, alone, as flows and in batches."""
