"""Expectations over normal and uniform weights: closed forms where they exist, quadrature elsewhere."""
