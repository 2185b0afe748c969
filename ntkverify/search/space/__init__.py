"""Where a search climbs: the coordinates of a family of instances, deformations of a draw of weights."""
