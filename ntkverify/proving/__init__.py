"""Inequalities in a few real numbers, decided: by an algebraic solver, by derivatives, or by bisection in balls."""
