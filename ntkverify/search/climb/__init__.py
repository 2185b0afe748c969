"""What climbs: the engines of a search, islands, evolution strategies."""
