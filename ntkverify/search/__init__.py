"""Hunting violations: search, relax, shrink, certify, replay, frontiers, and the record of all evaluations."""
