"""The page of results, from results files of every kind."""
