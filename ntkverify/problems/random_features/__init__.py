"""Random features and two-layer networks on grids, by derivatives and by differences."""
